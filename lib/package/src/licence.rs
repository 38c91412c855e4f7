//! Licences of the bot (manual §3): who may run it, until when, on which host. Two formats are read.
//!
//! `license.json` is signed with an HMAC whose keys are named; `.lic` is signed with one Ed25519 key. A [`SignedLicence`] is only
//! what a file claims; [`SignedLicence::verify`] is what makes it a [`Licence`] to rely on.

mod fields;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_seal::ed25519;
use flota_seal::json::{Json, ParseJsonError};
use flota_seal::secret::{Secret, SecretError};
use flota_seal::signature::{Signature, SignatureError};
use jiff::{SignedDuration, Timestamp};

use fields::Fields;

/// Largest licence or key file, in bytes; real ones have a few kilobytes.
pub const MAX_LICENCE_BYTES: u64 = 1 << 20;

/// How far in the future a licence may have been issued: clocks of issuers and hosts differ.
pub const ISSUED_AT_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// What a licence grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    kind: LicenceKind,
    id: String,
    profile: Option<String>,
    fingerprint: Option<String>,
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    maintenance_until: Option<Timestamp>,
    sequence: Option<u64>,
    modules: Vec<String>,
    environments: Vec<String>,
}

/// The format that a licence came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LicenceKind {
    /// `license.json`, schema `core.oem.license`.
    Oem,
    /// `.lic`.
    Offline,
}

/// A licence as read, its signature not looked at.
#[derive(Debug)]
pub struct SignedLicence {
    licence: Licence,
    seal: Seal,
}

/// The keys that licences are proved with.
#[derive(Default)]
pub struct LicenceKeys {
    oem: BTreeMap<String, Secret>,
    offline: Option<[u8; 32]>,
}

/// Which of two licences is the newer; see [`Licence::check_not_older`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// `sequence`, if the licence has one.
    pub sequence: Option<u64>,
    /// `issued_at`, if the licence has one.
    pub issued_at: Option<Timestamp>,
}

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
    /// There is no key to check the signature with. Give the issuer's keys.
    #[error("no key was given for the signature of the licence (key {0})")]
    NoKey(String),
    /// The signature is not that of this payload under that key.
    #[error("the signature of the licence is wrong: it was changed, or it is from another issuer")]
    WrongSignature,
    /// It is issued in the future. Check the clock of the host.
    #[error("the licence is issued in the future ({0}): check the clock")]
    NotYetValid(Timestamp),
    /// It has run out. Ask the issuer for a new one.
    #[error("the licence expired at {0}")]
    Expired(Timestamp),
    /// A newer one was accepted before; an older one is not taken back.
    #[error("the licence is older than the one accepted before")]
    Older,
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
    /// A secret is malformed.
    #[error("a licence key cannot be used")]
    Secret(#[source] SecretError),
    /// The Ed25519 public key is not 32 bytes in hexadecimal.
    #[error("the public key for .lic licences is not 64 hexadecimal digits")]
    PublicKey,
}

/// What the signature is and what it covers.
#[derive(Debug)]
enum Seal {
    Hmac { signature: Signature, payload: Json },
    Ed25519 { signature: Vec<u8>, payload: Vec<u8> },
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
    let failed = |source| LicenceError::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_LICENCE_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_LICENCE_BYTES {
        return Err(failed(io::Error::other(format!("it has more than {MAX_LICENCE_BYTES} bytes"))));
    }
    SignedLicence::parse(&text)
}

impl SignedLicence {
    /// Reads a licence of either format, told by its fields.
    ///
    /// # Errors
    /// [`LicenceError`], of parsing.
    pub fn parse(text: &[u8]) -> Result<Self, LicenceError> {
        let document = Json::parse(text).map_err(LicenceError::NotJson)?;
        if let (Some(payload), Some(signature)) = (document.member("payload"), document.member("signature")) {
            let signature = Signature::from_json(signature).map_err(LicenceError::Signature)?;
            let licence = Licence::from_oem(&Fields(payload))?;
            return Ok(Self { licence, seal: Seal::Hmac { signature, payload: payload.clone() } });
        }
        let encoded = |name| document.member(name).and_then(Json::as_str);
        let (Some(payload), Some(signature)) = (encoded("payload_b64"), encoded("signature_b64")) else {
            return Err(LicenceError::NotALicence);
        };
        let decode = |field, text: &str| {
            STANDARD.decode(text.trim()).map_err(|_| LicenceError::Field { field, problem: "is not Base64" })
        };
        let payload = decode("payload_b64", payload)?;
        let signature = decode("signature_b64", signature)?;
        let licence = Licence::from_offline(&Fields(&Json::parse(&payload).map_err(LicenceError::NotJson)?))?;
        Ok(Self { licence, seal: Seal::Ed25519 { signature, payload } })
    }

    /// What the file claims. Nothing proves it: use it to show, not to decide.
    pub fn claims(&self) -> &Licence {
        &self.licence
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`LicenceError::NoKey`] or [`LicenceError::WrongSignature`].
    pub fn verify(self, keys: &LicenceKeys) -> Result<Licence, LicenceError> {
        let genuine = match &self.seal {
            Seal::Hmac { signature, payload } => {
                let key = keys.oem_key(signature.key_id())?;
                signature.verify(payload, key).is_ok()
            }
            Seal::Ed25519 { signature, payload } => {
                let key = keys.offline.as_ref().ok_or_else(|| LicenceError::NoKey("for .lic licences".to_owned()))?;
                ed25519::verify(key, payload, signature).is_ok()
            }
        };
        if genuine { Ok(self.licence) } else { Err(LicenceError::WrongSignature) }
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

    /// `profile`, or the `edition` of a `.lic`: what packages' `allowed_profiles` name.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The host it is bound to: `fingerprint`, or the `hwid` of a `.lic`. `None` if it is bound to none.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// `expires_at`, or the end of a trial. `None` if it never ends.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// `maintenance_until` of a `.lic`.
    pub fn maintenance_until(&self) -> Option<Timestamp> {
        self.maintenance_until
    }

    /// `modules` of a `.lic`.
    pub fn modules(&self) -> &[String] {
        &self.modules
    }

    /// `environments` of a `.lic`.
    pub fn environments(&self) -> &[String] {
        &self.environments
    }

    /// Where it stands among its successors; to be remembered once it is accepted.
    pub fn standing(&self) -> Standing {
        Standing { sequence: self.sequence, issued_at: self.issued_at }
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

    /// Refuses a licence older than the last accepted one: by `sequence` if both have it, else by `issued_at`.
    ///
    /// # Errors
    /// [`LicenceError::Older`]; also if `last` has what orders it and this one has not.
    pub fn check_not_older(&self, last: Standing) -> Result<(), LicenceError> {
        let own = self.standing();
        let older = match (own.sequence, last.sequence) {
            (Some(own), Some(last)) => own < last,
            _ => match (own.issued_at, last.issued_at) {
                (Some(own), Some(last)) => own < last,
                (None, Some(_)) => true,
                (_, None) => own.sequence.is_none() && last.sequence.is_some(),
            },
        };
        if older { Err(LicenceError::Older) } else { Ok(()) }
    }
}

impl LicenceKeys {
    /// Adds the HMAC keys of `{"keys": {id: secret}}`. `origin` names the file or variable in errors.
    ///
    /// # Errors
    /// [`LicenceKeysError`].
    pub fn with_oem_keys(mut self, text: &[u8], origin: &str) -> Result<Self, LicenceKeysError> {
        let document = Json::parse(text).map_err(LicenceKeysError::NotJson)?;
        let keys = document.member("keys").unwrap_or(&document).as_object().ok_or(LicenceKeysError::WrongShape)?;
        for (id, secret) in keys {
            let secret = secret.as_str().ok_or(LicenceKeysError::WrongShape)?;
            let secret = Secret::decode(secret, &format!("{id} in {origin}")).map_err(LicenceKeysError::Secret)?;
            self.oem.insert(id.clone(), secret);
        }
        Ok(self)
    }

    /// Sets the Ed25519 public key of `.lic` licences, in hexadecimal.
    ///
    /// # Errors
    /// [`LicenceKeysError::PublicKey`].
    pub fn with_offline_key(mut self, hexadecimal: &str) -> Result<Self, LicenceKeysError> {
        let mut key = [0; 32];
        hex::decode_to_slice(hexadecimal.trim(), &mut key).map_err(|_| LicenceKeysError::PublicKey)?;
        self.offline = Some(key);
        Ok(self)
    }

    /// The key of that name; without a name, the only key.
    fn oem_key(&self, id: Option<&str>) -> Result<&Secret, LicenceError> {
        let key = match id {
            Some(id) => self.oem.get(id),
            None if self.oem.len() == 1 => self.oem.values().next(),
            None => None,
        };
        key.ok_or_else(|| LicenceError::NoKey(id.unwrap_or("without a name").to_owned()))
    }
}
