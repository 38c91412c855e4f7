//! Health checks by schedule: every host, without being asked by a person, and again when its turn comes.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_sim::Population;
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Network, ShiftedClock, SimulatedFleet, SimulatedHost, wait};

const HOSTS: u16 = 6;
/// Schedules are looked at once a minute.
const BOUND: Duration = Duration::from_secs(100);

/// When each host's newest report arrived.
fn reports(fleet: &SimulatedFleet) -> anyhow::Result<BTreeMap<String, String>> {
    let shown = fleet.admin.items(&["health", "show"])?;
    let known = shown.into_iter().filter(|health| health["overall"] == "healthy");
    Ok(known.map(|health| (health["host_name"].to_string(), health["at"].to_string())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_host_is_checked_by_schedule_and_again_when_its_turn_comes() {
    let dir = tempfile::tempdir().unwrap();
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir.path(), &population, Network::loopback()).unwrap();
    fleet.join((0..HOSTS).map(SimulatedHost::numbered).collect(), population.tpms()).await.unwrap();
    assert_eq!(reports(&fleet).unwrap().len(), 0, "nobody has asked for one");
    fleet.controller.configure("health_every_minutes = 30").unwrap();
    let clock = ShiftedClock::new(dir.path()).unwrap();
    fleet.controller.restart_with_clock(&clock).unwrap();
    let all = || {
        let reports = reports(&fleet)?;
        Ok((reports.len() == usize::from(HOSTS)).then_some(reports))
    };
    let first = wait::until_async("a report of every host", BOUND, all).await.unwrap();
    clock.set_ahead(Duration::from_mins(31)).unwrap();
    let second = wait::until_async("another one of every host", BOUND, || {
        Ok(all()?.filter(|second| second.iter().all(|(host, at)| first.get(host) != Some(at))))
    })
    .await
    .unwrap();
    assert_eq!(second.len(), first.len());
}
