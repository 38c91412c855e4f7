//! Tokens, keys, and what comes of them.

use flota_model::host::KeyStorage;
use flota_model::{Digest, HostId, HostName, Labels, Timestamp, TokenId};

use super::attestation::HostMeasurements;

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

/// Key derived from an enrolment token (`flota_seal::binding::token_key`). Not Debug: whoever has it can enrol a host.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey(pub [u8; 32]);

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
