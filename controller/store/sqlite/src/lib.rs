//! The store in one SQLite file: for one controller on one machine, thousands of hosts.
//!
//! It must never let SQL, tables or sqlx types out of this crate, and never change a row without its audit entry in
//! the same transaction; heartbeats, offers, sessions, deliveries, notices and the sweep of boot logs are the documented
//! exceptions.
//!
//! Start with [`SqliteStore::open`], then `transaction.rs` for how everything is read and written. Each other file is
//! one trait of `flota_store`. The schema is in `migrations/sqlite`; `flota_store::contract` says what must hold.

mod alerts;
mod archive;
mod attestation;
mod audit;
mod enrolment;
mod escalations;
mod freezes;
mod hosts;
mod open;
mod operators;
mod policies;
mod recoveries;
mod releases;
mod rollouts;
mod row;
mod tasks;
mod tickets;
mod transaction;

use std::path::Path;

use flota_model::RolloutId;
use flota_store::StoreError;
use row::Origin;
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
    /// Copies the database, as it is at one moment, into a file that is not there yet. It may be in use.
    pub async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let query = sqlx::query("vacuum into $1").bind(path.to_string_lossy().into_owned());
        let copied = query.execute(&self.writer).await;
        copied.map(drop).map_err(|source| transaction::unavailable("copying the database", source))
    }

    /// Leaves out so many numbers of rollouts; gives the next one.
    pub async fn leave_rollouts_out(&self, count: u32) -> Result<RolloutId, StoreError> {
        let mut writing = self.write("leaving out numbers of rollouts").await?;
        let update = "update rollout_numbers set floor = \
                      max(coalesce((select max(id) from rollouts), 0) + 1, floor) + $1 returning floor";
        let (floor,) = writing.one(sqlx::query_as::<_, (i64,)>(update).bind(count)).await?;
        writing.commit().await?;
        Origin { table: "rollout_numbers", row: "the only one" }.rollout("floor", floor)
    }

    /// Waits for what is running and closes the file. Without it nothing is lost either; the next start has a log to
    /// replay.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
