//! What a host may cost the controller: bytes of its disk, and entries of its audit log, which are kept for ever.
//!
//! In memory: a restart forgets what was used.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flota_model::HostId;

use crate::fault::{Code, Fault};

/// The window of uploads.
const DAY: Duration = Duration::from_hours(24);
/// The window of messages.
const MINUTE: Duration = Duration::from_mins(1);
/// Messages in a minute that leave an entry in the audit log: sessions begun, reports, results of tasks, renewals. An
/// update reports about twenty phases, and a link that breaks every second begins sixty sessions.
const MAX_ENTRIES: u64 = 240;

/// What each host has used.
#[derive(Debug)]
pub struct Quotas {
    upload_bytes: u64,
    uploads: Mutex<HashMap<HostId, Used>>,
    entries: Mutex<HashMap<HostId, Used>>,
}

#[derive(Debug, Clone, Copy)]
struct Used {
    since: Instant,
    amount: u64,
}

impl Quotas {
    /// Each host may upload so many bytes a day.
    pub fn new(upload_bytes: u64) -> Self {
        Self { upload_bytes, uploads: Mutex::default(), entries: Mutex::default() }
    }

    /// Whether the host may upload so many bytes more today. Counts nothing.
    pub fn may_upload(&self, host: &HostId, bytes: u64) -> Result<(), Fault> {
        let uploads = lock(&self.uploads);
        let used = uploads.get(host).filter(|used| used.since.elapsed() < DAY).map_or(0, |used| used.amount);
        (used.saturating_add(bytes) <= self.upload_bytes).then_some(()).ok_or_else(|| self.spent())
    }

    /// Counts bytes that the host uploads, or refuses them.
    pub fn upload(&self, host: &HostId, bytes: u64) -> Result<(), Fault> {
        count(&self.uploads, host, bytes, self.upload_bytes, DAY).then_some(()).ok_or_else(|| self.spent())
    }

    fn spent(&self) -> Fault {
        let sentence = format!("the host has uploaded the {} MiB of a day", self.upload_bytes >> 20);
        Fault::new(Code::TooMuch, sentence)
            .fix("look at what it exports; upload_mib_per_host_and_day in controller.toml")
    }

    /// Counts a message that leaves an entry in the audit log, or refuses it.
    pub fn entry(&self, host: &HostId) -> Result<(), Fault> {
        count(&self.entries, host, 1, MAX_ENTRIES, MINUTE).then_some(()).ok_or_else(|| {
            Fault::new(Code::TooMuch, "the host has said more than a host has to say").fix("wait a minute")
        })
    }
}

/// Adds to what was used in this window, if it fits.
fn count(all: &Mutex<HashMap<HostId, Used>>, host: &HostId, amount: u64, limit: u64, window: Duration) -> bool {
    let now = Instant::now();
    let mut all = lock(all);
    let used = all.entry(host.clone()).or_insert(Used { since: now, amount: 0 });
    if now.duration_since(used.since) >= window {
        *used = Used { since: now, amount: 0 };
    }
    let next = used.amount.saturating_add(amount);
    if next > limit {
        return false;
    }
    used.amount = next;
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Single insertions and additions: a panic elsewhere leaves the maps whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostId {
        HostId::of_endorsement_key(&flota_model::Digest::of(name.as_bytes()))
    }

    #[test]
    fn a_host_uploads_so_much_a_day_and_others_are_not_concerned() {
        let quotas = Quotas::new(100);
        quotas.upload(&host("a"), 60).unwrap();
        quotas.may_upload(&host("a"), 40).unwrap();
        assert_eq!(quotas.may_upload(&host("a"), 41).unwrap_err().code, Code::TooMuch);
        assert_eq!(quotas.upload(&host("a"), 41).unwrap_err().code, Code::TooMuch);
        quotas.upload(&host("a"), 40).unwrap();
        assert!(quotas.may_upload(&host("a"), 1).is_err() && quotas.may_upload(&host("b"), 100).is_ok());
    }

    #[test]
    fn a_host_that_talks_too_much_is_not_heard() {
        let quotas = Quotas::new(0);
        let heard = (0..1000).filter(|_| quotas.entry(&host("a")).is_ok()).count();
        assert_eq!(heard, usize::try_from(MAX_ENTRIES).unwrap());
        assert!(quotas.entry(&host("b")).is_ok());
    }
}
