//! The shell around [`flota_engine`]: it owns the state, writes each one down before it acts on it, and acts.
//!
//! It must never decide: what follows from what is in the engine. Start at [`Updater::spawn`].

pub mod adopt;
mod bot;
mod driver;
mod effects;
pub mod history;
mod journal;
mod offline;
mod preflight;
mod slots;
mod stage;
#[cfg(test)]
mod tests;
mod transfer;
mod verify;
mod watch;

pub use bot::{BotError, NOT_NOW, SEARCH_PATH};
pub use driver::{SpawnError, Updater, UpdaterHandle, WantError};
pub use effects::ExportMade;
pub use journal::{Journal, JournalError};
pub use offline::{Offline, under_way};
pub use slots::SlotError;
pub use transfer::{BoxFuture, FolderTransfer, Transfer, TransferError};
