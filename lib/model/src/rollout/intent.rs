//! What operators want of a rollout. Only they change it; what follows from it is the planner's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, HostId, RolloutId, Timestamp};

/// What operators want of a rollout now. Compared and set as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutIntent {
    /// Go on, wait, or stop.
    pub verb: IntentVerb,
    /// Failures an operator looked at and accepted; they no longer count towards a halt.
    pub accepted_failures: u32,
    /// The rest, which most rollouts never need.
    pub wishes: Wishes,
}

/// What operators want beside the verb.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wishes {
    /// Updated hosts whose health is not known that an operator accepted; they no longer hold the rollout up.
    #[serde(skip_serializing_if = "is_zero")]
    pub accepted_unknown: u32,
    /// Waves after which a person let it go on, where it was to pause there.
    #[serde(skip_serializing_if = "is_zero")]
    pub released_waves: u32,
    /// Of single hosts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<HostId, HostWish>,
    /// The rollout that takes the place of this one; it is what an abort was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<RolloutId>,
    /// The rollout that takes this one back by itself; it is what an abort was for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_back_by: Option<RolloutId>,
}

/// What operators want of one host of a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostWish {
    /// So many times it is to be tried again.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// It is to be left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skip: bool,
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

impl RolloutIntent {
    /// This, and nothing accepted.
    pub const fn new(verb: IntentVerb) -> Self {
        let wishes = Wishes {
            accepted_unknown: 0,
            released_waves: 0,
            hosts: BTreeMap::new(),
            superseded_by: None,
            taken_back_by: None,
        };
        Self { verb, accepted_failures: 0, wishes }
    }

    /// The same wishes with another verb.
    #[must_use]
    pub fn with(&self, verb: IntentVerb) -> Self {
        Self { verb, ..self.clone() }
    }

    /// What is wanted of one host.
    pub fn of_host(&self, host: &HostId) -> HostWish {
        self.wishes.hosts.get(host).copied().unwrap_or_default()
    }
}

/// A person agreed to a rollout as it was: to the document with this digest, and to no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutApproval {
    /// SHA-256 of the specification that was approved.
    pub spec: Digest,
    /// By which operator.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, or what was looked at; may be empty.
    pub reason: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks with")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
