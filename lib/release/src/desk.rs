//! The folder in which releases are signed: a TUF repository, and the drafts that wait for signatures.
//!
//! | in the folder | what |
//! |---|---|
//! | `metadata/` | what is signed: every root, and the newest of the other roles |
//! | `targets/` | packages, as `<sha256>.<name>` |
//! | `draft/` | metadata that have not enough signatures yet |
//! | `desk.json` | how long metadata hold, and the last sequence number given |
//! | `keys/` | keys made here; the offline ones are carried away from here |
//!
//! Every change makes a draft; [`Desk::sign`] adds signatures, and moves to `metadata/` what has enough of them. Holders
//! of keys may do that one after the other, each on a machine of their own with a copy of the folder.

mod change;
mod files;
mod sign;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use flota_package::CannotCheck;
use flota_package::durable::WriteError;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tough::schema::{Root, Signed, Targets};

use crate::catalogue::{Entry, entries};
use crate::key::PublicKey;
use crate::names::Role;
use crate::refusal::Refusal;

pub use change::{Addition, RootChange};
pub(crate) use files::{METADATA, TARGETS};
pub use sign::{Progress, Unsigned};

/// Who may sign for a role, and how many of them must.
#[derive(Debug, Clone)]
pub struct Party {
    /// Their keys.
    pub keys: Vec<PublicKey>,
    /// How many must sign; at least one, at most all.
    pub threshold: u64,
}

/// How a desk begins.
#[derive(Debug, Clone)]
pub struct Founding {
    /// Who signs for each role.
    pub parties: BTreeMap<Role, Party>,
    /// How long metadata hold.
    pub lifetimes: Lifetimes,
}

/// How long metadata hold from when they are made, in days. Short lives bound how long an old state can be shown to hosts
/// (TUF: indefinite freeze attack); long ones ask less of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// Of the root.
    pub root_days: u16,
    /// Of the list of releases.
    pub targets_days: u16,
    /// Of snapshots.
    pub snapshot_days: u16,
    /// Of timestamps.
    pub timestamp_days: u16,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { root_days: 365, targets_days: 90, snapshot_days: 30, timestamp_days: 30 }
    }
}

impl Lifetimes {
    fn expiry(self, role: Role, now: Timestamp) -> Timestamp {
        let days = match role {
            Role::Root => self.root_days,
            Role::Targets => self.targets_days,
            Role::Snapshot => self.snapshot_days,
            Role::Timestamp => self.timestamp_days,
        };
        whole(now).saturating_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX)
    }
}

/// Metadata have whole seconds.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Why the desk did not do it. Nothing was half done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The folder is one already.
    #[error("releases are signed in {} already", .0.display())]
    AlreadyThere(PathBuf),
    /// The folder is none.
    #[error("{} is no folder in which releases are signed: make one with flota release init", .0.display())]
    NotADesk(PathBuf),
    /// Somebody else is at it.
    #[error("another program works in {}", .0.display())]
    Busy(PathBuf),
    /// A file cannot be reached.
    #[error("reaching {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of the desk is not what it should be.
    #[error("{} is damaged: take it from a copy of the folder", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The parties make no sense.
    #[error("the {role} role needs from 1 to {keys} signatures, not {threshold}: {keys} keys are given for it")]
    Threshold {
        /// Whose.
        role: Role,
        /// Keys given.
        keys: usize,
        /// Signatures asked for.
        threshold: u64,
    },
    /// The root of this desk has not enough signatures yet.
    #[error("the root of this folder is not signed yet: flota release sign")]
    NoRoot,
    /// The package is not whole.
    #[error("the package {} is not good: {why}", path.display())]
    Package {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The package cannot even be checked.
    #[error("the package {} is not good", path.display())]
    Check {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: CannotCheck,
    },
    /// A version means one package for ever.
    #[error("version {0} is signed already: give the package a new one")]
    VersionTaken(String),
    /// No such release.
    #[error("no release of version {0} is signed here")]
    NoSuchVersion(String),
    /// The terms make no sense.
    #[error("the terms of the release make no sense: {0}")]
    Terms(String),
    /// The list of releases cannot be what it is.
    #[error("reading the list of releases")]
    Releases(#[from] Refusal),
    /// A key cannot be taken away.
    #[error("no key {0} signs for the {1} role")]
    NoSuchKey(String, Role),
    /// A fault of the program.
    #[error("encoding metadata: {0}")]
    Encode(String),
}

/// What the desk remembers beside the metadata.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    lifetimes: Lifetimes,
    last_sequence: u64,
}

/// The folder. One process at a time has it open.
#[derive(Debug)]
pub struct Desk {
    folder: PathBuf,
    notes: Notes,
    _lock: std::fs::File,
}

impl Desk {
    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the packages' metadata are.
    pub fn metadata_folder(&self) -> PathBuf {
        self.folder.join(METADATA)
    }

    /// The package of a release.
    pub fn package(&self, entry: &Entry) -> PathBuf {
        self.folder.join(TARGETS).join(format!("{}.{}", entry.digest, entry.name))
    }

    /// The releases as they are signed; `None` before the first.
    pub fn releases(&self) -> Result<Vec<Entry>, DeskError> {
        match self.newest::<Targets>(Role::Targets)? {
            Some(targets) => Ok(entries(&targets)?),
            None => Ok(Vec::new()),
        }
    }

    /// The releases as they will be once the draft is signed.
    pub fn drafted(&self) -> Result<Vec<Entry>, DeskError> {
        match self.draft::<Targets>(Role::Targets)? {
            Some(targets) => Ok(entries(&targets)?),
            None => self.releases(),
        }
    }

    /// All that is signed, by file name: what a controller or a mirror is given.
    pub fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, DeskError> {
        let mut files = self.root_files()?;
        for role in [Role::Targets, Role::Snapshot, Role::Timestamp] {
            if let Some((name, bytes)) = self.newest_file(role)? {
                files.insert(name, bytes);
            }
        }
        Ok(files)
    }

    fn root(&self) -> Result<Signed<Root>, DeskError> {
        self.newest::<Root>(Role::Root)?.ok_or(DeskError::NoRoot)
    }
}
