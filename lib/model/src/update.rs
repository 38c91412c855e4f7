//! What a host should run, and where it stands on the way there.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::release::ReleaseRef;
use crate::{Digest, RolloutId};

/// Monotonic counter of a host's desired state. Never reused, never decreased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(NonZeroU64);

impl Generation {
    /// The first generation of any host.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// A generation from the wire or the database; zero means none.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number, at least one.
    pub const fn number(self) -> u64 {
        self.0.get()
    }

    /// The generation after `last`, or the first.
    #[must_use]
    pub fn after(last: Option<Self>) -> Self {
        last.map_or(Self::FIRST, |last| Self(last.0.saturating_add(1)))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What the controller wants of one host. Level-triggered: the newest generation supersedes all before it; an older
/// one, or the same one with another goal, is refused by the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredState {
    /// Which of the host's desired states this is.
    pub generation: Generation,
    /// What it wants.
    pub goal: Goal,
    /// The rollout that wants it.
    pub rollout: RolloutId,
}

/// The two things a controller may want of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Goal {
    /// Run this release.
    Install {
        /// Which one.
        release: ReleaseRef,
        /// The fleet goes back on purpose, so a release that was replaced before is welcome.
        intent: Direction,
    },
    /// Stay with what runs, and cancel what has not passed the point of no return (`armed`).
    Stay,
}

/// Whether an installation goes forward, or back to what ran before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// An update.
    Forward,
    /// A rollback of a rollout.
    Back,
}

/// Where a host stands with its newest accepted generation. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdatePhase {
    /// Runs what it should; nothing to do.
    Committed,
    /// Accepted a new goal.
    Offered,
    /// Looks whether the host can take the release: disk, running bot.
    Preflight,
    /// Fetches the package.
    Downloading,
    /// Package checked and unpacked beside the running release.
    Staged,
    /// Writes and uploads the security export that precedes every update.
    Exporting,
    /// Point of no return: from here it ends committed, rolled back or in safe-hold.
    Armed,
    /// Stops the bot, moves `current`, starts the bot.
    Switching,
    /// The new release must prove healthy.
    Probation,
    /// Goes back to the release before.
    RollingBack,
    /// Terminal: went back; the release is refused on this host from now on.
    RolledBack,
    /// Terminal: refused before anything was changed.
    Refused,
    /// Terminal: neither release is healthy; the bot is stopped and a person must act.
    SafeHold,
}

/// A word that names no phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an update phase")]
pub struct InvalidPhase(String);

impl UpdatePhase {
    /// All, in the order of a successful update, then the ways it can fail.
    pub const ALL: [Self; 13] = [
        Self::Committed,
        Self::Offered,
        Self::Preflight,
        Self::Downloading,
        Self::Staged,
        Self::Exporting,
        Self::Armed,
        Self::Switching,
        Self::Probation,
        Self::RollingBack,
        Self::RolledBack,
        Self::Refused,
        Self::SafeHold,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Offered => "offered",
            Self::Preflight => "preflight",
            Self::Downloading => "downloading",
            Self::Staged => "staged",
            Self::Exporting => "exporting",
            Self::Armed => "armed",
            Self::Switching => "switching",
            Self::Probation => "probation",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Refused => "refused",
            Self::SafeHold => "safe_hold",
        }
    }

    /// Nothing more happens for this generation.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Committed | Self::RolledBack | Self::Refused | Self::SafeHold)
    }
}

impl fmt::Display for UpdatePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for UpdatePhase {
    type Err = InvalidPhase;

    fn from_str(text: &str) -> Result<Self, InvalidPhase> {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.ok_or_else(|| InvalidPhase(text.chars().take(40).collect()))
    }
}

/// Where a host says it stands. A claim, until a quote over it passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateReport {
    /// Newest generation the host accepted; none before the first.
    pub generation: Option<Generation>,
    /// Grows by one with each report of this host, for idempotence.
    pub sequence: u64,
    /// Where it stands.
    pub phase: UpdatePhase,
    /// Package that runs; none on a host without a release.
    pub running: Option<Digest>,
    /// Version of what runs; empty when unknown.
    pub version: String,
    /// A sentence for people: why it failed, what it does.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_reads_back() {
        for phase in UpdatePhase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        assert!("committing".parse::<UpdatePhase>().is_err());
    }

    #[test]
    fn generations_only_grow() {
        let first = Generation::after(None);
        assert_eq!(first.number(), 1);
        assert!(Generation::after(Some(first)) > first);
        assert_eq!(Generation::new(0), None);
    }
}
