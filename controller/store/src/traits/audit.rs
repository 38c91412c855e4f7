//! The audit log.

use async_trait::async_trait;
use flota_model::audit::{AuditEntry, AuditRow};

use crate::StoreError;

/// The audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes entries that belong to no other change (a denial, a login), in their order and in one transaction.
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<(), StoreError>;

    /// Newest entries, newest first, whose object is `object` and whose action begins with `action` where given.
    async fn audit(&self, object: Option<&str>, action: Option<&str>, limit: u32) -> Result<Vec<AuditRow>, StoreError>;

    /// Entries from `sequence` on, oldest first; for verification in bounded memory.
    async fn audit_from(&self, sequence: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
}
