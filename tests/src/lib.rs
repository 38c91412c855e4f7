//! A whole fleet of real processes on one machine: controller, exchange simulator, and hosts with a TPM, a bot and an
//! agent each. The demo, the scenarios and the benches drive it the way an operator does: with `flota`.
//!
//! Never: a mock of something of ours, a fixed port, a path outside the fleet's folder. Start at [`Fleet`].

mod bins;
pub mod boot_log;
pub mod client;
mod clock;
mod controller;
mod exchange;
mod fleet;
mod ground;
mod host;
mod link;
mod operator;
mod packages;
mod process;
mod simulated;
pub mod wait;
pub mod web;

pub use bins::Bins;
pub use boot_log::BootLog;
pub use clock::ShiftedClock;
pub use controller::{Controller, Network};
pub use exchange::Exchange;
pub use fleet::{Fleet, FleetOptions};
pub use ground::Ground;
pub use host::BotHost;
pub use link::Link;
pub use operator::{Answer, Operator};
pub use packages::{Package, Packages, noise};
pub use process::Process;
pub use simulated::{SimulatedFleet, SimulatedHost};
pub use web::WebService;
