//! Licences of the bot (manual §3): who may run it, until when, on which host. Two formats are read.
//!
//! `license.json` is signed with an HMAC whose keys are named; `.lic` is signed with one Ed25519 key. A [`SignedLicence`] is only
//! what a file claims; [`SignedLicence::verify`] is what makes it a [`Licence`] to rely on.

mod error;
mod fields;
mod keys;
mod repeated;
pub mod revocation;
mod standing;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_seal::ed25519;
use flota_seal::json::Json;
use flota_seal::signature::Signature;
use jiff::{SignedDuration, Timestamp};

pub use error::{HmacKeysError, LicenceError, LicenceKeysError};
pub use keys::{HmacKeys, LicenceKeys};
pub use repeated::repeated_name;
pub use standing::Standing;

use fields::Fields;

/// Largest licence or key file, in bytes; real ones have a few kilobytes.
pub const MAX_LICENCE_BYTES: u64 = 1 << 20;

/// How far in the future a licence may have been issued: clocks of issuers and hosts differ.
pub const ISSUED_AT_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Bytes of an Ed25519 signature (RFC 8032 §5.1.6).
const SIGNATURE_BYTES: usize = 64;

/// What a licence grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    kind: LicenceKind,
    id: String,
    issuer: Option<String>,
    profile: Option<String>,
    edition: Option<String>,
    fingerprint: Option<String>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    maintenance_until: Option<Timestamp>,
    sequence: Option<u64>,
    term: Term,
    modules: Vec<String>,
    environments: Vec<String>,
}

/// Whether a licence was bought or is on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Bought.
    Full,
    /// On trial: `trial` of the payload says so.
    Trial,
}

/// The format that a licence came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LicenceKind {
    /// `license.json`, schema `core.oem.license`.
    Oem,
    /// `.lic`.
    Offline,
}

impl LicenceKind {
    /// The spelling in reports and state: `oem` or `lic`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oem => "oem",
            Self::Offline => "lic",
        }
    }
}

/// A licence as read, its signature not looked at.
#[derive(Debug)]
pub struct SignedLicence {
    licence: Licence,
    seal: Seal,
}

/// What the signature is and what it covers.
#[derive(Debug)]
enum Seal {
    Hmac { signature: Signature, payload: Json, fingerprint: Option<SignedFingerprint> },
    Ed25519 { signature: [u8; SIGNATURE_BYTES], payload: Vec<u8> },
}

/// `fingerprint_signature` and the `fingerprint_payload` that it covers.
#[derive(Debug)]
struct SignedFingerprint {
    signature: Signature,
    payload: Json,
}

/// Reads a licence file and insists that it is proved and in force at `now`.
///
/// # Errors
/// [`LicenceError`].
pub fn load_valid(path: &Path, keys: &LicenceKeys, now: Timestamp) -> Result<Licence, LicenceError> {
    let licence = load(path)?.verify(keys)?;
    licence.check_in_force(now)?;
    Ok(licence)
}

/// Reads a licence file of either format.
///
/// # Errors
/// [`LicenceError`], of reading and parsing.
pub fn load(path: &Path) -> Result<SignedLicence, LicenceError> {
    let text =
        read_bounded(path, MAX_LICENCE_BYTES).map_err(|source| LicenceError::Read { path: path.to_owned(), source })?;
    SignedLicence::parse(&text)
}

impl SignedLicence {
    /// Reads a licence of either format, told by its fields.
    ///
    /// # Errors
    /// [`LicenceError`], of parsing.
    pub fn parse(text: &[u8]) -> Result<Self, LicenceError> {
        let document = Json::parse(text).map_err(LicenceError::NotJson)?;
        let encoded = |name| document.member(name).and_then(Json::as_str);
        match (document.member("payload"), encoded("payload_b64")) {
            (Some(_), Some(_)) => Err(LicenceError::TwoLicences),
            (Some(payload), None) => Self::oem(payload, document.member("signature").ok_or(LicenceError::NotALicence)?),
            (None, Some(payload)) => Self::offline(payload, encoded("signature_b64").ok_or(LicenceError::NotALicence)?),
            (None, None) => Err(LicenceError::NotALicence),
        }
    }

    fn oem(payload: &Json, signature: &Json) -> Result<Self, LicenceError> {
        let fields = Fields(payload);
        let licence = Licence::from_oem(&fields)?;
        let signature = Signature::from_json(signature).map_err(LicenceError::Signature)?;
        let fingerprint = fields.signed_fingerprint()?;
        Ok(Self { licence, seal: Seal::Hmac { signature, payload: payload.clone(), fingerprint } })
    }

    fn offline(payload: &str, signature: &str) -> Result<Self, LicenceError> {
        let decode = |field, text: &str| {
            STANDARD.decode(text.trim()).map_err(|_| LicenceError::Field { field, problem: "is not Base64" })
        };
        let payload = decode("payload_b64", payload)?;
        let signature = decode("signature_b64", signature)?;
        let signature = signature.try_into().map_err(|bytes: Vec<u8>| LicenceError::SignatureLength(bytes.len()))?;
        let licence = Licence::from_offline(&Fields(&Json::parse(&payload).map_err(LicenceError::NotJson)?))?;
        Ok(Self { licence, seal: Seal::Ed25519 { signature, payload } })
    }

    /// What the file claims. Nothing proves it: use it to show, not to decide.
    pub fn claims(&self) -> &Licence {
        &self.licence
    }

    /// Checks the signature, and that of the fingerprint where the licence has one.
    ///
    /// # Errors
    /// [`LicenceError::NoKey`], [`LicenceError::WrongSignature`] and their counterparts for the fingerprint.
    pub fn verify(self, keys: &LicenceKeys) -> Result<Licence, LicenceError> {
        match &self.seal {
            Seal::Hmac { signature, payload, fingerprint } => {
                let key = keys.oem_key(signature.key_id(), LicenceError::NoKey)?;
                signature.verify(payload, key).map_err(|_| LicenceError::WrongSignature)?;
                if let Some(SignedFingerprint { signature, payload }) = fingerprint {
                    let key = keys.oem_key(signature.key_id(), LicenceError::NoFingerprintKey)?;
                    signature.verify(payload, key).map_err(|_| LicenceError::WrongFingerprintSignature)?;
                }
            }
            Seal::Ed25519 { signature, payload } => {
                let keys = keys.offline_keys();
                if keys.is_empty() {
                    return Err(LicenceError::NoKey("for .lic licences".to_owned()));
                }
                if !keys.iter().any(|key| ed25519::verify(key, payload, signature).is_ok()) {
                    return Err(LicenceError::WrongSignature);
                }
            }
        }
        Ok(self.licence)
    }
}

impl Licence {
    /// The format it came in.
    pub fn kind(&self) -> LicenceKind {
        self.kind
    }

    /// `license_id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `issuer`, if it names one.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `profile`, or the `edition` of a `.lic`: what packages' `allowed_profiles` name.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// `edition`: what a package's `min_edition` is held against. `None` if the licence names none.
    pub fn edition(&self) -> Option<&str> {
        self.edition.as_deref()
    }

    /// The host it is bound to: `fingerprint`, or the `hwid` of a `.lic`. `None` if it is bound to none.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// `issued_at`. Only a `.lic` may have none.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// `expires_at`, or the end of a trial. `None` if it never ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// `maintenance_until`: updates that came out later are not covered. The licence itself runs on.
    pub fn maintenance_until(&self) -> Option<Timestamp> {
        self.maintenance_until
    }

    /// `sequence`: its place among licences of this id.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }

    /// Whether it was bought or is on trial.
    pub fn term(&self) -> Term {
        self.term
    }

    /// `modules`: the names of those it unlocks, what a package's `required_modules` are held against.
    pub fn modules(&self) -> &[String] {
        &self.modules
    }

    /// `environments`: the names of those it may be used in. Empty: any.
    pub fn environments(&self) -> &[String] {
        &self.environments
    }

    /// Refuses a licence that is not in force at `now`. The instant of expiry is already outside.
    ///
    /// # Errors
    /// [`LicenceError::NotYetValid`] or [`LicenceError::Expired`].
    pub fn check_in_force(&self, now: Timestamp) -> Result<(), LicenceError> {
        if let Some(issued_at) = self.issued_at.filter(|issued_at| issued_at.duration_since(now) > ISSUED_AT_TOLERANCE)
        {
            return Err(LicenceError::NotYetValid(issued_at));
        }
        match self.expires_at.filter(|expires_at| *expires_at <= now) {
            Some(expires_at) => Err(LicenceError::Expired(expires_at)),
            None => Ok(()),
        }
    }
}

/// Reads a small file whole; a larger one is an error and not a strain on memory.
fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(text)
}
