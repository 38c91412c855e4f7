//! The use-cases, grouped by who has them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use flota_model::audit::{AuditEntry, AuditRow};
use flota_model::freeze::Freeze;
use flota_model::host::{Host, Trust};
use flota_model::release::Release;
use flota_model::rollout::{PlanId, RolloutApproval, RolloutIntent, RolloutPlan, RolloutSpec, TargetSpec};
use flota_model::task::{Export, HostHealth, Task};
use flota_model::update::{DesiredState, UpdateReport};
use flota_model::{Digest, ExportId, HostId, RolloutId, TaskId, Timestamp, TokenId};

use crate::{
    AddPolicy, ApprovePolicy, ApproveRollout, AttestationRecord, BootLog, Delivery, EndedCheck, EnrolOutcome,
    Enrolment, EscalationRecord, ExportHold, ExportsOf, FinishedTask, Holds, HostKeys, HostMeasurements, NewEscalation,
    NewPolicy, NewToken, OperatorRecord, PolicyRecord, PolicyRequest, PolicyState, Previous, Publish, Removed,
    Resolution, RolloutDocuments, RolloutRecord, SetDesired, SetPlan, StoreError, TaskResultOutcome, TokenKey,
    TokenRecord, VerdictRecord,
};

/// Everything.
pub trait Store:
    OperatorStore
    + EnrolmentStore
    + HostStore
    + AttestationStore
    + PolicyStore
    + EscalationStore
    + TaskStore
    + ArchiveStore
    + ReleaseStore
    + RolloutStore
    + FreezeStore
    + AuditStore
{
}

impl<T> Store for T where
    T: OperatorStore
        + EnrolmentStore
        + HostStore
        + AttestationStore
        + PolicyStore
        + EscalationStore
        + TaskStore
        + ArchiveStore
        + ArchiveStore
        + ReleaseStore
        + RolloutStore
        + FreezeStore
        + AuditStore
{
}

/// Who may do what.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// Adds an operator. False: one of that name or with that certificate is there, nothing changed.
    async fn add_operator(&self, operator: &OperatorRecord, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Removes an operator: its certificate is worth nothing from then on. False: there is none of that name.
    async fn remove_operator(&self, name: &str, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// The operator with this certificate.
    async fn operator_by_certificate(&self, certificate: &Digest) -> Result<Option<OperatorRecord>, StoreError>;
}

/// Tokens and enrolment.
#[async_trait]
pub trait EnrolmentStore: Send + Sync {
    /// Adds a token. False: its host name is taken by a host or by another token that is open at `created_at`; nothing
    /// changed.
    async fn create_token(&self, token: &NewToken, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// All tokens, newest first; those past their end are `Expired` at `now`.
    async fn tokens(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError>;

    /// A token and what proves it, whatever its state.
    async fn token(&self, id: &TokenId, now: Timestamp) -> Result<Option<(TokenRecord, TokenKey)>, StoreError>;

    /// Withdraws an open token. False: it was not open.
    async fn revoke_token(&self, id: &TokenId, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Consumes the token and enters the host, in one transaction. The name is the token's, else the host's id. Trust
    /// becomes `Pending`, or `Unattested` with a software key; the lease ends. A token that asks for approval makes the
    /// host await it. A renewal also forgets what the host said and what was confirmed of it, since a machine installed
    /// anew counts its reports from one; it lifts no quarantine.
    ///
    /// Without a token a known host comes back with new keys of the same TPM. It keeps its standing and what it is
    /// measured against (an empty document leaves the stored one and its log as they are), but its lease ends, and
    /// `Trusted` becomes `Stale`: it must pass a quote again.
    async fn enrol(&self, enrolment: &Enrolment, audit: &AuditEntry) -> Result<EnrolOutcome, StoreError>;

    /// A person lets a host in that awaited it. False: no such host, or it awaits nothing.
    async fn approve_enrolment(&self, id: &HostId, audit: &AuditEntry) -> Result<bool, StoreError>;
}

/// Hosts, what they say and what is wanted of them.
#[async_trait]
pub trait HostStore: Send + Sync {
    /// All hosts, by name.
    async fn hosts(&self) -> Result<Vec<Host>, StoreError>;

    /// One host.
    async fn host(&self, id: &HostId) -> Result<Option<Host>, StoreError>;

    /// Its keys and the end of its certificate.
    async fn host_keys(&self, id: &HostId) -> Result<Option<(HostKeys, Timestamp)>, StoreError>;

    /// Notes a new session: agent version, and that it was seen. Reports count anew from one: an agent that lost its
    /// journal must be believed again.
    async fn connected(&self, id: &HostId, agent_version: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Notes that hosts were heard of; many at once, one transaction, no audit.
    async fn seen(&self, hosts: &[(HostId, Timestamp)]) -> Result<(), StoreError>;

    /// Stores a report unless one of the same or a higher sequence is there, or no such host (then false). Audited only
    /// when the phase or the running release differs from the stored one.
    async fn report(&self, id: &HostId, report: &UpdateReport, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Makes `desired` the host's desired state if its generation is newer than the stored one.
    async fn set_desired(
        &self,
        id: &HostId,
        desired: &DesiredState,
        audit: &AuditEntry,
    ) -> Result<SetDesired, StoreError>;

    /// Notes a renewed certificate. Of a host that is not there: nothing.
    async fn certificate_renewed(
        &self,
        id: &HostId,
        expires_at: Timestamp,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
}

/// Verdicts and what they are based on.
#[async_trait]
pub trait AttestationStore: Send + Sync {
    /// What the host's next quote is compared with.
    async fn measurements(&self, id: &HostId) -> Result<Option<HostMeasurements>, StoreError>;

    /// Stores verdicts, each with all its consequences and its audit entries in their order, in one transaction: the disk
    /// is waited for once for all of them. Trust and lease are not taken over by a host that was quarantined or retired
    /// meanwhile. Of a host that is not there: nothing, its entries included. The newest [`ATTESTATIONS_KEPT`] of a host
    /// are kept. [`StoreError::Rejected`]: one of them cannot be stored, and so none was; the caller may try them one by
    /// one.
    ///
    /// [`ATTESTATIONS_KEPT`]: crate::ATTESTATIONS_KEPT
    async fn record_verdicts(&self, verdicts: &[(VerdictRecord, Vec<AuditEntry>)]) -> Result<(), StoreError>;

    /// A stored boot log.
    async fn boot_log(&self, digest: &Digest) -> Result<Option<BootLog>, StoreError>;

    /// Removes boot logs that no host's measurements name; returns how many.
    async fn sweep_boot_logs(&self) -> Result<u64, StoreError>;

    /// Newest verdicts of a host, newest first.
    async fn attestations(&self, id: &HostId, limit: u32) -> Result<Vec<AttestationRecord>, StoreError>;

    /// Changes trust without a verdict (stale, quarantine). A state that admits no work ends the lease. False: it was not
    /// in any state of `from`.
    async fn set_trust(
        &self,
        id: &HostId,
        from: &[Trust],
        to: Trust,
        reason: &str,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;
}

/// Attestation policies.
#[async_trait]
pub trait PolicyStore: Send + Sync {
    /// Enters a policy as a draft, with the next version of its name.
    async fn add_policy(&self, policy: &NewPolicy, audit: &AuditEntry) -> Result<AddPolicy, StoreError>;

    /// All policies, by name, newest version first.
    async fn policies(&self) -> Result<Vec<PolicyRecord>, StoreError>;

    /// Approves a draft.
    async fn approve_policy(
        &self,
        digest: &Digest,
        approver: &str,
        audit: &AuditEntry,
    ) -> Result<ApprovePolicy, StoreError>;

    /// Notes that somebody asks for a change, in the place of what was asked for before. False: no such policy.
    async fn ask_policy_change(
        &self,
        digest: &Digest,
        request: &PolicyRequest,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Takes the request away, so that it can be carried out once. False: it is not the one that waits.
    async fn take_policy_request(
        &self,
        digest: &Digest,
        request: &PolicyRequest,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Changes the state of a policy to anything but `Active` (that is [`StoreError::Rejected`]). False: its state's word
    /// is not among those of `from`. Ends what was asked for.
    async fn set_policy_state(
        &self,
        digest: &Digest,
        from: &[&str],
        to: PolicyState,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;

    /// Makes a policy active, and in the same transaction what was active under its name retired or retiring. False: its
    /// state's word is not among those of `from`, nothing changed. There is never more than one active of a name. Ends what was asked for.
    async fn activate_policy(
        &self,
        digest: &Digest,
        from: &[&str],
        previous: Previous,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError>;
}

/// What people of the security role must look at.
#[async_trait]
pub trait EscalationStore: Send + Sync {
    /// Opens one for a host outside of a verdict. False: one of that kind is open for it already, or no such host.
    async fn escalate(&self, host: &HostId, new: &NewEscalation, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Escalations, newest first: the open ones, or the newest of all.
    async fn escalations(&self, which: Which, limit: u32) -> Result<Vec<EscalationRecord>, StoreError>;

    /// Those whose delivery is due at `now`, oldest first; also those that were resolved meanwhile.
    async fn undelivered(&self, now: Timestamp, limit: u32) -> Result<Vec<EscalationRecord>, StoreError>;

    /// Notes what became of a delivery; not audited. Of one that is not there: nothing.
    async fn note_delivery(&self, id: &str, delivery: &Delivery) -> Result<(), StoreError>;

    /// Ends one. False: it is not open, or not there.
    async fn resolve(&self, id: &str, resolution: &Resolution, audit: &AuditEntry) -> Result<bool, StoreError>;
}

/// Which escalations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that wait for a person.
    Open,
    /// Also those that are resolved.
    All,
}

/// Tasks, exports, health.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Adds tasks, all or none.
    async fn add_tasks(&self, tasks: &[Task], audit: &[AuditEntry]) -> Result<(), StoreError>;

    /// Tasks by id, in the order asked for; unknown ones are left out.
    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError>;

    /// Tasks of a host that have not ended, oldest first.
    async fn open_tasks(&self, host: &HostId) -> Result<Vec<Task>, StoreError>;

    /// Notes that a waiting task was offered.
    async fn task_offered(&self, id: &TaskId) -> Result<(), StoreError>;

    /// Ends a task of this host with its export or health report, in one transaction. When this blob of this host is
    /// archived already, the task names the export that is there.
    async fn finish_task(
        &self,
        host: &HostId,
        id: &TaskId,
        result: &FinishedTask,
        audit: &AuditEntry,
    ) -> Result<TaskResultOutcome, StoreError>;

    /// Ends every task whose deadline is not after `now`; returns how many. Writes the audit entry of each itself:
    /// `task.expire` of `task/<id>` by `controller`.
    async fn expire_tasks(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Stores an export that no task asked for (before an update). False: this blob of this host is there already.
    async fn add_export(&self, export: &Export, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Newest exports, newest first; of one host, or of all.
    async fn exports(&self, which: ExportsOf<'_>, limit: u32) -> Result<Vec<Export>, StoreError>;

    /// Hosts whose export this blob is.
    async fn exporters(&self, blob: &Digest) -> Result<Vec<HostId>, StoreError>;

    /// Blobs of all exports.
    async fn exported_blobs(&self) -> Result<Vec<Digest>, StoreError>;

    /// Of each host: what came of the health check that was asked for last, of those that asked for every check and have
    /// ended.
    async fn newest_checks(&self) -> Result<Vec<EndedCheck>, StoreError>;

    /// Newest health report of each host that has one.
    async fn health(&self) -> Result<Vec<HostHealth>, StoreError>;
}

/// How long exports are kept.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// When the newest export of each host that has one was made.
    async fn newest_exports(&self) -> Result<Vec<(HostId, Timestamp)>, StoreError>;

    /// Exports that were made before that, the oldest first, `limit` at most: none of these hosts, and never the newest of a
    /// host.
    async fn old_exports(&self, before: Timestamp, held: &[HostId], limit: u32) -> Result<Vec<Export>, StoreError>;

    /// Removes these, if the newest open hold has that number still.
    async fn remove_exports(
        &self,
        exports: &[ExportId],
        newest_hold: Option<u32>,
        audit: &AuditEntry,
    ) -> Result<Removed, StoreError>;

    /// Enters a legal hold, and gives it the next number; that of `hold` is not looked at. The entry's object is
    /// `hold/NUMBER`.
    async fn add_export_hold(&self, hold: &ExportHold, audit: &AuditEntry) -> Result<u32, StoreError>;

    /// Legal holds, by number.
    async fn export_holds(&self, which: Holds) -> Result<Vec<ExportHold>, StoreError>;

    /// Releases one. False: it is released already, or there is none of that number.
    async fn release_export_hold(&self, id: u32, by: &str, audit: &AuditEntry) -> Result<bool, StoreError>;
}

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
