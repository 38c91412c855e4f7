//! How long a host may go on saying that it is too early to tell.
//!
//! A TPM says so for seconds after a power loss. One that goes on is no TPM that tells the time, or a host that does not
//! want to answer; a new session is no new beginning.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flota_model::{HostId, Timestamp};

/// How long a host may answer with retries alone.
const RETRY_LIMIT: Duration = Duration::from_mins(10);

/// Since when hosts retry. In memory: a restart of the controller gives them another ten minutes.
#[derive(Debug, Default)]
pub struct Patience {
    retrying: Mutex<HashMap<HostId, Streak>>,
}

/// Retries with no other verdict between them.
#[derive(Debug, Clone, Copy)]
struct Streak {
    since: Timestamp,
    newest: Timestamp,
}

impl Patience {
    /// Notes a retry. Gives since when there were only retries, if that is too long.
    pub fn retried(&self, host: &HostId, now: Timestamp) -> Option<Timestamp> {
        let mut retrying = self.lock();
        let streak = retrying.entry(host.clone()).or_insert(Streak { since: now, newest: now });
        // A host that was not asked for that long, being away, has not refused to answer. Its lease has ended meanwhile.
        if now.since(streak.newest) >= RETRY_LIMIT {
            streak.since = now;
        }
        streak.newest = now;
        (now.since(streak.since) >= RETRY_LIMIT).then_some(streak.since)
    }

    /// Notes any other verdict.
    pub fn answered(&self, host: &HostId) {
        self.lock().remove(host);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostId, Streak>> {
        self.retrying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: u64) -> Timestamp {
        Timestamp::from_micros(0).plus(Duration::from_mins(number))
    }

    fn host() -> HostId {
        HostId::of_endorsement_key(&flota_model::Digest::of(b"ek"))
    }

    #[test]
    fn ten_minutes_of_retries_are_too_many_and_an_answer_ends_them() {
        let patience = Patience::default();
        for at in 0..10 {
            assert_eq!(patience.retried(&host(), minute(at)), None);
        }
        assert_eq!(patience.retried(&host(), minute(10)), Some(minute(0)));
        patience.answered(&host());
        assert_eq!(patience.retried(&host(), minute(11)), None);
    }

    #[test]
    fn a_host_that_was_away_has_not_refused_to_answer() {
        let patience = Patience::default();
        assert_eq!(patience.retried(&host(), minute(0)), None);
        assert_eq!(patience.retried(&host(), minute(60)), None);
        assert_eq!(patience.retried(&host(), minute(69)), None);
        assert_eq!(patience.retried(&host(), minute(70)), Some(minute(60)));
    }
}
