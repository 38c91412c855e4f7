//! Rollouts over simulated hosts and a real controller: approvals, gates, freezes, single hosts, late joiners, amendments.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flota_sim::Population;
use flota_sim::agent::{Script, loopback_address};
use flota_sim::soft_tpm::AkKind;
use flota_tests::{Network, Operator, SimulatedFleet, SimulatedHost};
use serde_json::Value;
use tempfile::TempDir;

/// What every host runs at first, and what is brought to them.
const FIRST: &str = "8.0.0";
const NEXT: &str = "9.0.0";
/// A change of what operators want reaches the hosts in this time.
const AT_ONCE: Duration = Duration::from_secs(1);

fn host(index: u16, script: Script) -> SimulatedHost {
    SimulatedHost {
        name: format!("sim-{index:03}"),
        labels: vec![("venue", ["a", "b"][usize::from(index) % 2].to_owned())],
        source: loopback_address(index),
        script,
        observer: Arc::new(|_| {}),
    }
}

/// A fleet whose hosts all run [`FIRST`]; of `population` more than those.
async fn fleet(scripts: Vec<Script>, more: usize) -> (SimulatedFleet, Population, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let population = Population::generate(scripts.len() + more, AkKind::P256).unwrap();
    let mut fleet = SimulatedFleet::start(dir.path(), &population, Network::loopback()).unwrap();
    let hosts = (0..).zip(scripts).map(|(index, script)| host(index, script)).collect();
    fleet.join(hosts, population.tpms()).await.unwrap();
    fleet.publish(&[FIRST, NEXT]).unwrap();
    let id = fleet.create(FIRST, &["--all", "--no-health-check"]).unwrap();
    fleet.begin(&id).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();
    (fleet, population, dir)
}

fn plain(hosts: usize) -> Vec<Script> {
    vec![Script::default(); hosts]
}

/// One that takes its time, so that there is something to see.
fn slow(hosts: usize) -> Vec<Script> {
    vec![Script { probation: Duration::from_millis(400), ..Script::default() }; hosts]
}

fn document(operator: &Operator, arguments: &[&str]) -> Value {
    let answer = operator.run(&[arguments, &["-o", "json"]].concat()).unwrap();
    serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", answer.stderr))
}

fn states(rollout: &Value) -> Vec<&str> {
    rollout["targets"].as_array().unwrap().iter().map(|target| target["state"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_persons_approve_what_they_were_shown_and_then_it_begins() {
    let (fleet, _population, _dir) = fleet(plain(3), 0).await;
    let [piotr, ola] = ["piotr", "ola"].map(|name| fleet.controller.operator(name, "approver").unwrap());
    let id = fleet.create(NEXT, &["--all", "--approvals", "2", "--ticket", "OPS-9"]).unwrap();
    let started = fleet.admin.run(&["rollout", "start", &id, "--yes"]).unwrap();
    assert_eq!(started.code, 9, "it waits for persons: {}", started.stdout);
    assert!(started.stdout.contains("waits for approval: 0 of 2 given"), "{}", started.stdout);

    let own = fleet.admin.run(&["rollout", "approve", &id, "--yes"]).unwrap();
    assert!(own.code == 4 && own.stderr.contains("admin wrote R-2 and cannot approve it"), "{}", own.stderr);
    let shown = document(&piotr, &["rollout", "plan", &id]);
    assert_eq!(shown["waves"][1]["changed_when_it_halts"], 3, "{shown:#}");
    let seen = shown["rollout"]["spec"].as_str().unwrap().to_owned();
    piotr.ok(&["rollout", "approve", &id, "--yes", "--plan", &seen]).unwrap();
    // It is amended: what piotr approved is another rollout.
    fleet.admin.ok(&["rollout", "amend", &id, "--max-failures", "2", "--yes", "--reason", "two may fail"]).unwrap();
    let stale = ola.run(&["rollout", "approve", &id, "--yes", "--plan", &seen]).unwrap();
    assert_eq!(stale.code, 6, "{}", stale.stderr);
    let amended = fleet.rollout(&id).unwrap();
    assert_eq!((&amended["state"], &amended["max_failures"]), (&"awaiting_approval".into(), &2.into()));
    assert_eq!(amended["approvals"], Value::Array(Vec::new()));
    assert!(states(&amended).iter().all(|state| *state == "pending"), "{amended:#}");

    for approver in [&piotr, &ola] {
        approver.ok(&["rollout", "approve", &id, "--yes", "--reason", "looked at the plan"]).unwrap();
    }
    let done = fleet.until_state(&id, "succeeded").await.unwrap();
    let names: Vec<_> = done["approvals"].as_array().unwrap().iter().map(|one| one["by"].as_str().unwrap()).collect();
    assert_eq!(names, ["piotr", "ola"]);
    let log = fleet.admin.items(&["audit", "list", "--limit", "0"]).unwrap();
    let of = |action: &str, outcome: &str| {
        log.iter().filter(|entry| entry["action"] == action && entry["outcome"] == outcome).count()
    };
    assert_eq!((of("rollout.approve", "ok"), of("rollout.approve", "denied"), of("rollout.amend", "ok")), (3, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_ask_for_a_ticket_and_an_emergency_for_two_persons() {
    let (mut fleet, _population, _dir) = fleet(plain(1), 0).await;
    fleet.controller.configure("rollout_approvals = 1\nrollout_ticket_required = true").unwrap();
    let create = |flags: &[&str]| {
        let line = [&["rollout", "create", "--release", NEXT, "--all", "-o", "json"], flags].concat();
        fleet.admin.run(&line).unwrap()
    };
    let without = create(&[]);
    assert!(
        without.code != 0 && without.stderr.contains("every rollout names its change ticket"),
        "{}",
        without.stderr
    );
    let normal: Value = serde_json::from_str(&create(&["--ticket", "OPS-9"]).stdout).unwrap();
    assert_eq!(normal["approvals_needed"], 1);
    assert_eq!(create(&["--ticket", "OPS-9", "--emergency"]).code, 2, "an emergency says why");
    let urgent = create(&["--ticket", "OPS-9", "--emergency", "--reason", "CVE-2026-1", "--approvals", "1"]);
    let urgent: Value = serde_json::from_str(&urgent.stdout).unwrap();
    assert_eq!((&urgent["approvals_needed"], &urgent["emergency"]), (&2.into(), &true.into()));
    let market = create(&["--ticket", "OPS-9", "--market", "xnys=closed"]);
    assert!(market.stderr.contains("knows no market `xnys`; it knows none"), "{}", market.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_runs_the_release_and_cannot_trade_halts_it_and_the_fleet_goes_back() {
    let mut scripts = plain(6);
    scripts[2].cut_off = BTreeSet::from([NEXT.to_owned()]);
    let (fleet, _population, _dir) = fleet(scripts, 0).await;
    let flags = ["--all", "--canary", "2", "--wave-size", "2", "--on-halt", "rollback", "--bake", "0s"];
    let id = fleet.create(NEXT, &flags).unwrap();
    fleet.begin(&id).unwrap();
    let aborted = fleet.until_state(&id, "aborted").await.unwrap();
    let unhealthy =
        aborted["targets"].as_array().unwrap().iter().find(|target| target["state"] == "unhealthy").unwrap();
    assert!(unhealthy["reason"].as_str().unwrap().contains("cannot trade"), "{unhealthy}");
    let rollouts = fleet.admin.items(&["rollout", "list"]).unwrap();
    let back = rollouts.iter().find(|one| one["rollback_of"] == id.as_str()).unwrap();
    assert_eq!(back["created_by"], "controller", "nobody was asked");
    fleet.until_state(back["id"].as_str().unwrap(), "succeeded").await.unwrap();
    for (name, version) in fleet.versions().unwrap() {
        assert_eq!(version, FIRST, "{name}");
    }
    assert_eq!(rollouts.iter().filter(|one| one["rollback_of"] == id.as_str()).count(), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_its_hosts_until_it_is_ended() {
    let (fleet, _population, _dir) = fleet(plain(4), 0).await;
    let frozen = ["freeze", "create", "-l", "venue=b", "--until", "48h", "--reason", "listing day", "-o", "json"];
    let freeze: Value = serde_json::from_str(&fleet.admin.ok(&frozen).unwrap().stdout).unwrap();
    let id = fleet.create(NEXT, &["--all", "--min-coverage", "1"]).unwrap();
    fleet.begin(&id).unwrap();
    let waits = |rollout: &Value| {
        let reason = |target: &&Value| target["reason"].as_str().unwrap().contains("by admin: listing day");
        rollout["targets"].as_array().unwrap().iter().filter(reason).count()
    };
    // Hosts of venue a go first where they are in the canary; those of b wait, and with them the wave.
    flota_tests::wait::until_async("two hosts to wait for the freeze", Duration::from_mins(1), || {
        let rollout = fleet.rollout(&id)?;
        Ok((waits(&rollout) == 2 || rollout["wave"] == 0 && waits(&rollout) == 1).then_some(()))
    })
    .await
    .unwrap();
    assert!(fleet.versions().unwrap().iter().any(|(_, version)| version == FIRST));
    let listed = fleet.admin.ok(&["freeze", "list"]).unwrap().stdout;
    assert!(listed.contains("venue=b") && listed.contains("holds"), "{listed}");
    fleet.admin.ok(&["freeze", "end", &freeze["id"].to_string(), "--yes"]).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_left_out_and_tried_again_by_name() {
    let mut scripts = slow(4);
    scripts[1].sick = BTreeSet::from([NEXT.to_owned()]);
    let (fleet, _population, _dir) = fleet(scripts, 0).await;
    let id = fleet.create(NEXT, &["-l", "host!=sim-000", "--canary", "3"]).unwrap();
    let nobody = fleet.admin.run(&["rollout", "skip", &id, "--host", "sim-000", "--yes"]).unwrap();
    assert!(nobody.code == 5 && nobody.stderr.contains("`sim-000` is not part of"), "{}", nobody.stderr);
    fleet.admin.ok(&["rollout", "skip", &id, "--host", "sim-003", "--yes", "--reason", "demo at noon"]).unwrap();
    fleet.begin(&id).unwrap();
    let halted = fleet.until_state(&id, "halted").await.unwrap();
    assert!(states(&halted).contains(&"rolled_back") && states(&halted).contains(&"skipped"), "{halted:#}");
    fleet.admin.ok(&["rollout", "retry", &id, "--host", "sim-001", "--yes"]).unwrap();
    // The host never tries that release again: the retry ends where it was, and says why.
    let refused = flota_tests::wait::until_async("the retry to end", Duration::from_mins(1), || {
        let rollout = fleet.rollout(&id)?;
        Ok(states(&rollout).contains(&"refused").then_some(rollout))
    });
    let refused = refused.await.unwrap();
    assert_eq!(refused["state"], "halted", "it still counts as failed");
    let explained = fleet.admin.ok(&["rollout", "explain", &id, "--host", "sim-001"]).unwrap().stdout;
    assert!(explained.contains("does not try it again"), "{explained}");
    let too_many =
        fleet.admin.run(&["rollout", "resume", &id, "--accept-failures", "7", "--yes", "-o", "json"]).unwrap();
    assert_eq!(too_many.code, 0, "{}", too_many.stderr);
    let ended = fleet.until_state(&id, "succeeded_with_exceptions").await.unwrap();
    assert_eq!(ended["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_while_it_runs_is_updated_last() {
    let (mut fleet, population, _dir) = fleet(slow(3), 1).await;
    let flags = ["-l", "venue=a", "--late-joiners", "--pause-after", "canary"];
    let id = fleet.create(NEXT, &flags).unwrap();
    fleet.begin(&id).unwrap();
    fleet.until_state(&id, "paused").await.unwrap();
    fleet.join(vec![host(4, Script::default())], &population.tpms()[3..]).await.unwrap();
    let joined = flota_tests::wait::until_async("the late host to join", Duration::from_mins(1), || {
        let rollout = fleet.rollout(&id)?;
        Ok((rollout["waves"].as_array().unwrap().len() == 3).then_some(rollout))
    });
    let joined = joined.await.unwrap();
    assert_eq!(joined["waves"][2]["name"], "late joiners");
    fleet.admin.ok(&["rollout", "resume", &id, "--yes"]).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();
    let versions = fleet.versions().unwrap();
    let of = |name: &str| versions.iter().find(|(host, _)| host == name).unwrap().1.as_str();
    assert_eq!((of("sim-000"), of("sim-001"), of("sim-002"), of("sim-004")), (NEXT, FIRST, NEXT, NEXT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_takes_the_place_of_another_and_a_part_goes_back() {
    let (fleet, _population, _dir) = fleet(slow(4), 0).await;
    fleet.publish(&["9.1.0"]).unwrap();
    let old = fleet.create(NEXT, &["--all", "--bake", "1h"]).unwrap();
    fleet.begin(&old).unwrap();
    flota_tests::wait::until_async("the canary to be done", Duration::from_mins(1), || {
        Ok((fleet.rollout(&old)?["waves"][0]["done"] == 1).then_some(()))
    })
    .await
    .unwrap();
    let new = fleet.create("9.1.0", &["--all", "--supersedes", &old]).unwrap();
    assert_eq!(fleet.rollout(&old).unwrap()["state"], "running", "not before the new one starts");
    fleet.begin(&new).unwrap();
    let superseded = fleet.until_state(&old, "superseded").await.unwrap();
    assert_eq!(superseded["superseded_by"], new.as_str());
    fleet.until_state(&new, "succeeded").await.unwrap();

    let back = ["rollout", "rollback", &new, "--wave", "canary", "--confirm", "1", "--no-wait", "-o", "json"];
    let back: Value = serde_json::from_str(&fleet.admin.ok(&back).unwrap().stdout).unwrap();
    fleet.until_state(back["id"].as_str().unwrap(), "succeeded").await.unwrap();
    let versions: Vec<String> = fleet.versions().unwrap().into_iter().map(|(_, version)| version).collect();
    assert_eq!(versions.iter().filter(|version| *version == "9.1.0").count(), 3, "{versions:?}");
    assert_eq!(versions.iter().filter(|version| *version == NEXT).count(), 1, "{versions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_deadline_it_expires_and_what_is_amended_in_time_goes_on() {
    let (fleet, _population, _dir) = fleet(plain(2), 0).await;
    let flags = ["--all", "--bake", "1h", "--deadline", "3s"];
    let id = fleet.create(NEXT, &flags).unwrap();
    fleet.begin(&id).unwrap();
    let expired = fleet.until_state(&id, "expired").await.unwrap();
    assert!(expired["cause"].as_str().unwrap().ends_with("1 hosts were not started"), "{}", expired["cause"]);
    let past = fleet.admin.run(&["rollout", "amend", &id, "--bake", "0s", "--yes"]).unwrap();
    assert!(past.stderr.contains("a rollout that is expired cannot be amended"), "{}", past.stderr);

    let id = fleet.create(NEXT, &["--all", "--bake", "1h"]).unwrap();
    fleet.begin(&id).unwrap();
    flota_tests::wait::until_async("the bake to begin", Duration::from_mins(1), || {
        Ok(fleet.rollout(&id)?["cause"].as_str().is_some_and(|cause| cause.contains("bakes until")).then_some(()))
    })
    .await
    .unwrap();
    let began = Instant::now();
    fleet.admin.ok(&["rollout", "amend", &id, "--bake", "0s", "--yes"]).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();
    assert!(began.elapsed() < 10 * AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_party_checks_the_evidence_of_a_rollout_with_a_file_and_a_key() {
    let (fleet, _population, dir) = fleet(plain(2), 0).await;
    let piotr = fleet.controller.operator("piotr", "approver").unwrap();
    let id = fleet.create(NEXT, &["--all", "--approvals", "1"]).unwrap();
    fleet.admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();
    piotr.ok(&["rollout", "approve", &id, "--yes"]).unwrap();
    fleet.until_state(&id, "succeeded").await.unwrap();

    let (file, key) = (dir.path().join("evidence.json"), fleet.controller.dir().join("audit-key.pub"));
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    let written = fleet.admin.run(&["rollout", "evidence", &id, "--to", file]).unwrap();
    // Simulated hosts make no exports, and that is seen; all else holds.
    assert_eq!(written.code, 1, "{}{}", written.stdout, written.stderr);
    let failing: Vec<&str> = written.stdout.lines().filter(|line| line.starts_with('✗')).collect();
    assert_eq!(failing.len(), 1, "{}", written.stdout);
    assert!(failing[0].contains("0 of 2 updated hosts made a security export"), "{failing:?}");

    // No controller any more, and no context: whoever has the file has enough.
    let mut fleet = fleet;
    fleet.controller.stop().unwrap();
    let checked = fleet.admin.run(&["audit", "verify", file, "--key", key]).unwrap();
    assert!(
        checked.stdout.contains("1 approval was needed beside operator/admin: given by piotr"),
        "{}",
        checked.stdout
    );
    assert!(checked.stdout.contains("2 of 2 updated hosts proved by a quote that passed"), "{}", checked.stdout);
    let text = std::fs::read_to_string(file).unwrap();
    let forged = dir.path().join("forged.json");
    std::fs::write(&forged, text.replace("operator/piotr", "operator/pavel")).unwrap();
    let refused = fleet.admin.run(&["audit", "verify", forged.to_str().unwrap(), "--key", key]).unwrap();
    assert!(refused.code == 1 && refused.stderr.contains("the log was changed"), "{}", refused.stderr);
    let again = fleet.admin.run(&["rollout", "evidence", &id, "--to", file]).unwrap();
    assert!(again.code == 2 && again.stderr.contains("cannot be created"), "a file is not replaced: {}", again.stderr);
    // At its end the controller has left a checkpoint.
    let checkpoints = std::fs::read_to_string(fleet.controller.dir().join("audit-checkpoints.jsonl")).unwrap();
    assert_eq!(checkpoints.lines().count(), 1, "{checkpoints}");

    fleet.controller.restart().unwrap();
    let log = dir.path().join("log.json");
    fleet.admin.ok(&["audit", "export", "--to", log.to_str().unwrap()]).unwrap();
    fleet.admin.ok(&["audit", "verify", log.to_str().unwrap(), "--key", key]).unwrap();
}
