//! Rollouts over simulated hosts: how long one takes beside the least that any work on every host takes, and how soon it
//! halts when a host reports that it failed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use flota_model::update::UpdatePhase;
use flota_sim::Population;
use flota_sim::SimulatedAgent;
use flota_sim::agent::{Member, Observer, Script, SessionEvent};
use flota_tests::{Operator, Packages, wait};
use serde_json::Value;

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::simulated::{fleet, hosts, processors};

/// Hosts changing at once.
const AT_ONCE: &str = "50";
/// A healthy release.
const GOOD: &str = "9.0.0";
/// One that is sick on one host.
const BAD: &str = "9.1.0";
/// The host on which it is, in the order in which hosts are started: not the canary, and early, so that most would follow.
const SICK_HOST: usize = 10;
/// How long bots take to answer while the bad release is tried: so the fleet is in motion when one fails.
const PROBATION: Duration = Duration::from_millis(200);
/// All of a rollout; it takes seconds.
const BOUND: Duration = Duration::from_mins(2);
/// After a halt nothing may be started; this long is waited for it to happen all the same.
const AFTER_HALT: Duration = Duration::from_secs(2);
/// Seconds from the report of a failure to the last host that begins.
const HALT: f64 = 1.0;

pub(super) async fn measure(ground: &Ground, population: &Population) -> anyhow::Result<Vec<Figure>> {
    processors::allow_many_files()?;
    let fleet = fleet::start(ground, population).context("starting a controller")?;
    let (admin, count) = (fleet.admin()?, population.tpms().len());
    publish(&admin, fleet.desk(), ground.fleet())?;
    eprintln!("{count} hosts: enrolment");
    let (members, _) = hosts::enrol(&fleet, population).await.context("enrolment")?;
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|(_, one), (_, other)| one.host_id.cmp(&other.host_id));
    let members: Vec<_> = members.into_iter().enumerate().map(scripted).collect();
    let seen = Arc::new(Seen::default());
    for (agent, member) in &members {
        let session = agent.connect(member, seen.observer()).await?;
        drop(tokio::spawn(session.run()));
    }
    trusted(&admin, count)?;
    eprintln!("{count} hosts: an empty task on each");
    let began = Instant::now();
    // A simulated host answers at once; that is all the work.
    let _tasks = admin.run(&["health", "run", "--all", "-o", "json"])?;
    let floor = began.elapsed();
    eprintln!("{count} hosts: a rollout");
    let took = rollout(&admin, GOOD, "succeeded")?;
    let each_once = seen.take();
    ensure!(each_once.committed == count, "{} of {count} hosts ended with it", each_once.committed);
    ensure!(each_once.begun == count, "{} updates begun on {count} hosts", each_once.begun);
    eprintln!("{count} hosts: a rollout that halts");
    rollout(&admin, BAD, "halted")?;
    tokio::time::sleep(AFTER_HALT).await;
    let halted = seen.take();
    let failed = halted.failed.context("nobody failed")?;
    let late = halted.last_begun.map_or(Duration::ZERO, |last| last.saturating_duration_since(failed));
    ensure!(halted.begun < count, "every host had begun before one failed: nothing was measured");
    fleet.stop()?;
    let wall = took.as_secs_f64();
    Ok(vec![
        Figure::new(format!("a rollout to {count} hosts, {AT_ONCE} at once, each confirmed by a quote"), wall, "s")
            .beside("an empty task on each", Some(floor.as_secs_f64())),
        Figure::new("from the report of a failure until no host begins any more", late.as_secs_f64(), "s")
            .bar(Bar::AtMost(HALT)),
    ])
}

/// The hosts with their scripts, by their place.
fn scripted((index, (agent, member)): (usize, &hosts::Enrolled)) -> (SimulatedAgent, Member) {
    let sick = if index == SICK_HOST { BTreeSet::from([BAD.to_owned()]) } else { BTreeSet::new() };
    (agent.scripted(Script { sick, probation: PROBATION, ..Script::default() }), member.clone())
}

fn publish(admin: &Operator, desk: &Path, folder: &Path) -> anyhow::Result<()> {
    let packages = folder.join("packages");
    std::fs::create_dir_all(&packages)?;
    let packages = Packages::new(&packages, "hex:00112233445566778899aabbccddeeff");
    let desk = desk.to_string_lossy();
    for version in [GOOD, BAD] {
        let package = packages.bot(version, "healthy", 1000)?;
        admin.ok(&["release", "sign", &desk, &package.path.to_string_lossy()])?;
    }
    admin.ok(&["release", "publish", &desk]).map(drop)
}

/// Waits until so many hosts are trusted: before, nothing is offered to them.
fn trusted(admin: &Operator, count: usize) -> anyhow::Result<()> {
    wait::until("trusted hosts", BOUND, || {
        let listed = admin.items(&["host", "list", "--limit", "0"])?;
        let trusted = listed.iter().filter(|host| host["trust"] == "trusted").count();
        Ok((trusted >= count).then_some(()))
    })
}

/// Brings a release to all hosts, and waits until the rollout has come to this; how long that took.
fn rollout(admin: &Operator, version: &str, end: &str) -> anyhow::Result<Duration> {
    let waves = ["--all", "--canary", "1", "--max-in-flight", AT_ONCE];
    let created = admin.json(&[&["rollout", "create", "--release", version], &waves[..]].concat())?;
    let id = created["id"].as_str().context("the rollout has no id")?.to_owned();
    let began = Instant::now();
    admin.run(&["rollout", "start", &id, "--yes", "--no-wait"])?;
    wait::until(end, BOUND, || {
        let answer = admin.run(&["rollout", "status", &id, "-o", "json"])?;
        let rollout: Value = serde_json::from_str(&answer.stdout)?;
        match rollout["state"].as_str() {
            Some(state) if state == end => Ok(Some(began.elapsed())),
            Some("running") => Ok(None),
            state => bail!("{id} is {state:?}: {}", rollout["cause"]),
        }
    })
}

/// What the hosts did.
#[derive(Default)]
struct Seen(Mutex<Happened>);

#[derive(Debug, Default)]
struct Happened {
    begun: usize,
    last_begun: Option<Instant>,
    committed: usize,
    failed: Option<Instant>,
}

impl Seen {
    fn observer(self: &Arc<Self>) -> Observer {
        let seen = Arc::clone(self);
        Arc::new(move |event| {
            let SessionEvent::Update { report } = event else { return };
            let mut happened = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            match report.phase {
                UpdatePhase::Offered => {
                    happened.begun = happened.begun.saturating_add(1);
                    happened.last_begun = Some(Instant::now());
                }
                UpdatePhase::Committed => happened.committed = happened.committed.saturating_add(1),
                UpdatePhase::RolledBack => {
                    happened.failed.get_or_insert_with(Instant::now);
                }
                _ => {}
            }
        })
    }

    /// Since the last call.
    fn take(&self) -> Happened {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
