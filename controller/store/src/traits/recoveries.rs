//! Recoveries of hosts.

use async_trait::async_trait;
use flota_model::HostName;
use flota_model::audit::AuditEntry;
use flota_model::recovery::Recovery;

use crate::{RecoveryRecord, StoreError};

/// Recoveries of hosts (manual §6).
#[async_trait]
pub trait RecoveryStore: Send + Sync {
    /// Enters one, and gives it the next number. None: one of this host is open; nothing changed. The entry's object is
    /// `recovery/NUMBER`.
    async fn begin_recovery(&self, recovery: &Recovery, audit: &AuditEntry) -> Result<Option<u32>, StoreError>;

    /// Those that have not ended, by number.
    async fn open_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError>;

    /// The newest of a host.
    async fn newest_recovery(&self, host: &HostName) -> Result<Option<RecoveryRecord>, StoreError>;

    /// The newest of all, `limit` at most, the newest first.
    async fn recoveries(&self, limit: u32) -> Result<Vec<RecoveryRecord>, StoreError>;

    /// Stores a change if the recovery still is what was read and has not ended; logged where there is an entry. False: it is
    /// not.
    async fn save_recovery(&self, record: &RecoveryRecord, audit: Option<&AuditEntry>) -> Result<bool, StoreError>;
}
