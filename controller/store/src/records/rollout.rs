//! Releases, rollouts, and what is wanted of hosts.

use std::time::Duration;

use flota_model::rollout::{PlanId, RolloutApproval, RolloutIntent, RolloutPlan, RolloutSpec};
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

/// Name of the wave of hosts that came after their rollout was created.
pub const LATE_JOINERS: &str = "late joiners";

/// A rollout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutRecord {
    /// What it is to do, with the hosts that joined since.
    pub spec: RolloutSpec,
    /// SHA-256 of the specification as it is stored, without those hosts: what approvals are bound to.
    pub digest: Digest,
    /// Every approval it was ever given, oldest first; also those of what it was before it was amended.
    pub approvals: Vec<RolloutApproval>,
    /// What operators want now.
    pub intent: RolloutIntent,
    /// The current plan and its name.
    pub plan: Option<(PlanId, RolloutPlan)>,
    /// When an operator started it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl RolloutRecord {
    /// The specification as it is stored: without the hosts that joined.
    pub fn specified(&self) -> RolloutSpec {
        let mut spec = self.spec.clone();
        if spec.waves.last().is_some_and(|last| last == LATE_JOINERS) {
            spec.waves.pop();
            let waves = spec.waves.len();
            spec.targets.retain(|_, target| target.wave < waves);
        }
        spec
    }

    /// Who has approved it as it is now, oldest first.
    pub fn approvers(&self) -> Vec<&str> {
        self.approvals
            .iter()
            .filter(|approval| approval.spec == self.digest)
            .map(|approval| approval.by.as_str())
            .collect()
    }
}

/// What there is of a rollout, as the very texts whose digests the audit log names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutDocuments {
    /// What it is to do.
    pub specification: String,
    /// Its plans wherever its state changed, and the current one, oldest first.
    pub plans: Vec<String>,
    /// The first entry of the audit log about it.
    pub first_sequence: u64,
    /// The last.
    pub last_sequence: u64,
}

/// An approval that is given again after this is a new one: it counts from then on.
pub const RENEWED_AFTER: Duration = Duration::from_hours(24);

/// Whether an approval was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApproveRollout {
    /// It is now.
    Approved,
    /// The same person approved the same specification before; nothing changed.
    AlreadyThere,
    /// The rollout is not, or no longer, specified like that; nothing changed.
    Changed,
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
