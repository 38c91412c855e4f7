//! Why a licence does not count, with a code for machines and a mend for people.

use std::io;
use std::path::PathBuf;

use flota_seal::json::ParseJsonError;
use flota_seal::secret::SecretError;
use flota_seal::signature::SignatureError;
use jiff::Timestamp;

use crate::key::KeyError;

/// Why a licence does not count.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    /// The file cannot be read, or is too large to be a licence.
    #[error("reading {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file, or the payload in it, is not JSON.
    #[error("the licence is not JSON")]
    NotJson(#[source] ParseJsonError),
    /// The document has neither shape.
    #[error(
        "the file is not a licence: it has neither `payload` and `signature` nor `payload_b64` and `signature_b64`"
    )]
    NotALicence,
    /// The document has both shapes: which of them a reader looks at must not matter.
    #[error("the file is two licences at once: it has both `payload` and `payload_b64`")]
    TwoLicences,
    /// A field is absent or malformed.
    #[error("`{field}` of the licence {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The signature object is malformed.
    #[error("the signature of the licence cannot be used")]
    Signature(#[source] SignatureError),
    /// The signature of a `.lic` has not the 64 bytes of Ed25519 (RFC 8032 §5.1.6).
    #[error("the signature of the licence has {0} bytes where 64 belong")]
    SignatureLength(usize),
    /// There is no key to check the signature with. Give the issuer's keys.
    #[error("no key was given for the signature of the licence (key {0})")]
    NoKey(String),
    /// The signature is not that of this payload under that key.
    #[error("the signature of the licence is wrong: it was changed, or it is from another issuer")]
    WrongSignature,
    /// The signature object of the fingerprint is malformed.
    #[error("the signature of the licence's fingerprint cannot be used")]
    FingerprintSignature(#[source] SignatureError),
    /// There is no key to check the signature of the fingerprint with. Give the issuer's keys.
    #[error("no key was given for the signature of the licence's fingerprint (key {0})")]
    NoFingerprintKey(String),
    /// `fingerprint_signature` is not that of `fingerprint_payload` under that key.
    #[error("the signature of the licence's fingerprint is wrong: the fingerprint was not issued with this licence")]
    WrongFingerprintSignature,
    /// `fingerprint_payload` is about another host than `fingerprint`.
    #[error("`fingerprint` of the licence is not the one of its `fingerprint_payload`")]
    FingerprintsDiffer,
    /// It is issued in the future. Check the clock of the host.
    #[error("the licence is issued in the future ({0}): check the clock")]
    NotYetValid(Timestamp),
    /// It has run out. Ask the issuer for a new one.
    #[error("the licence expired at {0}")]
    Expired(Timestamp),
    /// A newer one was accepted before; an older one is not taken back.
    #[error("the licence is older than the one accepted before ({0})")]
    Older(String),
    /// The issuer took it back.
    #[error("the licence {id} was revoked{details}")]
    Revoked {
        /// `license_id`.
        id: String,
        /// When and why, as far as the list says: empty, or beginning with a separator.
        details: String,
    },
}

/// Why keys cannot be used. Whoever configured them has to mend them.
#[derive(Debug, thiserror::Error)]
pub enum LicenceKeysError {
    /// Not JSON.
    #[error("the licence keys are not JSON")]
    NotJson(#[source] ParseJsonError),
    /// JSON of another shape than `{"keys": {id: secret}}`.
    #[error("the licence keys are not an object of key names and secrets")]
    WrongShape,
    /// Two keys have one name. Which of them counts would depend on the reader: remove one.
    #[error("the licence keys name {0} twice: remove one")]
    Repeated(String),
    /// A secret is malformed.
    #[error("a licence key cannot be used")]
    Secret(#[source] SecretError),
    /// An Ed25519 public key is not 32 bytes in hexadecimal.
    #[error("the public key for .lic licences is not 64 hexadecimal digits")]
    PublicKey,
}

/// Why there are no HMAC keys. Neither a value nor the contents of a file are ever repeated.
#[derive(Debug, thiserror::Error)]
pub enum HmacKeysError {
    /// The one key cannot be had.
    #[error(transparent)]
    One(#[from] KeyError),
    /// Several keys by name cannot be had.
    #[error("reading the keys that {origin} names")]
    Several {
        /// The flag or variable.
        origin: String,
        /// The cause.
        source: LicenceKeysError,
    },
}

impl LicenceError {
    /// The stable name of this refusal, for machines. All of them are in `docs/evidence-and-licence.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "license.unreadable",
            Self::NotJson(_) => "license.not_json",
            Self::NotALicence | Self::TwoLicences => "license.format.unknown",
            Self::Field { .. } => "license.field.invalid",
            Self::Signature(_) | Self::SignatureLength(_) => "license.signature.malformed",
            Self::NoKey(_) => "license.key.unknown",
            Self::WrongSignature => "license.signature.invalid",
            Self::FingerprintSignature(_) | Self::WrongFingerprintSignature => "license.fingerprint.signature_invalid",
            Self::NoFingerprintKey(_) => "license.fingerprint.key_unknown",
            Self::FingerprintsDiffer => "license.fingerprint.mismatch",
            Self::NotYetValid(_) => "license.not_yet_valid",
            Self::Expired(_) => "license.expired",
            Self::Older(_) => "license.older",
            Self::Revoked { .. } => "license.revoked",
        }
    }
}
