//! The procedures of the operations manual that run on a host, as plain functions.
//!
//! Each module is one procedure or one thing that several of them need; the commands and the agent's service call them
//! and print or send what they return.
//!
//! They must never read arguments, environment variables or the wall clock, write to stdout, or let key material into
//! an error or a log: whoever calls passes all of that in.
//!
//! Start with [`bundle`], the security export.

pub mod bundle;
pub mod checklist;
pub mod evidence;
pub mod health;
pub mod licence_state;
pub mod private_file;
pub mod recover;

/// Packages are a library of their own, since the controller and operators need them too.
pub use flota_package as package;
pub use flota_package::{durable, iso_time, key, licence};

use flota_package::causes;
