//! Hosts that are refused, in memory: looked at in every handshake, on every request and on every message of a session,
//! where a question to the database would be too slow and too late.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use flota_model::HostId;
use flota_model::host::Host;

/// The set. The store is where it comes from, so a restart loses nothing.
#[derive(Debug, Default)]
pub struct Denied {
    hosts: RwLock<HashSet<HostId>>,
}

impl Denied {
    /// Whether this host is refused.
    pub fn contains(&self, host: &HostId) -> bool {
        self.hosts.read().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    /// Refuses a host from now on.
    pub fn insert(&self, host: &HostId) {
        self.hosts.write().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
    }

    /// Lets a host in again.
    pub fn remove(&self, host: &HostId) {
        self.hosts.write().unwrap_or_else(PoisonError::into_inner).remove(host);
    }

    /// Takes over what the store says: another controller may have changed it. Returns who is newly refused.
    pub fn replace(&self, fleet: &[Host]) -> Vec<HostId> {
        let denied = fleet.iter().filter(|host| !host.trust.admits_connection()).map(|host| host.id.clone());
        let next: HashSet<HostId> = denied.collect();
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        let new = next.difference(&hosts).cloned().collect();
        *hosts = next;
        new
    }
}
