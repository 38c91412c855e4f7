//! Simulated agents, for benches and load: many hosts in one process, each with a TPM in memory and a session of its own
//! over real mTLS and gRPC.
//!
//! It is never installed, and its keys protect nothing: whoever trusts a [`Manufacturer`] trusts every program that has
//! its key. It must never be needed by the agent or the controller, nor need them: it meets a controller on the wire.
//!
//! Start at [`SimulatedAgent`]; a [`Population`] is where the TPMs of thousands come from.

pub mod agent;
mod manufacturer;
mod population;
pub mod soft_tpm;

pub use agent::SimulatedAgent;
pub use manufacturer::{Manufacturer, ManufacturerError};
pub use population::{Population, PopulationError};
pub use soft_tpm::SoftTpm;
