//! The plan of a rollout, and where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::TargetPlan;
use crate::{Digest, HostId, RolloutId, Timestamp};

/// Where a rollout stands. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Created, not started.
    Draft,
    /// Started; persons who must approve it have not yet. Nothing starts.
    AwaitingApproval,
    /// Goes on by itself.
    Running,
    /// A person stopped it for now.
    Paused,
    /// It stopped itself for want of data: nobody knows whether updated hosts are well. A person must decide.
    Inconclusive,
    /// It stopped itself; a person must decide.
    Halted,
    /// Waits for hosts in motion before it ends.
    Aborting,
    /// Terminal: stopped by a person.
    Aborted,
    /// Terminal: another rollout took its place.
    Superseded,
    /// Terminal: its deadline passed before every host was started.
    Expired,
    /// Terminal: every target runs the release, confirmed by quotes.
    Succeeded,
    /// Terminal: done, with failures that a person accepted.
    SucceededWithExceptions,
}

impl RolloutState {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Draft,
        Self::AwaitingApproval,
        Self::Running,
        Self::Paused,
        Self::Inconclusive,
        Self::Halted,
        Self::Aborting,
        Self::Aborted,
        Self::Superseded,
        Self::Expired,
        Self::Succeeded,
        Self::SucceededWithExceptions,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Inconclusive => "inconclusive",
            Self::Halted => "halted",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Succeeded => "succeeded",
            Self::SucceededWithExceptions => "succeeded_with_exceptions",
        }
    }

    /// Nothing more happens.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Aborted | Self::Superseded | Self::Expired | Self::Succeeded | Self::SucceededWithExceptions
        )
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no rollout state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rollout state")]
pub struct InvalidRolloutState(String);

impl FromStr for RolloutState {
    type Err = InvalidRolloutState;

    fn from_str(text: &str) -> Result<Self, InvalidRolloutState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| InvalidRolloutState(text.chars().take(40).collect()))
    }
}

/// The plan of a rollout at one moment. Immutable; the next one names it as its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutPlan {
    /// Whose.
    pub rollout: RolloutId,
    /// The plan it follows; none for the first.
    pub parent: Option<PlanId>,
    /// Counted from one along the parents.
    pub revision: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// Where the rollout stands.
    pub state: RolloutState,
    /// Why, in a sentence.
    pub cause: String,
    /// Index of the wave that may start hosts.
    pub wave: usize,
    /// When the wave before that one had passed; its bake time counts from here.
    pub wave_passed_at: Option<Timestamp>,
    /// The wave at whose end it stands by itself: its gates failed, or it was to pause there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_after: Option<usize>,
    /// Every target.
    pub targets: BTreeMap<HostId, TargetPlan>,
}

/// A plan's name: the SHA-256 of its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(pub Digest);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back() {
        for state in RolloutState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
