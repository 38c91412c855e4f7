//! Releases, rollouts, and times in which nothing is changed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::freeze::Freeze;
use flota_model::release::Release;
use flota_model::rollout::{PlanId, RolloutApproval, RolloutIntent, RolloutPlan, RolloutSpec, TargetSpec};
use flota_model::{Digest, HostId, RolloutId, Timestamp};

use crate::{ApproveRollout, Publish, RolloutDocuments, RolloutRecord, SetPlan, StoreError};

/// Files of signed metadata by name.
pub type ReleaseMetadata = BTreeMap<String, Vec<u8>>;

/// Releases.
#[async_trait]
pub trait ReleaseStore: Send + Sync {
    /// Enters a release.
    async fn publish(&self, release: &Release, audit: &AuditEntry) -> Result<Publish, StoreError>;

    /// All releases, newest first.
    async fn releases(&self) -> Result<Vec<Release>, StoreError>;

    /// Replaces the signed metadata, all files at once.
    async fn set_release_metadata(&self, files: &ReleaseMetadata, audit: &AuditEntry) -> Result<(), StoreError>;

    /// One file of the signed metadata.
    async fn release_metadata_file(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// All files of the signed metadata; empty before the first upload.
    async fn release_metadata(&self) -> Result<ReleaseMetadata, StoreError>;
}

/// Rollouts and their plans.
#[async_trait]
pub trait RolloutStore: Send + Sync {
    /// The number of the next rollout. Two callers may get the same; `create_rollout` then lets one of them win.
    async fn next_rollout_id(&self) -> Result<RolloutId, StoreError>;

    /// Enters a rollout. False: its number is taken; nothing changed. One that is to run at once starts when it was
    /// created.
    async fn create_rollout(
        &self,
        spec: &RolloutSpec,
        intent: &RolloutIntent,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// All rollouts, newest first.
    async fn rollouts(&self) -> Result<Vec<RolloutRecord>, StoreError>;

    /// Rollouts whose current plan is not terminal (or that have none), oldest first.
    async fn active_rollouts(&self) -> Result<Vec<RolloutRecord>, StoreError>;

    /// What auditors are given of a rollout.
    async fn rollout_documents(&self, id: RolloutId) -> Result<Option<RolloutDocuments>, StoreError>;

    /// One rollout.
    async fn rollout(&self, id: RolloutId) -> Result<Option<RolloutRecord>, StoreError>;

    /// Replaces the intent if it still is `from`. False: it was not; read again. Sets `started_at` to the entry's time
    /// when the verb becomes `Run` for the first time.
    async fn set_intent(
        &self,
        id: RolloutId,
        from: &RolloutIntent,
        to: &RolloutIntent,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Notes that a person agrees to the rollout as it is specified. Who may is the caller's question.
    async fn approve_rollout(
        &self,
        id: RolloutId,
        approval: &RolloutApproval,
        audit: &AuditEntry,
    ) -> Result<ApproveRollout, StoreError>;

    /// Replaces the specification if its digest still is `from`. False: it is not, or no such rollout; nothing changed.
    async fn amend_rollout(
        &self,
        id: RolloutId,
        from: &Digest,
        to: &RolloutSpec,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Adds hosts that came later; those that are in it already stay what they are. Returns how many were added, each with
    /// its audit entry; none to a rollout that has ended.
    async fn join_rollout(
        &self,
        id: RolloutId,
        joiners: &[(HostId, TargetSpec, AuditEntry)],
    ) -> Result<usize, StoreError>;

    /// Makes `plan` current if its parent still is. Sets `finished_at` to the plan's time when its state becomes terminal.
    /// The audit entry is written only when the rollout's state differs from that of the parent.
    async fn set_plan(&self, id: PlanId, plan: &RolloutPlan, audit: &AuditEntry) -> Result<SetPlan, StoreError>;
}

/// Times in which nothing is changed.
#[async_trait]
pub trait FreezeStore: Send + Sync {
    /// Enters one, and gives it the next number; that of `freeze` is not looked at. The entry's object is `freeze/NUMBER`.
    async fn add_freeze(&self, freeze: &Freeze, audit: &AuditEntry) -> Result<u32, StoreError>;

    /// Those that have not ended at `now`, by number; without a time, all.
    async fn freezes(&self, now: Option<Timestamp>) -> Result<Vec<Freeze>, StoreError>;

    /// Ends one early, at the time of the entry; one that has not begun never does. False: it has ended, or there is none
    /// of that number.
    async fn end_freeze(&self, id: u32, audit: &AuditEntry) -> Result<bool, StoreError>;
}
