//! What goes into the store and comes out of it, beyond the model.

use flota_model::host::{Confirmed, KeyStorage, OemStanding, Trust, VerdictKind};
use flota_model::rollout::{PlanId, RolloutIntent, RolloutPlan, RolloutSpec};
use flota_model::task::{Export, HostHealth, Task, TaskState};
use flota_model::update::Generation;
use flota_model::{Digest, HostId, HostName, Labels, Role, RolloutId, Timestamp, TokenId};

/// An operator: a certificate with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// Name in audit entries.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its certificate, DER.
    pub certificate: Digest,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Key derived from an enrolment token (`flota_seal::binding::token_key`). Not Debug: whoever has it can enrol a host.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey(pub [u8; 32]);

/// A token to be made.
pub struct NewToken {
    /// Its public half.
    pub id: TokenId,
    /// What its holder proves knowledge of.
    pub key: TokenKey,
    /// Name that the host gets; none: its id.
    pub host_name: Option<HostName>,
    /// Labels that the host gets.
    pub labels: Labels,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// By which operator it was made.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Whom it admits.
    pub admits: Admits,
}

/// What a token lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admits {
    /// Whether a person must approve the host after it has proven itself.
    pub approval: Approval,
    /// Where the host's key must live.
    pub key_storage: KeyStorage,
}

/// Whether a person must approve a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// The token is approval enough.
    NotNeeded,
    /// Somebody looks first.
    Needed,
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its public half.
    pub id: TokenId,
    /// Name that the host gets.
    pub host_name: Option<HostName>,
    /// Labels that the host gets.
    pub labels: Labels,
    /// Whether it can be used.
    pub state: TokenState,
    /// Until when.
    pub expires_at: Timestamp,
    /// By which operator it was made.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// The host that used it.
    pub used_by: Option<HostId>,
    /// Whom it admits.
    pub admits: Admits,
}

/// Whether a token can be used. The store knows `Open`, `Used` and `Revoked`; a listing adds `Expired` by the time
/// passed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenState {
    /// Can be used once.
    Open,
    /// Was used.
    Used,
    /// Too late.
    Expired,
    /// An operator withdrew it.
    Revoked,
}

/// A host's TPM keys, as proven at its enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeys {
    /// SHA-256 of the endorsement key's SubjectPublicKeyInfo.
    pub ek_spki_sha256: Digest,
    /// Endorsement key, TPM2B_PUBLIC.
    pub ek_public: Vec<u8>,
    /// Attestation key, TPM2B_PUBLIC.
    pub ak_public: Vec<u8>,
    /// TLS key, TPM2B_PUBLIC.
    pub tls_public: Vec<u8>,
    /// Manufacturer from the EK certificate.
    pub tpm_manufacturer: String,
}

/// What a host's quotes are compared with. JSON documents of `flota_attest`, opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMeasurements {
    /// PCRs expected, JSON.
    pub baseline_json: String,
    /// Newest clock values, JSON; the epoch rules need them.
    pub clock_json: String,
    /// Newest quoted PCRs, JSON.
    pub quoted_json: String,
    /// SHA-256 of the boot log that came with the baseline; none: there was no log.
    pub baseline_log: Option<Digest>,
    /// SHA-256 of the newest boot log.
    pub quoted_log: Option<Digest>,
}

/// A host to be enrolled.
pub struct Enrolment {
    /// Token that admits it; none: a host that is known comes back with the keys of the same TPM.
    pub token: Option<TokenId>,
    /// Its id, minted from its endorsement key.
    pub host: HostId,
    /// Its keys. Of a host with a software key: the SubjectPublicKeyInfo of that key in `tls_public`, its digest in
    /// `ek_spki_sha256`, the rest empty.
    pub keys: HostKeys,
    /// Where its TLS key lives. A host with a software key becomes `Unattested`, not `Pending`.
    pub key_storage: KeyStorage,
    /// Its first measurements.
    pub measurements: HostMeasurements,
    /// When its certificate ends.
    pub certificate_expires_at: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// What came of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrolOutcome {
    /// The host is in, under this name.
    Enrolled {
        /// Its name.
        name: HostName,
    },
    /// The same TPM enrolled again with a new token: keys and measurements were replaced, the name stays.
    Renewed {
        /// Its name.
        name: HostName,
    },
    /// Nothing changed: the token was used, revoked or has expired meanwhile.
    TokenNotUsable(TokenState),
    /// Nothing changed: no such token, or a token for the other kind of host (TPM or software key).
    NoSuchToken,
    /// Nothing changed: it came without a token, and no host of this id is known, or it was shut out, or awaits approval.
    NotKnown,
    /// Nothing changed: another TPM has this host's id or name, or the token was made for another name than this host's.
    NameTaken {
        /// The name that is taken.
        name: HostName,
    },
}

/// Outcome of one attestation, to be stored with its consequences.
pub struct VerdictRecord {
    /// Whose.
    pub host: HostId,
    /// When.
    pub at: Timestamp,
    /// Pass, fail or retry.
    pub verdict: VerdictKind,
    /// Why, stable codes with sentences; empty on a pass.
    pub reasons: Vec<String>,
    /// What the host's trust becomes; none: stays.
    pub trust: Option<(Trust, String)>,
    /// What the quote confirmed; none unless it was genuine.
    pub confirmed: Option<Confirmed>,
    /// New measurements; none unless the quote was genuine.
    pub measurements: Option<HostMeasurements>,
    /// Lease after it. `Keep` on a retry.
    pub lease: Lease,
    /// Policy (name@version) the quote was held to; none: unchanged.
    pub policy: Option<String>,
    /// What the host said of its OEM evidence; none: unchanged.
    pub oem: Option<OemStanding>,
    /// A boot log that is new; stored under its digest.
    pub boot_log: Option<BootLog>,
    /// Escalations that it opens. One that is open already for this host and kind is left as it is.
    pub escalations: Vec<NewEscalation>,
}

/// What a verdict does to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Nothing.
    Keep,
    /// It lasts until then.
    Until(Timestamp),
    /// It ends.
    Drop,
}

/// The boot log of a host, as its firmware wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootLog {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// TCG crypto-agile log.
    pub bytes: Vec<u8>,
}

/// An escalation to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEscalation {
    /// Word: `oem_evidence`, `oem_licence`, `untrusted`, `quarantined`.
    pub kind: String,
    /// A sentence for the security role.
    pub summary: String,
}

/// An escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscalationRecord {
    /// UUID v7.
    pub id: String,
    /// See [`NewEscalation`].
    pub kind: String,
    /// Which host.
    pub host: HostId,
    /// Its name.
    pub host_name: HostName,
    /// A sentence.
    pub summary: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When and by whom it was resolved, and how; none: it is open.
    pub resolved: Option<Resolution>,
    /// What became of the webhook.
    pub delivery: Delivery,
}

/// How an escalation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// When.
    pub at: Timestamp,
    /// By which operator.
    pub by: String,
    /// A sentence.
    pub text: String,
}

/// Delivery of an escalation to the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Still to be delivered; `attempts` have failed, the next is due at `next`.
    Waiting {
        /// Failed attempts.
        attempts: u32,
        /// When the next is due.
        next: Timestamp,
    },
    /// Taken by the other side.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// Given up, or no webhook is configured: a sentence.
    Failed {
        /// Why.
        why: String,
    },
}

/// A policy to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// SHA-256 of the canonical document.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// Canonical JSON.
    pub document_json: String,
    /// Operator.
    pub author: String,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// What came of entering a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddPolicy {
    /// It is a draft of this version (from one, for each name).
    Added {
        /// Its version.
        version: u32,
    },
    /// This very document is there.
    AlreadyThere {
        /// Its version.
        version: u32,
    },
}

/// Where a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyState {
    /// Proposed.
    Draft,
    /// By somebody else than its author.
    Approved,
    /// Accepted beside the active one in a window.
    Staged {
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// What hosts are held to.
    Active,
    /// Was active and is accepted until then.
    Retiring {
        /// Until when.
        until: Timestamp,
    },
    /// No longer accepted.
    Retired,
}

impl PolicyState {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Staged { .. } => "staged",
            Self::Active => "active",
            Self::Retiring { .. } => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// SHA-256 of the canonical document.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// From one, for each name.
    pub version: u32,
    /// Where it stands.
    pub state: PolicyState,
    /// Canonical JSON.
    pub document_json: String,
    /// Operator.
    pub author: String,
    /// Operators who approved it, in order of time.
    pub approvers: Vec<String>,
    /// Why; may be empty.
    pub note: String,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it last became active; none: never.
    pub activated_at: Option<Timestamp>,
}

/// What came of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovePolicy {
    /// It is approved.
    Approved,
    /// Nothing changed: its author may not.
    AuthorMayNot,
    /// Nothing changed: it is no draft.
    NoDraft {
        /// What it is.
        state: PolicyState,
    },
    /// Nothing changed: no such policy.
    NoSuchPolicy,
}

/// What becomes of the policy that was active before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// Retired at once.
    Retired,
    /// Accepted until then.
    AcceptedUntil(Timestamp),
}

/// One attestation of a host's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationRecord {
    /// When.
    pub at: Timestamp,
    /// Pass, fail or retry.
    pub verdict: VerdictKind,
    /// Why.
    pub reasons: Vec<String>,
}

/// Whether a release was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// It is now.
    Published,
    /// It was there already; nothing changed.
    AlreadyThere,
    /// Another package with this id and version is published; nothing changed.
    VersionTaken(Digest),
}

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    /// What it is to do.
    pub spec: RolloutSpec,
    /// What operators want now.
    pub intent: RolloutIntent,
    /// The current plan and its name.
    pub plan: Option<(PlanId, RolloutPlan)>,
    /// When an operator started it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Whether a plan became current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetPlan {
    /// It is now.
    Done,
    /// Another plan became current first; look again.
    ParentMoved,
    /// No such rollout.
    NoSuchRollout(RolloutId),
}

/// Whether a desired state was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetDesired {
    /// It is the host's desired state now.
    Done,
    /// The host already has this very desired state.
    AlreadyThere,
    /// The host has another one of this or a newer generation; look again.
    Superseded {
        /// The host's newest generation.
        newest: Generation,
    },
    /// No such host.
    NoSuchHost,
}

/// A task's result.
pub struct FinishedTask {
    /// Terminal state.
    pub state: TaskState,
    /// A sentence.
    pub detail: String,
    /// The export it made, to be stored with it.
    pub export: Option<Export>,
    /// The health report it made, to be stored with it.
    pub health: Option<HostHealth>,
    /// When.
    pub at: Timestamp,
}

/// Whether a result was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskResultOutcome {
    /// It was.
    Stored,
    /// The task had ended already; nothing changed.
    AlreadyFinished(Box<Task>),
    /// The host has no such task.
    NoSuchTask,
}
