//! `var/flota/licence-state.json`: the last licence of each format that this host accepted, so that an older one cannot
//! come back (manual §3).
//!
//! A file that cannot be read is an error wherever it matters and is never replaced: starting afresh is what somebody who
//! wants an old licence back would hope for.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use crate::durable::{self, WriteError};
use crate::iso_time;
use crate::licence::revocation::{RevocationError, RevocationList};
use crate::licence::{Licence, LicenceError, LicenceKind, Standing};

/// The folder of what Flota keeps in an installation, relative to its root. Without it, nothing is remembered.
const FOLDER: &str = "var/flota";

/// Where the state is, relative to the root of the installation.
const STATE_PATH: &str = "var/flota/licence-state.json";

/// Held while the state is replaced: two checks may end at the same time.
const LOCK_PATH: &str = "var/flota/licence-state.lock";

/// Largest state file, in bytes; a real one has a few hundred.
const MAX_STATE_BYTES: u64 = 64 << 10;

/// The format of the file. A file of another one is refused, not guessed at.
const FORMAT_VERSION: u64 = 1;

/// Permissions of the file: it names licences, which are for the operators of the installation only.
const STATE_MODE: u32 = 0o600;

/// What the host remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LicenceState {
    accepted: BTreeMap<&'static str, Accepted>,
    revocations_of: Option<Timestamp>,
}

/// A licence that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where it stands among its successors.
    pub standing: Standing,
    /// When it was accepted, by the clock of this host.
    pub at: Timestamp,
}

/// Why the state cannot be used or kept.
#[derive(Debug, thiserror::Error)]
pub enum LicenceStateError {
    /// The file cannot be read. Let this user read it.
    #[error("reading the licence state {} failed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not JSON.
    #[error("the licence state {} is damaged: {MEND}", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParseJsonError,
    },
    /// The file is JSON of another shape, or of a later version of Flota.
    #[error("the licence state {} has no known format: {MEND}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The lock beside the file cannot be taken.
    #[error("locking {} failed", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The new file cannot be written.
    #[error("keeping the licence state failed")]
    Write(#[from] WriteError),
}

/// Why a licence was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// A newer one was accepted before.
    #[error(transparent)]
    Licence(#[from] LicenceError),
    /// A newer revocation list was seen before.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
    /// The state cannot be used or kept.
    #[error(transparent)]
    State(#[from] LicenceStateError),
}

/// The document is not a state of this version.
struct Unreadable;

/// What a person does about a state that cannot be read.
const MEND: &str =
    "restore it from the backup; only the security team may move it away, which lets older licences in again";

/// Whether the installation at `root` has a place where licences are remembered.
pub fn is_kept(root: &Path) -> bool {
    root.join(FOLDER).is_dir()
}

/// Reads the state of the installation at `root`; before the first licence there is none.
///
/// # Errors
/// [`LicenceStateError`], of reading.
pub fn load(root: &Path) -> Result<LicenceState, LicenceStateError> {
    let path = root.join(STATE_PATH);
    let failed = |source| LicenceStateError::Read { path: path.clone(), source };
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(MAX_STATE_BYTES + 1).read_to_end(&mut text).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LicenceState::default()),
        Err(error) => return Err(failed(error)),
    };
    if text.len() as u64 > MAX_STATE_BYTES {
        return Err(LicenceStateError::UnknownFormat { path });
    }
    let document = Json::parse(&text).map_err(|source| LicenceStateError::NotJson { path: path.clone(), source })?;
    LicenceState::from_json(&document).map_err(|Unreadable| LicenceStateError::UnknownFormat { path })
}

/// Remembers a licence that was proved, and the revocation list that was proved and does not name it. Both are held against
/// what is remembered once more, under the lock: of two checks that end at the same time, the newer licence wins.
///
/// # Errors
/// [`AdmitError`]; the state is then as before.
pub fn admit(
    root: &Path,
    licence: &Licence,
    revocations: Option<&RevocationList>,
    now: Timestamp,
) -> Result<(), AdmitError> {
    let path = root.join(LOCK_PATH);
    let failed = |source| LicenceStateError::Lock { path: path.clone(), source };
    let lock = durable::lock_file(&path).map_err(failed)?;
    // Released when `lock` is closed, also by a crash.
    rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive)).map_err(|errno| failed(errno.into()))?;
    let before = load(root)?;
    let after = before.clone().admitting(licence, revocations, now)?;
    if after != before {
        let text = after.to_json().pretty() + "\n";
        durable::write_file(&root.join(STATE_PATH), STATE_MODE, text.as_bytes()).map_err(LicenceStateError::from)?;
    }
    Ok(())
}

impl LicenceState {
    /// The last accepted licence of that format.
    pub fn last(&self, kind: LicenceKind) -> Option<&Accepted> {
        self.accepted.get(kind.as_str())
    }

    /// When the newest proved revocation list that was seen was made.
    pub fn revocations_of(&self) -> Option<Timestamp> {
        self.revocations_of
    }

    /// Refuses a licence older than the last accepted one of its format.
    ///
    /// # Errors
    /// [`LicenceError::Older`].
    pub fn check(&self, licence: &Licence) -> Result<(), LicenceError> {
        self.last(licence.kind()).map_or(Ok(()), |last| licence.check_not_older(&last.standing))
    }

    /// Refuses a revocation list older than the newest one that was seen.
    ///
    /// # Errors
    /// [`RevocationError::Older`].
    pub fn check_revocations(&self, list: &RevocationList) -> Result<(), RevocationError> {
        self.revocations_of.map_or(Ok(()), |last| list.check_not_older(last))
    }

    /// The state once these are accepted. The time of acceptance is that of the first time.
    fn admitting(
        mut self,
        licence: &Licence,
        revocations: Option<&RevocationList>,
        now: Timestamp,
    ) -> Result<Self, AdmitError> {
        self.check(licence)?;
        if let Some(list) = revocations {
            self.check_revocations(list)?;
            self.revocations_of = Some(list.generated_at());
        }
        let standing = licence.standing();
        if self.last(licence.kind()).is_none_or(|last| last.standing != standing) {
            self.accepted.insert(licence.kind().as_str(), Accepted { standing, at: now });
        }
        Ok(self)
    }

    fn to_json(&self) -> Json {
        let instant = |instant: Timestamp| Json::from(instant.to_string().as_str());
        let accepted = self.accepted.iter().map(|(kind, accepted)| {
            let Standing { license_id, sequence, issued_at } = &accepted.standing;
            let entry = Json::object([
                ("license_id", Json::from(license_id.as_str())),
                ("sequence", sequence.map_or(Json::Null, Json::from)),
                ("issued_at", issued_at.map_or(Json::Null, instant)),
                ("accepted_at", instant(accepted.at)),
            ]);
            (*kind, entry)
        });
        Json::object([
            ("version", Json::from(FORMAT_VERSION)),
            ("accepted", Json::object(accepted)),
            ("revocations_of", self.revocations_of.map_or(Json::Null, instant)),
        ])
    }

    fn from_json(document: &Json) -> Result<Self, Unreadable> {
        if document.member("version").and_then(Json::as_u64) != Some(FORMAT_VERSION) {
            return Err(Unreadable);
        }
        let revocations_of = optional(document, "revocations_of", instant)?;
        let mut state = Self { accepted: BTreeMap::new(), revocations_of };
        for (name, entry) in document.member("accepted").and_then(Json::as_object).ok_or(Unreadable)? {
            let mut kinds = [LicenceKind::Oem, LicenceKind::Offline].into_iter();
            let kind = kinds.find(|kind| kind.as_str() == name).ok_or(Unreadable)?;
            let license_id = entry.member("license_id").and_then(Json::as_str).ok_or(Unreadable)?;
            let standing = Standing {
                license_id: license_id.to_owned(),
                sequence: optional(entry, "sequence", Json::as_u64)?,
                issued_at: optional(entry, "issued_at", instant)?,
            };
            let at = entry.member("accepted_at").and_then(instant).ok_or(Unreadable)?;
            state.accepted.insert(kind.as_str(), Accepted { standing, at });
        }
        Ok(state)
    }
}

impl LicenceStateError {
    /// The stable name of this problem, for machines. All of them are in `docs/evidence-and-licence.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "license.state.unreadable",
            Self::NotJson { .. } | Self::UnknownFormat { .. } => "license.state.invalid",
            Self::Lock { .. } | Self::Write(_) => "license.state.not_kept",
        }
    }
}

/// The instant.
fn instant(value: &Json) -> Option<Timestamp> {
    iso_time::parse(value.as_str()?).ok()
}

/// What `read` makes of a member that may be `null`.
fn optional<T>(object: &Json, name: &str, read: fn(&Json) -> Option<T>) -> Result<Option<T>, Unreadable> {
    match object.member(name).ok_or(Unreadable)? {
        Json::Null => Ok(None),
        value => read(value).ok_or(Unreadable).map(Some),
    }
}
