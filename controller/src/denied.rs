//! Hosts that are refused, in memory: looked at in every handshake, on every request and on every message of a session,
//! where a question to the database would be too slow and too late.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use flota_model::HostId;
use flota_model::host::Host;

/// The set. The store is where it comes from, so a restart loses nothing.
#[derive(Debug, Default)]
pub struct Denied {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    hosts: HashSet<HostId>,
    changes: u64,
    /// What was changed here, by the number of the change; true: refused. The store knew of it before.
    changed: HashMap<HostId, (u64, bool)>,
}

/// A point in the sequence of changes, taken before the store is read.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

impl Denied {
    /// Whether this host is refused.
    pub fn contains(&self, host: &HostId) -> bool {
        self.read().hosts.contains(host)
    }

    /// Refuses a host from now on. Its trust is in the store already.
    pub fn insert(&self, host: &HostId) {
        self.change(host, true);
    }

    /// Lets a host in again. Its trust is in the store already.
    pub fn remove(&self, host: &HostId) {
        self.change(host, false);
    }

    /// To be taken before the store is read.
    pub fn mark(&self) -> Mark {
        Mark(self.read().changes)
    }

    /// Takes over what the store said after `mark`: another controller may have changed it. What was changed here since
    /// then may be missing in it, and stands. Returns who is newly refused.
    pub fn replace(&self, mark: Mark, fleet: &[Host]) -> Vec<HostId> {
        let denied = fleet.iter().filter(|host| !host.trust.admits_connection()).map(|host| host.id.clone());
        let mut next: HashSet<HostId> = denied.collect();
        let mut inner = self.write();
        inner.changed.retain(|_, (number, _)| *number > mark.0);
        for (host, (_, refused)) in &inner.changed {
            if *refused {
                next.insert(host.clone())
            } else {
                next.remove(host)
            };
        }
        let new = next.difference(&inner.hosts).cloned().collect();
        inner.hosts = next;
        new
    }

    fn change(&self, host: &HostId, refused: bool) {
        let mut inner = self.write();
        inner.changes = inner.changes.saturating_add(1);
        let number = inner.changes;
        inner.changed.insert(host.clone(), (number, refused));
        if refused {
            inner.hosts.insert(host.clone())
        } else {
            inner.hosts.remove(host)
        };
    }

    // A panic elsewhere leaves the sets whole: each change above is made of single insertions and removals.
    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostId {
        HostId::of_endorsement_key(&flota_model::Digest::of(name.as_bytes()))
    }

    #[test]
    fn a_host_that_is_shut_out_while_the_store_is_read_stays_shut_out() {
        let denied = Denied::default();
        denied.insert(&host("before"));
        let mark = denied.mark();
        // The store is read here, and knows neither.
        denied.insert(&host("meanwhile"));
        denied.replace(mark, &[]);
        assert!(denied.contains(&host("meanwhile")));
        assert!(!denied.contains(&host("before")), "the store was read after it, and another controller let it in");
        denied.replace(denied.mark(), &[]);
        assert!(!denied.contains(&host("meanwhile")), "what the store says counts the next time");
    }
}
