//! How many connections a listener has at once, in all and for each address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::peer::network;

/// Limits of a listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections open at once; more wait in the kernel's queue.
    pub in_all: usize,
    /// Of them, from one IPv4 address or IPv6 network; more are closed.
    pub of_one_source: usize,
}

/// The places of a listener.
#[derive(Debug, Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    of_one_source: usize,
}

/// A place among all, not yet somebody's.
#[derive(Debug)]
pub(super) struct Free(OwnedSemaphorePermit);

/// A place that somebody has; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    source: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        let Limits { in_all, of_one_source } = limits;
        Self { free: Arc::new(Semaphore::new(in_all)), taken: Arc::default(), of_one_source }
    }

    /// Waits until there is room for another one.
    pub(super) async fn wait(&self) -> Option<Free> {
        Arc::clone(&self.free).acquire_owned().await.ok().map(Free)
    }

    /// Gives the place to somebody. None: this address has all that one may have.
    pub(super) fn take(&self, Free(one_of_all): Free, from: IpAddr) -> Option<Place> {
        let source = network(from);
        let mut taken = lock(&self.taken);
        let count = taken.entry(source).or_insert(0);
        if *count >= self.of_one_source {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Place { _one_of_all: one_of_all, source, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = lock(&self.taken).entry(self.source) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

fn lock(taken: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    // Additions and removals of one entry: a panic elsewhere leaves the map whole.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_does_not_take_every_place() {
        let places = Places::new(Limits { in_all: 4, of_one_source: 2 });
        let take = async |from: &str| {
            let free = places.wait().await.unwrap();
            places.take(free, from.parse().unwrap())
        };
        let flood = (take("192.0.2.1").await.unwrap(), take("192.0.2.1").await.unwrap());
        assert!(take("192.0.2.1").await.is_none());
        let others = (take("192.0.2.2").await.unwrap(), take("2001:db8::1").await.unwrap());
        assert_eq!(places.free.available_permits(), 0);
        drop(flood.0);
        assert!(take("192.0.2.1").await.is_some());
        drop((flood.1, others));
        assert!(lock(&places.taken).is_empty(), "nobody who is gone is remembered");
    }
}
