//! Two hundred simulated hosts over real connections: a rollout among them, and a controller that is killed again and again.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flota_model::update::UpdatePhase;
use flota_sim::Population;
use flota_sim::agent::{Observer, Script, SessionEvent};
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Network, SimulatedFleet, SimulatedHost};

/// How many.
const HOSTS: u16 = 200;
/// Venues, by turns.
const VENUES: [&str; 4] = ["a", "b", "c", "d"];
/// Hosts of one venue that may change at once.
const BUDGET: usize = 5;
/// Hosts that may change at once in all.
const AT_ONCE: usize = 16;
/// How long a bot takes to answer.
const PROBATION: Duration = Duration::from_millis(800);
/// Between two deaths of the controller.
const LIFE: Duration = Duration::from_secs(2);
/// The whole rollout, deaths included.
const BOUND: Duration = Duration::from_mins(4);

/// What the hosts did, as they saw it themselves.
#[derive(Debug, Default)]
struct Happened {
    /// How often each began with a release.
    begun: BTreeMap<usize, BTreeMap<u64, u32>>,
    /// Who is between beginning and end.
    moving: BTreeSet<usize>,
    /// Most of one venue, and of all, at any time.
    most_of_a_venue: usize,
    most: usize,
    ended: BTreeSet<usize>,
}

#[derive(Default)]
struct Seen(Mutex<Happened>);

impl Seen {
    fn happened(&self) -> MutexGuard<'_, Happened> {
        self.0.lock().unwrap()
    }

    fn observer(self: &Arc<Self>, host: usize) -> Observer {
        let seen = Arc::clone(self);
        Arc::new(move |event| {
            let SessionEvent::Update { report } = event else { return };
            let mut happened = seen.happened();
            match report.phase {
                UpdatePhase::Offered => {
                    let generation = report.generation.unwrap().number();
                    *happened.begun.entry(host).or_default().entry(generation).or_default() += 1;
                    happened.moving.insert(host);
                    let venue = |host: &&usize| **host % VENUES.len();
                    let of_this = happened.moving.iter().filter(|other| venue(other) == host % VENUES.len()).count();
                    happened.most_of_a_venue = happened.most_of_a_venue.max(of_this);
                    happened.most = happened.most.max(happened.moving.len());
                }
                phase if phase.is_terminal() => {
                    happened.moving.remove(&host);
                    happened.ended.insert(host);
                }
                _ => {}
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_again_and_again_updates_each_host_once_and_keeps_the_budgets() {
    let dir = tempfile::tempdir().unwrap();
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir.path(), &population, Network::loopback()).unwrap();
    let seen = Arc::new(Seen::default());
    let host = |index: u16| SimulatedHost {
        labels: vec![("venue", VENUES[usize::from(index) % VENUES.len()].to_owned())],
        script: Script { probation: PROBATION, ..Script::default() },
        observer: seen.observer(index.into()),
        ..SimulatedHost::numbered(index)
    };
    fleet.join((0..HOSTS).map(host).collect(), population.tpms()).await.unwrap();
    fleet.publish(&["9.0.0"]).unwrap();
    let (budget, at_once) = (format!("venue={BUDGET}"), AT_ONCE.to_string());
    let pace = ["--all", "--max-in-flight", &at_once, "--budget", &budget];
    let id = fleet.create("9.0.0", &pace).unwrap();
    fleet.begin(&id).unwrap();

    let (began, mut deaths) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(LIFE).await;
        let rollout = fleet.rollout(&id).unwrap();
        if rollout["state"] == "succeeded" {
            break;
        }
        assert_eq!(rollout["state"], "running", "{}", rollout["cause"]);
        assert!(began.elapsed() < BOUND, "{}: {:?}", rollout["cause"], seen.happened().ended.len());
        fleet.controller.kill().unwrap();
        fleet.controller.restart().unwrap();
        deaths += 1;
    }
    assert!(deaths >= 3, "{deaths} deaths are no test");
    let happened = seen.happened();
    eprintln!("{deaths} deaths of the controller, {:?}", began.elapsed());
    assert_eq!(happened.ended.len(), usize::from(HOSTS));
    for (host, begun) in &happened.begun {
        assert_eq!(begun.values().sum::<u32>(), 1, "host {host} was updated more than once: {begun:?}");
    }
    assert!(happened.most_of_a_venue <= BUDGET, "{} of one venue at once", happened.most_of_a_venue);
    assert!(happened.most <= AT_ONCE, "{} at once", happened.most);
    drop(happened);
    fleet.admin.ok(&["audit", "verify"]).unwrap();
}
