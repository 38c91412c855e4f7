//! TPMS_CLOCK_INFO (Part 2, section 10.11.1): a clock that runs while the TPM has power, and the boots it has seen.

use std::time::{Duration, Instant};

/// Clock and counters of a TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds the TPM has been powered.
    pub clock: u64,
    /// TPM Resets (reboots) so far.
    pub reset_count: u32,
    /// Resumes and restarts since the last reboot.
    pub restart_count: u32,
    /// Whether the clock never was higher.
    pub safe: bool,
}

/// A clock that runs.
#[derive(Debug)]
pub(super) struct Clock {
    set: ClockInfo,
    since: Instant,
    /// What the last attestation said; none since the clock was turned back.
    stamped: Option<u64>,
}

impl Clock {
    /// The clock of a TPM that has been powered since 1970. So one that is read from a file goes on behind where any
    /// earlier process left it, and a controller that remembers it sees no rollback.
    pub(super) fn start() -> Self {
        let clock = u64::try_from(flota_daemon::present() / 1000).unwrap_or(0);
        let set = ClockInfo { clock, reset_count: 1, restart_count: 0, safe: true };
        Self { set, since: Instant::now(), stamped: None }
    }

    /// As it stands.
    pub(super) fn now(&self) -> ClockInfo {
        let run = self.set.clock.saturating_add(milliseconds(self.since.elapsed()));
        ClockInfo { clock: self.stamped.map_or(run, |stamped| run.max(stamped)), ..self.set }
    }

    /// As an attestation says it. No two say the same: a real TPM takes longer than a millisecond for each.
    pub(super) fn stamp(&mut self) -> ClockInfo {
        let now = self.now();
        let clock = self.stamped.map_or(now.clock, |stamped| now.clock.max(stamped.saturating_add(1)));
        self.stamped = Some(clock);
        ClockInfo { clock, ..now }
    }

    /// Runs on from here. Only a clock that was turned back forgets what it has said.
    pub(super) fn set(&mut self, info: ClockInfo) {
        let stamped = self.stamped.filter(|stamped| *stamped <= info.clock);
        *self = Self { set: info, since: Instant::now(), stamped };
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
