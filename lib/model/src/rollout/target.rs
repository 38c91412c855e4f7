//! One host of a plan: where it stands and why.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::update::Generation;

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
    /// How often it was tried again because a person asked for it. Until it succeeds it still counts as failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retried: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks with")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TargetPlan {
    /// Counts towards a halt.
    pub const fn counts_as_failed(&self) -> bool {
        let open_retry = self.retried > 0 && !matches!(self.state, TargetState::Committed);
        self.state.is_failure() || open_retry
    }
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
    /// A quote confirmed that it runs the release; a health check must say that it is well.
    Checking {
        /// The generation it was started with.
        generation: Generation,
    },
    /// A quote confirmed that it runs the release, and nothing is known of its health. No data is not success.
    Unknown {
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
    /// A quote confirmed that it runs the release, and its health check says that it cannot trade.
    Unhealthy {
        /// The generation it was started with.
        generation: Generation,
    },
    /// Terminal: it had failed, and something newer was asked of it since. That makes the failure no success.
    Overtaken,
    /// Terminal: the rollout ended without it, or a person left it out.
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
            Self::Checking { .. } => "checking",
            Self::Unknown { .. } => "unknown",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Withdrawing { .. } => "withdrawing",
            Self::Committed => "committed",
            Self::Refused => "refused",
            Self::RolledBack => "rolled_back",
            Self::SafeHold => "safe_hold",
            Self::Lost { .. } => "lost",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Overtaken => "overtaken",
            Self::Skipped => "skipped",
        }
    }

    /// Counts towards a halt.
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::RolledBack
                | Self::SafeHold
                | Self::Overtaken
                | Self::Lost { .. }
                | Self::Unconfirmed { .. }
                | Self::Unhealthy { .. }
        )
    }

    /// Takes one of the slots of `max_in_flight`. A lost host keeps its slot until it is seen again.
    pub const fn is_in_flight(self) -> bool {
        matches!(
            self,
            Self::Offered { .. }
                | Self::Applying { .. }
                | Self::Confirming { .. }
                | Self::Checking { .. }
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
            | Self::Checking { generation }
            | Self::Unknown { generation }
            | Self::Unhealthy { generation }
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
            retried: 0,
        };
        let json = serde_json::to_string(&target).unwrap();
        assert_eq!(serde_json::from_str::<TargetPlan>(&json).unwrap(), target);
    }
}
