//! The updater of a host: the shell around [`flota_engine`], and the socket through which it is spoken to.
//!
//! The [`Updater`] owns the state, writes each one down before it acts on it, and acts: it checks releases, unpacks them,
//! moves `current` and drives the bot. It has no network. What needs one it asks of its [`Outside`]: within the agent that
//! is the agent itself, in a supervisor it is whoever is connected to the [`socket`].
//!
//! It must never decide (what follows from what is in the engine), and never believe the outside: bytes count for their
//! digest, releases for their signatures.
//!
//! Start at [`Updater::spawn`]; ADR-0015 has the reasons for the two processes.

pub mod adopt;
pub mod boot;
mod bot;
mod driver;
mod effects;
mod files;
pub mod history;
mod journal;
mod offline;
mod outside;
mod preflight;
mod self_test;
mod service;
pub mod settings;
mod slots;
pub mod socket;
mod stage;
#[cfg(test)]
mod tests;
mod verify;
mod watch;
mod wish;

pub use bot::{BotError, NOT_NOW, SEARCH_PATH};
pub use driver::{SpawnError, Updater, UpdaterHandle, WantError};
pub use files::{KeyFileError, digest_of, present, read_key};
pub use journal::{Journal, JournalError};
pub use offline::{Offline, under_way};
pub use outside::{BoxFuture, Origin, Outside, OutsideError, Outsides};
pub use slots::SlotError;
