//! Network partitions between a controller and its hosts, with real packets: the controller is in a network namespace of its
//! own. It needs root for that, and says so when it is not.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flota_model::update::UpdatePhase;
use flota_sim::Population;
use flota_sim::agent::{Observer, Script, SessionEvent};
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Network, SimulatedFleet, SimulatedHost, wait};

const HOSTS: u8 = 24;
/// Hosts that are cut off, the last ones.
const CUT: u8 = 8;
const BOUND: Duration = Duration::from_mins(3);
/// How long a bot takes: long enough to be cut off while it does.
const PROBATION: Duration = Duration::from_secs(2);

/// A namespace with a pair of interfaces: ours has an address for each host, the other one is the controller's.
struct Namespace {
    name: String,
    link: String,
    net: [u8; 3],
}

impl Namespace {
    fn new() -> Self {
        let id = std::process::id();
        let [low, high, ..] = id.to_le_bytes();
        let (name, link) = (format!("flota-{id}"), format!("fl{id}"));
        // Of the networks for tests of network devices (RFC 2544).
        let it = Self { name, link, net: [198, 18 + (high & 1), low] };
        let (ours, theirs) = (it.link.clone(), format!("{}c", it.link));
        ip(&["netns", "add", &it.name]);
        ip(&["link", "add", &ours, "type", "veth", "peer", "name", &theirs, "netns", &it.name]);
        for host in 0..HOSTS {
            ip(&["addr", "add", &format!("{}/24", it.host(host)), "dev", &ours]);
        }
        ip(&["link", "set", &ours, "up"]);
        ip(&["-n", &it.name, "addr", "add", &format!("{}/24", it.controller()), "dev", &theirs]);
        ip(&["-n", &it.name, "link", "set", &theirs, "up"]);
        ip(&["-n", &it.name, "link", "set", "lo", "up"]);
        it
    }

    fn controller(&self) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, 254)
    }

    fn host(&self, index: u8) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, 1 + index)
    }

    fn network(&self) -> Network {
        let enter = ["ip", "netns", "exec", &self.name].map(str::to_owned).to_vec();
        Network { address: self.controller().to_string(), enter }
    }

    /// What the controller sends to these hosts is lost; what they send arrives. Nobody is told.
    fn cut_half(&self, hosts: impl Iterator<Item = u8>) {
        for host in hosts {
            ip(&["-n", &self.name, "route", "add", "blackhole", &format!("{}/32", self.host(host))]);
        }
    }

    fn heal_half(&self, hosts: impl Iterator<Item = u8>) {
        for host in hosts {
            ip(&["-n", &self.name, "route", "del", "blackhole", &format!("{}/32", self.host(host))]);
        }
    }

    /// The cable is out, on the controller's side.
    fn cut(&self) {
        ip(&["-n", &self.name, "link", "set", &format!("{}c", self.link), "down"]);
    }

    fn heal(&self) {
        ip(&["-n", &self.name, "link", "set", &format!("{}c", self.link), "up"]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its interfaces go with it.
        let _gone = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}

/// How often each host began, with which generation.
#[derive(Default)]
struct Seen(Mutex<BTreeMap<u8, BTreeMap<u64, u32>>>);

impl Seen {
    fn observer(self: &Arc<Self>, host: u8) -> Observer {
        let seen = Arc::clone(self);
        Arc::new(move |event| {
            let SessionEvent::Update { report } = event else { return };
            if report.phase == UpdatePhase::Offered {
                let generation = report.generation.unwrap().number();
                *seen.0.lock().unwrap().entry(host).or_default().entry(generation).or_default() += 1;
            }
        })
    }

    fn most_of_one_host(&self) -> u32 {
        self.0.lock().unwrap().values().map(|begun| begun.values().sum()).max().unwrap_or(0)
    }
}

fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    eprintln!("NOT TESTED: network namespaces need root");
    false
}

async fn fleet(namespace: &Namespace, dir: &std::path::Path) -> (SimulatedFleet, Arc<Seen>) {
    let population = Population::generate(HOSTS.into(), AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir, &population, namespace.network()).unwrap();
    let seen = Arc::new(Seen::default());
    let host = |index: u8| SimulatedHost {
        name: format!("sim-{index:03}"),
        labels: Vec::new(),
        source: IpAddr::V4(namespace.host(index)),
        script: Script { probation: PROBATION, ..Script::default() },
        observer: seen.observer(index),
    };
    fleet.join((0..HOSTS).map(host).collect(), population.tpms()).await.unwrap();
    fleet.publish(&["9.0.0"]).unwrap();
    (fleet, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_do_not_hear_the_controller_are_stragglers_and_are_updated_when_they_do() {
    if !is_root() {
        return;
    }
    let (namespace, dir) = (Namespace::new(), tempfile::tempdir().unwrap());
    let (fleet, seen) = fleet(&namespace, dir.path()).await;
    let cut = || HOSTS - CUT..HOSTS;
    namespace.cut_half(cut());
    let silent = |fleet: &SimulatedFleet| {
        let listed = fleet.admin.items(&["host", "list", "--limit", "0"])?;
        anyhow::Ok(listed.iter().filter(|host| host["liveness"] == "silent").count())
    };
    wait::until_async("the controller to notice", BOUND, || Ok((silent(&fleet)? == usize::from(CUT)).then_some(())))
        .await
        .unwrap();
    let id = fleet.create("9.0.0", &["--all", "--canary", "2", "--wave-size", "11", "--min-coverage", "20"]).unwrap();
    fleet.begin(&id).unwrap();
    let others = usize::from(HOSTS - CUT);
    let done = |rollout: &serde_json::Value| {
        rollout["targets"].as_array().unwrap().iter().filter(|target| target["state"] == "committed").count()
    };
    wait::until_async("all others to be updated", BOUND, || Ok((done(&fleet.rollout(&id)?) == others).then_some(())))
        .await
        .unwrap();
    let explained = fleet.admin.ok(&["rollout", "explain", &id]).unwrap().stdout;
    assert!(explained.contains("silent since"), "{explained}");
    assert_eq!(fleet.rollout(&id).unwrap()["state"], "running", "they are no failures");
    namespace.heal_half(cut());
    fleet.until_state(&id, "succeeded").await.unwrap();
    assert_eq!(seen.most_of_one_host(), 1, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cable_that_is_out_in_the_middle_of_a_wave_loses_nothing() {
    if !is_root() {
        return;
    }
    let (namespace, dir) = (Namespace::new(), tempfile::tempdir().unwrap());
    let (fleet, seen) = fleet(&namespace, dir.path()).await;
    let id = fleet.create("9.0.0", &["--all", "--canary", "2"]).unwrap();
    fleet.begin(&id).unwrap();
    wait::until_async("the second wave to be in motion", BOUND, || {
        let rollout = fleet.rollout(&id)?;
        let applying = |target: &&serde_json::Value| target["state"] == "applying";
        let moving = rollout["targets"].as_array().unwrap().iter().filter(applying).count();
        Ok((rollout["wave"] == 1 && moving >= 8).then_some(()))
    })
    .await
    .unwrap();
    namespace.cut();
    // The hosts finish while nobody hears them.
    tokio::time::sleep(2 * PROBATION).await;
    namespace.heal();
    fleet.until_state(&id, "succeeded").await.unwrap();
    assert_eq!(seen.most_of_one_host(), 1, "each once");
    fleet.admin.ok(&["audit", "verify"]).unwrap();
}
