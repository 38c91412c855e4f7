//! Two hundred simulated hosts over real connections: a rollout among them, and a controller that is killed again and again.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flota_model::update::UpdatePhase;
use flota_net::dial::dial;
use flota_net::tls;
use flota_proto::v1;
use flota_proto::v1::tokens_client::TokensClient;
use flota_sim::agent::{Observer, Place, Script, SessionEvent, loopback_address};
use flota_sim::soft_tpm::AkKind;
use flota_sim::{Population, SimulatedAgent};
use flota_tests::{Bins, Controller, Operator, Packages};
use serde_json::Value;
use tokio::task::JoinSet;

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
/// Pause before a host connects again.
const AGAIN: Duration = Duration::from_millis(100);
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

struct Ground {
    controller: Controller,
    admin: Operator,
    place: Place,
}

fn ground(dir: &Path, population: &Population) -> Ground {
    let roots = dir.join("ek-roots.pem");
    std::fs::write(&roots, population.ek_roots()).unwrap();
    let bins = Bins::beside_this_program().unwrap();
    let controller = Controller::start(&bins, &dir.join("controller"), &roots, 3600).unwrap();
    let place = Place {
        enrollment: controller.enrollment.clone(),
        fleet: controller.fleet.clone(),
        fleet_ca: tls::certificates(&std::fs::read(controller.ca_file()).unwrap()).unwrap(),
        source: None,
    };
    Ground { admin: controller.admin().unwrap(), controller, place }
}

impl Ground {
    /// A token for each host, with its venue.
    async fn tokens(&self) -> Vec<String> {
        let operator = self.controller.dir().join("operators/admin");
        let read = |name: &str| std::fs::read(operator.join(name)).unwrap();
        let ca = std::fs::read(self.controller.ca_file()).unwrap();
        let config = tls::client_config(&ca, &read("cert.pem"), &read("key.pem")).unwrap();
        let mut client = TokensClient::new(dial(&self.controller.fleet, config).await.unwrap().channel);
        let mut tokens = Vec::new();
        for index in 0..usize::from(HOSTS) {
            let labels = [("venue".to_owned(), VENUES[index % VENUES.len()].to_owned())].into();
            let host_name = format!("sim-{index:03}");
            let request = v1::CreateTokenRequest { host_name, labels, ..v1::CreateTokenRequest::default() };
            tokens.push(client.create(request).await.unwrap().into_inner().token);
        }
        tokens
    }

    fn rollout(&self, id: &str) -> Option<Value> {
        let answer = self.admin.run(&["rollout", "status", id, "-o", "json"]).unwrap();
        serde_json::from_str(&answer.stdout).ok()
    }
}

/// Enrols a host, and keeps it connected whatever becomes of its controller.
async fn live(agent: SimulatedAgent, token: String, observer: Observer) {
    let member = agent.enrol(&token).await.unwrap();
    loop {
        if let Ok(session) = agent.connect(&member, Arc::clone(&observer)).await {
            session.run().await;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(AGAIN).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_again_and_again_updates_each_host_once_and_keeps_the_budgets() {
    let dir = tempfile::tempdir().unwrap();
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut ground = ground(dir.path(), &population);
    let (tokens, seen) = (ground.tokens().await, Arc::new(Seen::default()));
    let mut hosts = JoinSet::new();
    for ((index, tpm), token) in (0..HOSTS).zip(population.tpms()).zip(tokens) {
        let place = Place { source: Some(loopback_address(index)), ..ground.place.clone() };
        let script = Script { probation: PROBATION, ..Script::default() };
        let agent = SimulatedAgent::new(Arc::clone(tpm), place).scripted(script);
        hosts.spawn(live(agent, token, seen.observer(index.into())));
    }
    let trusted = |ground: &Ground| {
        let listed = ground.admin.items(&["host", "list", "--limit", "0"]).unwrap();
        listed.iter().filter(|host| host["trust"] == "trusted").count() == usize::from(HOSTS)
    };
    until("every host to be trusted", || trusted(&ground)).await;

    let folder = dir.path().join("packages");
    std::fs::create_dir(&folder).unwrap();
    let package = Packages::new(&folder, "hex:00112233445566778899aabbccddeeff").bot("9.0.0", "healthy", 1000).unwrap();
    let desk = ground.controller.desk().to_string_lossy().into_owned();
    ground.admin.ok(&["release", "sign", &desk, package.path.to_str().unwrap()]).unwrap();
    ground.admin.ok(&["release", "publish", &desk]).unwrap();
    let (budget, at_once) = (format!("venue={BUDGET}"), AT_ONCE.to_string());
    let pace = ["--all", "--max-in-flight", &at_once, "--budget", &budget];
    let created = ground.admin.json(&[&["rollout", "create", "--release", "9.0.0"], &pace[..]].concat()).unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    ground.admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();

    let (began, mut deaths) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(LIFE).await;
        let rollout = ground.rollout(&id).unwrap();
        if rollout["state"] == "succeeded" {
            break;
        }
        assert_eq!(rollout["state"], "running", "{}", rollout["cause"]);
        assert!(began.elapsed() < BOUND, "{}: {:?}", rollout["cause"], seen.happened().ended.len());
        ground.controller.kill().unwrap();
        ground.controller.restart().unwrap();
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
    ground.admin.ok(&["audit", "verify"]).unwrap();
    hosts.abort_all();
}
