//! Who is asked next for what every host does by schedule.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_model::host::Host;
use flota_model::{HostId, Timestamp};

use crate::core::Core;

/// How often schedules are looked at.
pub const ROUND: Duration = Duration::from_mins(1);
/// Least number of hosts that are asked in one round; more where a large fleet has little time.
const LEAST_AT_ONCE: usize = 50;

/// How often hosts are asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Least time between two results of a host.
    pub interval: Duration,
    /// The whole fleet is asked in this time.
    pub spread: Duration,
    /// A host that was asked is not asked again before that, whatever came of it.
    pub patience: Duration,
}

/// Asks one thing. What it remembers a restart may lose.
#[derive(Debug, Default)]
pub struct Schedule {
    asked: BTreeMap<HostId, Timestamp>,
}

impl Schedule {
    /// Hosts to ask now: connected ones whose newest result is too old, those that have waited longest first. They count as
    /// asked from now on.
    pub fn due(
        &mut self,
        core: &Core,
        mut fleet: Vec<Host>,
        newest: &BTreeMap<HostId, Timestamp>,
        pace: Pace,
    ) -> Vec<Host> {
        let now = core.now();
        self.asked.retain(|_, at| now.since(*at) < pace.patience);
        let at_once = at_once(fleet.len(), pace.spread);
        let is_due = |host: &Host| newest.get(&host.id).is_none_or(|at| now.since(*at) >= pace.interval);
        fleet.retain(|host| core.sessions.is_connected(&host.id) && is_due(host) && !self.asked.contains_key(&host.id));
        fleet.sort_by_key(|host| newest.get(&host.id).copied());
        fleet.truncate(at_once);
        self.asked.extend(fleet.iter().map(|host| (host.id.clone(), now)));
        fleet
    }
}

fn at_once(hosts: usize, spread: Duration) -> usize {
    let rounds = usize::try_from(spread.as_secs() / ROUND.as_secs()).unwrap_or(usize::MAX);
    hosts.div_ceil(rounds.max(1)).max(LEAST_AT_ONCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fleet_is_asked_in_time_and_a_small_one_at_once() {
        assert_eq!(at_once(10_000, Duration::from_hours(6)), LEAST_AT_ONCE);
        assert_eq!(at_once(10_000, Duration::from_mins(15)), 667);
        assert_eq!(at_once(10_000, Duration::ZERO), 10_000);
    }
}
