//! What goes into the store and comes out of it, beyond the model.

use flota_model::host::{Confirmed, Trust, VerdictKind};
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
}

/// A host to be enrolled.
pub struct Enrolment {
    /// Token that admits it.
    pub token: TokenId,
    /// Its id, minted from its endorsement key.
    pub host: HostId,
    /// Its keys.
    pub keys: HostKeys,
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
    /// Nothing changed: no such token.
    NoSuchToken,
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
