//! The words of the fleet: ids, versions, digests, generations, time, hosts, releases, rollouts, plans and reports.
//!
//! Pure data with parsing and printing. Never: IO, async, clocks, randomness, anything of the wire or the database.
//! Start at `host` and `rollout`.

pub mod alert;
pub mod audit;
pub mod budget;
pub mod digest;
pub mod evidence;
pub mod freeze;
pub mod health;
pub mod host;
pub mod id;
pub mod labels;
pub mod market;
pub mod receipt;
pub mod recovery;
pub mod release;
pub mod role;
pub mod rollout;
pub mod task;
pub mod time;
pub mod update;
pub mod window;

pub use digest::Digest;
pub use id::{ExportId, HostId, HostName, RolloutId, TaskId, TokenId};
pub use labels::{Labels, Selector};
pub use role::Role;
pub use time::{Clock, Timestamp};
pub use update::Generation;
