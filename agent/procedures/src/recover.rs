//! Disaster recovery (manual §6): which step comes next, from which files, and what proves it.
//!
//! [`choose_update`] and [`Restoration::plan`] decide; [`Tree::scan`] and [`Restoration::carry_out`] are the only ones
//! that touch the host, and the second alone changes it. [`Progress`] is the journal: a recovery that was killed goes on
//! at its first step that is not done.

mod progress;
mod restore;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::path::PathBuf;

use flota_model::Digest;
use serde::{Deserialize, Serialize};

pub use progress::{FileProof, PROGRESS_PATH, Progress, ProgressError, Request, StepRecord, StepStatus};
pub use restore::{KEPT, Restoration, RestoreError, Restored};
pub use tree::{Entry, MAX_TREE_ENTRIES, Tree, TreeError};

/// A step of the manual's procedure, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Find the last usable exports and packages.
    Find,
    /// Restore the installation from a backup.
    Restore,
    /// Apply the last approved update after checking it.
    Apply,
    /// Prove TPM evidence and licence.
    Prove,
    /// Check bot and exchange.
    Health,
    /// Report to SRE.
    Report,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 6] = [Self::Find, Self::Restore, Self::Apply, Self::Prove, Self::Health, Self::Report];

    /// The name in the journal and the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Restore => "restore",
            Self::Apply => "apply",
            Self::Prove => "prove",
            Self::Health => "health",
            Self::Report => "report",
        }
    }

    /// Whether the steps after it are pointless without it.
    pub fn is_foundation(self) -> bool {
        matches!(self, Self::Find | Self::Restore | Self::Apply)
    }
}

/// A release that was found, and what its check said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRelease {
    /// SHA-256 of its package.
    pub digest: Digest,
    /// The version in its manifest; empty if there is no usable one.
    pub version: String,
    /// The archive, or the unpacked folder.
    pub path: PathBuf,
    /// How it came to be considered.
    pub origin: Origin,
    /// Why it cannot be applied: signature, contents, or this host went back from it. `None` if it can.
    pub refused: Option<String>,
}

/// How a release came to be considered, the strongest claim to be the last approved one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The operator named it.
    Given,
    /// The host's update journal says that it ran.
    Journal,
    /// `current` names it.
    Current,
    /// It is on the host, or in the backup.
    Present,
}

/// Why no update can be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoUpdate {
    /// What the operator named is not good. Nothing else is taken in its place.
    #[error("the package {} cannot be applied: {why}", path.display())]
    GivenIsBad {
        /// The package.
        path: PathBuf,
        /// What its check said.
        why: String,
    },
    /// There is none, or none is good.
    #[error("no approved package was found: name one with --package")]
    Nothing,
    /// There are several, and nothing says which ran last.
    #[error("several approved packages were found and nothing says which ran last ({0}): name one with --package")]
    Ambiguous(String),
}

/// The last approved update among what was found. Pure.
///
/// Approved is what the package key signed; last is what the operator names, else what the journal says ran, else what
/// `current` names, else the only one. Versions are not compared: the highest is not always the approved one.
pub fn choose_update(found: &[FoundRelease]) -> Result<&FoundRelease, NoUpdate> {
    if let Some(given) = found.iter().find(|release| release.origin == Origin::Given) {
        return match &given.refused {
            None => Ok(given),
            Some(why) => Err(NoUpdate::GivenIsBad { path: given.path.clone(), why: why.clone() }),
        };
    }
    let usable = || found.iter().filter(|release| release.refused.is_none());
    if let Some(claimed) = usable().filter(|release| release.origin != Origin::Present).min_by_key(|it| it.origin) {
        return Ok(claimed);
    }
    let distinct: BTreeMap<Digest, &FoundRelease> = usable().map(|release| (release.digest, release)).collect();
    let mut distinct = distinct.into_values();
    match (distinct.next(), distinct.next()) {
        (None, _) => Err(NoUpdate::Nothing),
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => {
            let names = usable().map(|release| format!("{} at {}", release.version, release.path.display()));
            Err(NoUpdate::Ambiguous(names.collect::<Vec<_>>().join(", ")))
        }
    }
}
