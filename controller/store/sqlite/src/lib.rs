//! The store in one SQLite file: for one controller on one machine, thousands of hosts.
//!
//! It must never let SQL, tables or sqlx types out of this crate, and never change a row without its audit entry in
//! the same transaction; heartbeats, offers, sessions, deliveries and the sweep of boot logs are the documented
//! exceptions.
//!
//! Start with [`SqliteStore::open`], then `transaction.rs` for how everything is read and written. Each other file is
//! one trait of `flota_store`. The schema is in `migrations/sqlite`; `flota_store::contract` says what must hold.

mod attestation;
mod audit;
mod enrolment;
mod escalations;
mod freezes;
mod hosts;
mod open;
mod operators;
mod policies;
mod releases;
mod rollouts;
mod row;
mod tasks;
mod transaction;

use sqlx::SqlitePool;

/// A fleet's memory in one SQLite file. Cheap to clone; all clones share the connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    /// The one connection that writes. SQLite has one writer at a time anyway; queueing here is fair and in order,
    /// queueing on the file's lock is neither.
    writer: SqlitePool,
    /// Connections that read what was last committed, while the writer writes.
    readers: SqlitePool,
}

impl SqliteStore {
    /// Waits for what is running and closes the file. Without it nothing is lost either; the next start has a log to
    /// replay.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
