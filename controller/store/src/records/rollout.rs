//! Releases, rollouts, and what is wanted of hosts.

use flota_model::rollout::{PlanId, RolloutIntent, RolloutPlan, RolloutSpec};
use flota_model::update::Generation;
use flota_model::{Digest, RolloutId, Timestamp};

/// Whether a release was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publish {
    /// It is now.
    Published,
    /// It was there already; nothing changed.
    AlreadyThere,
    /// Another package with this id and version is published; nothing changed.
    VersionTaken(Digest),
}

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    /// What it is to do.
    pub spec: RolloutSpec,
    /// What operators want now.
    pub intent: RolloutIntent,
    /// The current plan and its name.
    pub plan: Option<(PlanId, RolloutPlan)>,
    /// When an operator started it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Whether a plan became current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetPlan {
    /// It is now.
    Done,
    /// Another plan became current first; look again.
    ParentMoved,
    /// No such rollout.
    NoSuchRollout(RolloutId),
}

/// Whether a desired state was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetDesired {
    /// It is the host's desired state now.
    Done,
    /// The host already has this very desired state.
    AlreadyThere,
    /// The host has another one of this or a newer generation; look again.
    Superseded {
        /// The host's newest generation.
        newest: Generation,
    },
    /// No such host.
    NoSuchHost,
}
