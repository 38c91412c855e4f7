//! Decides what people are told without asking. Pure: facts about the fleet and the time go in; roll-ups of its health,
//! findings of the rules, and what becomes of each alert come out.
//!
//! Never: IO, async, clocks. The controller gathers the facts, stores the alerts and tells the receivers. Start at
//! [`rules::RULES`]; [`step`] is the life of one alert, `causes` tells an exchange that is down from hosts that are ill.

mod causes;
mod facts;
mod life;
mod rollup;
pub mod rules;

pub use causes::{Blame, Cause, SHARED, TELLING, causes};
pub use facts::{ExportPace, FleetFacts, HealthFact, HostFact, Metadata, RolloutFact};
pub use life::{EDGES_KEPT, FLAPS, Observed, Step, Timing, step};
pub use rollup::{HealthRow, by_exchange, by_label};
