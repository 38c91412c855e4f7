//! Rollouts: what an operator asked for, the plan that follows from it, and why each host is where it is.
//!
//! A plan is immutable data with a parent. It leaves no meaningful choice to the executor: every target that may start
//! carries the generation it starts with (ADR-0002).

mod gate;
mod intent;
mod plan;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::market::MarketRule;
use crate::release::ReleaseRef;
use crate::update::Direction;
use crate::window::Window;
use crate::{HostId, HostName, RolloutId, Timestamp};

pub use gate::{Gates, HealthGate, InvalidChoice, InvalidPercent, OnHalt, PauseAfter, Percent};
pub use intent::{HostWish, IntentVerb, RolloutApproval, RolloutIntent, Wishes};
pub use plan::{InvalidRolloutState, PlanId, RolloutPlan, RolloutState};
pub use target::{Loss, Owner, Reason, TargetPlan, TargetState};

/// What a rollout is to do. Frozen when it is created; hosts that come later are added only where [`LateJoiners`] says so.
/// Approvals are bound to its digest.
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
    /// When hosts may be started: while each of these markets does what it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markets: Vec<MarketRule>,
    /// This many failed hosts halt it.
    pub max_failures: NonZeroU32,
    /// What else halts or pauses it, and what a wave must have before the next may start.
    #[serde(default)]
    pub gates: Gates,
    /// Pause after each wave before the next may start.
    pub bake: Duration,
    /// Whether it waits for a person after a wave.
    #[serde(default)]
    pub pause_after: PauseAfter,
    /// What it does when it halts.
    #[serde(default)]
    pub on_halt: OnHalt,
    /// No host is started from then on; those in motion finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Windows, markets and freezes do not hold it. It needs two approvals and a reason.
    #[serde(default)]
    pub urgency: Urgency,
    /// Hosts that match the selector and come later.
    #[serde(default)]
    pub late_joiners: LateJoiners,
    /// How many persons beside its author must approve it before it runs.
    #[serde(default)]
    pub approvals: u32,
    /// The rollout whose place it takes when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<RolloutId>,
    /// Change ticket; empty when none was given.
    pub ticket: String,
    /// The rollout that this one takes back.
    pub rollback_of: Option<RolloutId>,
    /// By which operator.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Why; an emergency always says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who has amended it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub amended_by: BTreeSet<String>,
}

/// Whether a rollout waits for the hours that were set for changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// It waits.
    #[default]
    Normal,
    /// It does not.
    Emergency,
}

/// What becomes of hosts that match a rollout's selector and come after it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateJoiners {
    /// They are not in it.
    #[default]
    LeftOut,
    /// While it runs they are added, in a wave of their own after all others. Nobody changes place.
    LastWave,
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

/// How the reason of a target begins that ran the release before it could be started.
pub const RAN_ALREADY: &str = "runs it already";

impl RolloutSpec {
    /// Whether this operator wrote it, or a part of it, and so cannot approve it.
    pub fn is_author(&self, actor: &str) -> bool {
        self.created_by == actor || self.amended_by.contains(actor)
    }

    /// The name of a wave.
    pub fn wave_name(&self, index: usize) -> &str {
        self.waves.get(index).map_or("a later wave", String::as_str)
    }
}
