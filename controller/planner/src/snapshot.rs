//! What the planner knows of the fleet: true a moment ago, possibly not now.

use std::collections::BTreeMap;

use flota_model::host::Host;
use flota_model::{HostId, Timestamp};

/// Every host, by id.
#[derive(Debug, Clone, Default)]
pub struct FleetSnapshot {
    hosts: BTreeMap<HostId, HostFacts>,
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
    /// Of these hosts.
    pub fn new(hosts: impl IntoIterator<Item = HostFacts>) -> Self {
        Self { hosts: hosts.into_iter().map(|facts| (facts.host.id.clone(), facts)).collect() }
    }

    /// One of them; a host that was decommissioned is in no snapshot.
    pub fn host(&self, id: &HostId) -> Option<&HostFacts> {
        self.hosts.get(id)
    }
}

impl HostFacts {
    /// When it was last heard of, not before `since`.
    pub(crate) fn heard_after(&self, since: Timestamp) -> Timestamp {
        self.host.last_seen.map_or(since, |seen| seen.max(since))
    }
}
