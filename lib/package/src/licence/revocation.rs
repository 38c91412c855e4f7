//! The issuer's list of licences that it took back (manual §3).
//!
//! `{"generated_at", "revoked": [id | {license_id, reason, revoked_at}]}`, signed or not. A signature stands beside those
//! fields and covers all of them, or beside a `payload` that holds them. An entry that cannot be read refuses the whole list:
//! passing over it would let a revoked licence through.

mod check;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use flota_seal::signature::{Signature, SignatureError};
use jiff::{SignedDuration, Timestamp};

use super::{HmacKeys, Licence, LicenceError};
use crate::iso_time;
pub use check::{Remark, RevocationCheck};

/// Largest revocation list, in bytes: room for about a hundred thousand entries with a reason.
pub const MAX_REVOCATION_BYTES: u64 = 16 << 20;

/// How old a list may be before a report warns: issuers publish one a week or more often.
pub const MAX_REVOCATION_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Licences that do not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    generated_at: Timestamp,
    revoked: BTreeMap<String, Revocation>,
}

/// What the list says of one licence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Why, in the issuer's words.
    pub reason: Option<String>,
    /// Since when. The entry counts whatever it says: a clock is set back more easily than a list is forged.
    pub revoked_at: Option<Timestamp>,
}

/// A list as read, its signature not looked at.
#[derive(Debug)]
pub struct UnprovedRevocations {
    list: RevocationList,
    payload: Json,
    signature: Option<Signature>,
}

/// Whether a list must prove where it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureDemand {
    /// With a key, a signature is insisted on; without one, the list is taken as it is.
    #[default]
    WithKey,
    /// A list that is not signed, or that no key is given for, is refused.
    Always,
}

/// Whether a list that counts has proved where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// Its signature was verified.
    Proved,
    /// There was no key to verify one with.
    Unproved,
}

/// Why a revocation list does not count. No licence can be accepted against it.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The file cannot be read, or is too large.
    #[error("reading the revocation list {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Not JSON.
    #[error("the revocation list is not JSON")]
    NotJson(#[source] ParseJsonError),
    /// A field is absent or malformed.
    #[error("`{field}` of the revocation list {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The signature object is malformed.
    #[error("the signature of the revocation list cannot be used")]
    Signature(#[source] SignatureError),
    /// It is not signed, and has to be. Fetch the signed one.
    #[error("the revocation list is not signed")]
    Unsigned,
    /// There is no key to check the signature with. Give the issuer's key.
    #[error("no key was given for the signature of the revocation list (key {0})")]
    NoKey(String),
    /// The signature is not that of this list under that key.
    #[error("the signature of the revocation list is wrong: it was changed, or it is from another issuer")]
    WrongSignature,
    /// A newer one was seen before: this one may not name what was revoked since.
    #[error("the revocation list of {own} is older than the one of {last} seen before")]
    Older {
        /// When this one was made.
        own: Timestamp,
        /// When the newer one was made.
        last: Timestamp,
    },
}

/// Reads the list at `path`.
///
/// # Errors
/// [`RevocationError`], of reading and parsing.
pub fn load(path: &Path) -> Result<UnprovedRevocations, RevocationError> {
    let text = super::read_bounded(path, MAX_REVOCATION_BYTES)
        .map_err(|source| RevocationError::Read { path: path.to_owned(), source })?;
    UnprovedRevocations::parse(&text)
}

impl UnprovedRevocations {
    /// Reads a list, signed or not.
    ///
    /// # Errors
    /// [`RevocationError`], of parsing.
    pub fn parse(text: &[u8]) -> Result<Self, RevocationError> {
        let document = Json::parse(text).map_err(RevocationError::NotJson)?;
        let members = document.as_object().ok_or(wrong("document", "is not an object"))?;
        let signature = match present(&document, "signature") {
            Some(signature) => Some(Signature::from_json(signature).map_err(RevocationError::Signature)?),
            None => None,
        };
        let payload = match present(&document, "payload") {
            Some(_) if present(&document, "revoked").is_some() => {
                return Err(wrong("revoked", "stands both beside `payload` and in it"));
            }
            Some(payload) => payload.clone(),
            None => Json::object(
                members
                    .iter()
                    .filter(|(name, _)| *name != "signature")
                    .map(|(name, value)| (name.clone(), value.clone())),
            ),
        };
        Ok(Self { list: RevocationList::from_payload(&payload)?, payload, signature })
    }

    /// Checks the signature, as far as `demand` and the keys ask for one.
    ///
    /// # Errors
    /// [`RevocationError::Unsigned`], [`RevocationError::NoKey`] or [`RevocationError::WrongSignature`].
    pub fn prove(
        self,
        keys: Option<&HmacKeys>,
        demand: SignatureDemand,
    ) -> Result<(RevocationList, Provenance), RevocationError> {
        match (self.signature, keys.filter(|keys| !keys.is_empty()), demand) {
            (Some(signature), Some(keys), _) => {
                let name = || signature.key_id().unwrap_or("without a name").to_owned();
                let key = keys.find(signature.key_id()).ok_or_else(|| RevocationError::NoKey(name()))?;
                signature.verify(&self.payload, key).map_err(|_| RevocationError::WrongSignature)?;
                Ok((self.list, Provenance::Proved))
            }
            (None, Some(_), _) | (None, None, SignatureDemand::Always) => Err(RevocationError::Unsigned),
            (Some(signature), None, SignatureDemand::Always) => {
                Err(RevocationError::NoKey(signature.key_id().unwrap_or("without a name").to_owned()))
            }
            (_, None, SignatureDemand::WithKey) => Ok((self.list, Provenance::Unproved)),
        }
    }
}

impl RevocationList {
    /// When the issuer made it.
    pub fn generated_at(&self) -> Timestamp {
        self.generated_at
    }

    /// What it says of that licence, if it says anything.
    pub fn of(&self, license_id: &str) -> Option<&Revocation> {
        self.revoked.get(license_id.trim())
    }

    /// How many licences it names.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// Whether it is older than [`MAX_REVOCATION_AGE`]: a newer one may name more.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now.duration_since(self.generated_at) > MAX_REVOCATION_AGE
    }

    /// Refuses a list made before `last`, which is when the newest one seen was made.
    ///
    /// # Errors
    /// [`RevocationError::Older`].
    pub fn check_not_older(&self, last: Timestamp) -> Result<(), RevocationError> {
        let own = self.generated_at;
        if own < last { Err(RevocationError::Older { own, last }) } else { Ok(()) }
    }

    fn from_payload(payload: &Json) -> Result<Self, RevocationError> {
        let generated_at = instant(payload, "generated_at")?.ok_or(wrong("generated_at", "is absent"))?;
        let entries = present(payload, "revoked").ok_or(wrong("revoked", "is absent"))?;
        let entries = entries.as_array().ok_or(wrong("revoked", "is not a list"))?;
        let mut revoked = BTreeMap::new();
        for entry in entries {
            let (id, revocation) = match entry {
                Json::String(id) => (id.trim(), Revocation::default()),
                Json::Object(_) => (
                    text(entry, "license_id")?.ok_or(wrong("license_id", "is absent"))?,
                    Revocation {
                        reason: text(entry, "reason")?.map(str::to_owned),
                        revoked_at: instant(entry, "revoked_at")?,
                    },
                ),
                _ => return Err(wrong("revoked", "has an entry that is neither a name nor an object")),
            };
            if id.is_empty() {
                return Err(wrong("revoked", "has an entry without a name"));
            }
            revoked.insert(id.to_owned(), revocation);
        }
        Ok(Self { generated_at, revoked })
    }
}

impl Licence {
    /// Refuses a licence that the list names.
    ///
    /// # Errors
    /// [`LicenceError::Revoked`].
    pub fn check_not_revoked(&self, list: &RevocationList) -> Result<(), LicenceError> {
        let Some(revocation) = list.of(self.id()) else { return Ok(()) };
        let since = revocation.revoked_at.map(|instant| format!(" at {}", iso_time::format(instant)));
        let reason = revocation.reason.as_deref().map(|reason| format!(": {reason}"));
        let details = since.unwrap_or_default() + reason.as_deref().unwrap_or_default();
        Err(LicenceError::Revoked { id: self.id().to_owned(), details })
    }
}

impl RevocationError {
    /// The stable name of this refusal, for machines. All of them are in `docs/evidence-and-licence.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "license.revocation.unreadable",
            Self::NotJson(_) | Self::Field { .. } => "license.revocation.invalid",
            Self::Unsigned => "license.revocation.unsigned",
            Self::NoKey(_) => "license.revocation.key_unknown",
            Self::Signature(_) | Self::WrongSignature => "license.revocation.signature_invalid",
            Self::Older { .. } => "license.revocation.older",
        }
    }
}

fn present<'a>(object: &'a Json, field: &str) -> Option<&'a Json> {
    object.member(field).filter(|value| !matches!(value, Json::Null))
}

fn text<'a>(object: &'a Json, field: &'static str) -> Result<Option<&'a str>, RevocationError> {
    match present(object, field) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(wrong(field, "is not a string")),
    }
}

fn instant(object: &Json, field: &'static str) -> Result<Option<Timestamp>, RevocationError> {
    text(object, field)?.map(|text| iso_time::parse(text).map_err(|_| wrong(field, "is not a date"))).transpose()
}

fn wrong(field: &'static str, problem: &'static str) -> RevocationError {
    RevocationError::Field { field, problem }
}
