//! What the planner knows of the fleet: true a moment ago, possibly not now.

use std::collections::BTreeMap;

use flota_model::host::Host;
use flota_model::{HostId, Timestamp};

/// Every host, by id.
#[derive(Debug, Clone)]
pub struct FleetSnapshot {
    hosts: BTreeMap<HostId, HostFacts>,
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
        Self { hosts: hosts.into_iter().map(|facts| (facts.host.id.clone(), facts)).collect(), listening_since }
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
