//! Rollouts: what an operator asked for, the plan that follows from it, and why each host is where it is.
//!
//! A plan is immutable data with a parent. It leaves no meaningful choice to the executor: every target that may start
//! carries the generation it starts with (ADR-0002).

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::release::ReleaseRef;
use crate::update::{Direction, Generation};
use crate::window::Window;
use crate::{Digest, HostId, HostName, RolloutId, Timestamp};

/// What a rollout is to do. Frozen when it is created: hosts that come later are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutSpec {
    /// Its number.
    pub id: RolloutId,
    /// What it brings; of a rollback, what most hosts go back to.
    pub release: ReleaseRef,
    /// Forward, or back.
    pub direction: Direction,
    /// The selector that chose the targets, for people.
    pub selector: String,
    /// Which host gets which release, in which wave.
    pub targets: BTreeMap<HostId, TargetSpec>,
    /// Names of the waves, first the canary.
    pub waves: Vec<String>,
    /// Most hosts in motion at once.
    pub max_in_flight: NonZeroU32,
    /// How many of those that share a label's value may be in motion at once. All of them hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    /// When hosts may be started: while one of these is open; without any, always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// This many failed hosts halt it.
    pub max_failures: NonZeroU32,
    /// Pause after each wave before the next may start.
    pub bake: Duration,
    /// Change ticket; empty when none was given.
    pub ticket: String,
    /// The rollout that this one takes back.
    pub rollback_of: Option<RolloutId>,
    /// By which operator.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// One host's part in a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// Its name when the rollout was created.
    pub name: HostName,
    /// Index of its wave; 0 is the canary.
    pub wave: usize,
    /// What it is to run.
    pub release: ReleaseRef,
    /// What it ran when the rollout was created; a rollback takes it there.
    pub previous: Option<ReleaseRef>,
    /// For each budget of the rollout, the host's value of its label when the rollout was created; "" for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// When the release's own signed waves reach it: before that it would refuse. None: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
}

/// What operators want of a rollout now. Only operators change it; only the planner changes the state that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutIntent {
    /// Go on, wait, or stop.
    pub verb: IntentVerb,
    /// Failures an operator looked at and accepted; they no longer count towards a halt.
    pub accepted_failures: u32,
}

/// The wish itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentVerb {
    /// Not started yet.
    Draft,
    /// Go on.
    Run,
    /// Start nothing new.
    Pause,
    /// Start nothing ever, and take back what has not been armed.
    Abort,
}

/// Where a rollout stands. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// Created, not started.
    Draft,
    /// Goes on by itself.
    Running,
    /// A person stopped it for now.
    Paused,
    /// It stopped itself; a person must decide.
    Halted,
    /// Waits for hosts in motion before it ends.
    Aborting,
    /// Terminal: stopped by a person.
    Aborted,
    /// Terminal: every target runs the release, confirmed by quotes.
    Succeeded,
    /// Terminal: done, with failures that a person accepted.
    SucceededWithExceptions,
}

impl RolloutState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::Running,
        Self::Paused,
        Self::Halted,
        Self::Aborting,
        Self::Aborted,
        Self::Succeeded,
        Self::SucceededWithExceptions,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
            Self::Succeeded => "succeeded",
            Self::SucceededWithExceptions => "succeeded_with_exceptions",
        }
    }

    /// Nothing more happens.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Aborted | Self::Succeeded | Self::SucceededWithExceptions)
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

/// One host in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetPlan {
    /// Where it stands.
    pub state: TargetState,
    /// Since when.
    pub since: Timestamp,
    /// What it waits for or why it ended so, and whose move it is.
    pub reason: Reason,
}

/// Where a target stands. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum TargetState {
    /// Not started.
    Pending,
    /// Cannot be started now: offline, not trusted, changed by another rollout.
    Deferred,
    /// Its desired state has this generation; the host has not said that it accepted it.
    Offered {
        /// The generation it was started with.
        generation: Generation,
    },
    /// The host works on it.
    Applying {
        /// The generation it was started with.
        generation: Generation,
    },
    /// The host says it runs the release; a quote must confirm it.
    Confirming {
        /// The generation it was started with.
        generation: Generation,
    },
    /// Told to stay with what it runs; the host has not said that it heard.
    Withdrawing {
        /// The generation that says so.
        generation: Generation,
    },
    /// Terminal: runs the release, confirmed.
    Committed,
    /// Terminal: the host refused it before anything changed.
    Refused,
    /// Terminal: the host went back by itself.
    RolledBack,
    /// Terminal: neither release is healthy on it.
    SafeHold,
    /// Silent, or without progress, for too long after it was started. Counts as a failure until it ends.
    Lost {
        /// The generation it was started with.
        generation: Generation,
        /// How it was lost.
        how: Loss,
    },
    /// The host says it runs the release and no quote confirmed it in time.
    Unconfirmed {
        /// The generation it was started with.
        generation: Generation,
    },
    /// Terminal: the rollout ended without it.
    Skipped,
}

impl TargetState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Deferred => "deferred",
            Self::Offered { .. } => "offered",
            Self::Applying { .. } => "applying",
            Self::Confirming { .. } => "confirming",
            Self::Withdrawing { .. } => "withdrawing",
            Self::Committed => "committed",
            Self::Refused => "refused",
            Self::RolledBack => "rolled_back",
            Self::SafeHold => "safe_hold",
            Self::Lost { .. } => "lost",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Skipped => "skipped",
        }
    }

    /// Counts towards a halt.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Refused | Self::RolledBack | Self::SafeHold | Self::Lost { .. } | Self::Unconfirmed { .. })
    }

    /// Takes one of the slots of `max_in_flight`. A lost host keeps its slot until it is seen again.
    pub const fn is_in_flight(self) -> bool {
        matches!(
            self,
            Self::Offered { .. }
                | Self::Applying { .. }
                | Self::Confirming { .. }
                | Self::Withdrawing { .. }
                | Self::Lost { .. }
                | Self::Unconfirmed { .. }
        )
    }

    /// Has not been started.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Pending | Self::Deferred)
    }

    /// The generation the host should have been given, if any.
    pub const fn generation(self) -> Option<Generation> {
        match self {
            Self::Offered { generation }
            | Self::Applying { generation }
            | Self::Confirming { generation }
            | Self::Withdrawing { generation }
            | Self::Lost { generation, how: _ }
            | Self::Unconfirmed { generation } => Some(generation),
            _ => None,
        }
    }
}

/// How a started host was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// It says nothing. Mended as soon as it is heard again.
    Silent,
    /// It speaks and gets nowhere. Mended only by an end of its update.
    Late,
}

/// Why a target is where it is: a sentence, and whose move it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// For people.
    pub text: String,
    /// Who can change it.
    pub owner: Owner,
}

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The host itself.
    Host,
    /// The controller, by itself.
    Controller,
    /// A person.
    Operator,
    /// Nobody: it is over.
    Nobody,
}

impl Owner {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Controller => "controller",
            Self::Operator => "operator",
            Self::Nobody => "nobody",
        }
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

    #[test]
    fn a_lost_host_is_a_failure_and_keeps_its_slot() {
        let lost = TargetState::Lost { generation: Generation::FIRST, how: Loss::Silent };
        assert!(lost.is_failure() && lost.is_in_flight());
    }

    #[test]
    fn plans_survive_json() {
        let target = TargetPlan {
            state: TargetState::Offered { generation: Generation::FIRST },
            since: Timestamp::from_micros(0),
            reason: Reason { text: "offered".into(), owner: Owner::Host },
        };
        let json = serde_json::to_string(&target).unwrap();
        assert_eq!(serde_json::from_str::<TargetPlan>(&json).unwrap(), target);
    }
}
