//! When each host's TPM clock was read last, by two clocks of the controller's own.
//!
//! The wall clock may be set back, and the monotonic one stands still while a virtual machine is suspended; whichever
//! says that more time passed is believed, so that no repair of a clock accuses a fleet. In memory, for the same reason:
//! what passed before this process began is known by a wall clock alone, which may have been wrong then.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flota_model::{HostId, Timestamp};

/// The last reading of each host.
#[derive(Debug, Default)]
pub struct Readings {
    last: Mutex<HashMap<HostId, (Timestamp, Instant)>>,
}

impl Readings {
    /// Notes that a host's clock was read now.
    pub fn note(&self, host: &HostId, now: Timestamp) {
        self.lock().insert(host.clone(), (now, Instant::now()));
    }

    /// How much time can have passed since the last reading. None: there was none by this process.
    pub fn since_last(&self, host: &HostId, now: Timestamp) -> Option<Duration> {
        let (wall, monotonic) = *self.lock().get(host)?;
        Some(now.since(wall).max(monotonic.elapsed()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostId, (Timestamp, Instant)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_hides_no_time_that_passed() {
        let readings = Readings::default();
        let host = HostId::of_endorsement_key(&flota_model::Digest::of(b"ek"));
        let second = |number| Timestamp::from_micros(0).plus(Duration::from_secs(number));
        assert_eq!(readings.since_last(&host, second(5)), None, "nothing is known of before this process");
        readings.note(&host, second(1000));
        // The machine was suspended: the wall clock knows.
        assert_eq!(readings.since_last(&host, second(4600)).unwrap().as_secs(), 3600);
        // The wall clock was set back by an hour: the monotonic one knows.
        let first = readings.since_last(&host, second(1)).unwrap();
        let begun = Instant::now();
        while readings.since_last(&host, second(1)).unwrap() <= first {
            assert!(begun.elapsed() < Duration::from_secs(10), "no time passes");
        }
    }
}
