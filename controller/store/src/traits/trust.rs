//! What hosts are believed, by which policies, and what people must look at.

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::host::Trust;
use flota_model::{Digest, HostId, Timestamp};

use crate::{
    AddPolicy, ApprovePolicy, AttestationRecord, BootLog, Delivery, EscalationRecord, HostMeasurements, NewEscalation,
    NewPolicy, PolicyRecord, PolicyRequest, PolicyState, Previous, Resolution, StoreError, VerdictRecord,
};

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
