//! What the planner knows of the fleet: true a moment ago, possibly not now.

use std::collections::BTreeMap;

use flota_model::freeze::Freeze;
use flota_model::host::Host;
use flota_model::rollout::{RolloutSpec, Urgency};
use flota_model::update::Direction;
use flota_model::{HostId, Timestamp};

/// Every host, by id.
#[derive(Debug, Clone)]
pub struct FleetSnapshot {
    pub(crate) hosts: BTreeMap<HostId, HostFacts>,
    freezes: Vec<Freeze>,
    /// Silence before this says nothing about a host: nobody listened.
    pub(crate) listening_since: Timestamp,
}

/// One host.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// As the store has it.
    pub host: Host,
    /// Whether it can be reached.
    pub contact: Contact,
    /// Its newest health report; not looked up for rollouts that do not ask for it.
    pub health: Option<HealthFact>,
}

/// What came of a health check (manual §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthFact {
    /// What it found.
    pub finding: HealthFinding,
    /// When it was asked for: a host may answer late, of what it ran before.
    pub asked_at: Timestamp,
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthFinding {
    /// All but `unavailable`.
    CanTrade,
    /// `unavailable`.
    CannotTrade,
    /// It could not be made, and why.
    NotKnown(String),
}

/// Whether a host can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// It has a session.
    Connected,
    /// It has none. Since when is `host.last_seen`.
    Silent,
}

impl FleetSnapshot {
    /// Of these hosts, by a controller that listens since then.
    pub fn new(hosts: impl IntoIterator<Item = HostFacts>, listening_since: Timestamp) -> Self {
        let hosts = hosts.into_iter().map(|facts| (facts.host.id.clone(), facts)).collect();
        Self { hosts, freezes: Vec::new(), listening_since }
    }

    /// With times in which nothing is changed.
    #[must_use]
    pub fn with_freezes(self, freezes: Vec<Freeze>) -> Self {
        Self { freezes, ..self }
    }

    /// What keeps a rollout from changing this host: of the freezes that hold, the one that ends last. An emergency and a
    /// way back are not kept.
    pub(crate) fn freeze(&self, spec: &RolloutSpec, host: &Host, now: Timestamp) -> Option<&Freeze> {
        if spec.urgency == Urgency::Emergency || spec.direction == Direction::Back {
            return None;
        }
        let keeps = |freeze: &&Freeze| freeze.holds(now) && freeze.selector.matches(&host.name, &host.labels);
        self.freezes.iter().filter(keeps).max_by_key(|freeze| freeze.until)
    }

    /// When one of the freezes ends or begins next.
    pub(crate) fn next_freeze_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.freezes.iter().flat_map(|freeze| [freeze.from, freeze.until]).filter(|at| *at > now).min()
    }

    /// All of them.
    pub fn hosts(&self) -> impl Iterator<Item = &HostFacts> {
        self.hosts.values()
    }

    /// One of them; a host that was decommissioned is in no snapshot.
    pub fn host(&self, id: &HostId) -> Option<&HostFacts> {
        self.hosts.get(id)
    }
}
