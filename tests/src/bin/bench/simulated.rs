//! A fleet of simulated hosts, and the controller that they are members of.

#[path = "simulated/fleet.rs"]
pub(crate) mod fleet;
#[path = "simulated/hosts.rs"]
pub(crate) mod hosts;
#[path = "simulated/processors.rs"]
pub(crate) mod processors;
#[path = "simulated/tally.rs"]
pub(crate) mod tally;
