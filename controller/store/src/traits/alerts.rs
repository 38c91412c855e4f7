//! Alerts, whom they are told, and silences.

use async_trait::async_trait;
use flota_model::Timestamp;
use flota_model::alert::Silence;
use flota_model::audit::AuditEntry;

use crate::{AlertChange, AlertRecord, Notice, StoreError, Tell, Told};

/// What people are told without asking.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Alerts that have not ended, and those that ended at this time or later, by number.
    async fn alerts(&self, ended_since: Timestamp) -> Result<Vec<AlertRecord>, StoreError>;

    /// Stores changes in one transaction, each if its alert still is what was read, and a new one if there is no open alert
    /// of its key. Gives which were. Where one is told, every receiver gets a notice of its rule.
    async fn save_alerts(&self, changes: &[AlertChange], tell: &Tell) -> Result<Vec<bool>, StoreError>;

    /// Removes alerts that ended before this time; returns how many. Not audited: the log has what was told of them.
    async fn forget_alerts(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// All notices, by receiver and rule.
    async fn notices(&self) -> Result<Vec<Notice>, StoreError>;

    /// Gives receivers a notice of this rule that have none, or were given up; not audited.
    async fn introduce(&self, rule: &str, tell: &Tell) -> Result<(), StoreError>;

    /// Notices that are due at `now`, the oldest first. Until `until` they are due for nobody else.
    async fn claim_notices(&self, now: Timestamp, until: Timestamp) -> Result<Vec<Notice>, StoreError>;

    /// Notes what came of one, as it was claimed; not audited.
    async fn note_told(&self, notice: &Notice, told: &Told) -> Result<(), StoreError>;

    /// Enters a silence, and gives it the next number; that of `silence` is not looked at. The entry's object is
    /// `silence/NUMBER`.
    async fn add_silence(&self, silence: &Silence, audit: &AuditEntry) -> Result<u32, StoreError>;

    /// Those that have not ended at `now`, by number; without a time, all.
    async fn silences(&self, now: Option<Timestamp>) -> Result<Vec<Silence>, StoreError>;

    /// Ends one early, at the time of the entry; one that has not begun never does. False: it has ended, or there is none
    /// of that number.
    async fn end_silence(&self, id: u32, audit: &AuditEntry) -> Result<bool, StoreError>;
}
