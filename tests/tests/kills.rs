//! Real kills, in the middle of real rollouts.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, wait};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(90);

fn fleet(dir: &Path, hosts: usize) -> Fleet {
    Fleet::start(&Bins::beside_this_program().unwrap(), dir, FleetOptions { hosts, ..FleetOptions::default() }).unwrap()
}

fn start(fleet: &Fleet, version: &str, behaviour: &str) -> String {
    fleet.publish(&fleet.packages.bot(version, behaviour, 100_000).unwrap()).unwrap();
    let created = fleet.admin.json(&["rollout", "create", "--release", version, "--all", "--wave-size", "1"]).unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    fleet.admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();
    id
}

fn rollout(fleet: &Fleet, id: &str) -> Option<Value> {
    let answer = fleet.admin.run(&["rollout", "status", id, "-o", "json"]).unwrap();
    serde_json::from_str(&answer.stdout).ok()
}

fn wait_for_state(fleet: &Fleet, id: &str, state: &str) -> Value {
    let what = format!("{id} to be {state}");
    let found = wait::until(&what, BOUND, || Ok(rollout(fleet, id).filter(|rollout| rollout["state"] == state)));
    found.unwrap_or_else(|error| panic!("{error}: {:#?}\n{}", rollout(fleet, id), fleet.hosts.first().unwrap().log()))
}

#[test]
fn a_controller_killed_in_mid_rollout_finishes_it_after_its_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), 3);
    let id = start(&fleet, "4.12.1", "healthy");
    wait::until("the canary to switch", BOUND, || {
        Ok((fleet.hosts[0].current()? != fleet.first_release.digest).then_some(()))
    })
    .unwrap();
    fleet.controller.kill().unwrap();
    assert_eq!(fleet.admin.run(&["host", "list"]).unwrap().code, 7, "unreachable is exit 7");
    // The canary's bot may be between stop and start at the moment of the kill: its agent goes on alone.
    wait::until("every bot to trade on without it", BOUND, || {
        Ok(fleet.hosts.iter().all(|host| host.bot_health().is_ok_and(|health| health.0 == 0)).then_some(()))
    })
    .unwrap();
    fleet.controller.restart().unwrap();
    let rollout = wait_for_state(&fleet, &id, "succeeded");
    assert_eq!(rollout["targets"].as_array().unwrap().len(), 3);
    assert!(fleet.hosts.iter().all(|host| host.bot_version().unwrap() == "4.12.1"));
    let before = fleet.admin.items(&["export", "list", "--limit", "0"]).unwrap();
    assert_eq!(before.len(), 3, "one export before each update, and none lost or doubled: {before:#?}");
    fleet.admin.ok(&["audit", "verify"]).unwrap();
}

#[test]
fn an_agent_killed_between_switch_and_commit_ends_in_the_new_version_when_it_is_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), 1);
    let id = start(&fleet, "4.12.1", "healthy");
    kill_after_the_switch(&mut fleet);
    fleet.hosts[0].start_agent().unwrap();
    wait_for_state(&fleet, &id, "succeeded");
    assert_eq!(fleet.hosts[0].bot_version().unwrap(), "4.12.1");
    assert_eq!(fleet.hosts[0].bot_health().unwrap().0, 0);
}

#[test]
fn an_agent_killed_between_switch_and_commit_goes_back_when_the_new_version_is_sick() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), 1);
    let id = start(&fleet, "4.12.0", "sick");
    kill_after_the_switch(&mut fleet);
    fleet.hosts[0].start_agent().unwrap();
    wait_for_state(&fleet, &id, "halted");
    let host = &fleet.hosts[0];
    assert_eq!(host.current().unwrap(), fleet.first_release.digest);
    assert_eq!(host.bot_version().unwrap(), "4.11.3");
    assert_eq!(host.bot_health().unwrap().0, 0);
}

/// Kills the agent while `current` names the new release and nothing is committed yet.
fn kill_after_the_switch(fleet: &mut Fleet) {
    let first = fleet.first_release.digest.clone();
    let host = &mut fleet.hosts[0];
    wait::until("the switch", BOUND, || Ok((host.current()? != first).then_some(()))).unwrap();
    host.kill_agent().unwrap();
    let status = host.agent_command(&["status", "--config", "../agent.toml"]).unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("switching") || status.contains("probation"), "killed too late: {status}");
}

#[test]
fn an_agent_that_is_away_during_an_abort_does_not_start_what_was_aborted() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), 1);
    fleet.publish(&fleet.packages.bot("4.12.1", "healthy", 1000).unwrap()).unwrap();
    fleet.admin.ok(&["rollout", "create", "--release", "4.12.1", "--all"]).unwrap();
    fleet.hosts[0].agent().unwrap().freeze().unwrap();
    fleet.admin.run(&["rollout", "start", "R-1", "--yes", "--no-wait"]).unwrap();
    wait::until("the offer", BOUND, || {
        Ok(rollout(&fleet, "R-1").filter(|rollout| rollout["targets"][0]["state"] == "offered"))
    })
    .unwrap();
    fleet.hosts[0].kill_agent().unwrap();
    fleet.admin.ok(&["rollout", "abort", "R-1", "--yes"]).unwrap();
    wait_for_state(&fleet, "R-1", "aborted");
    fleet.hosts[0].start_agent().unwrap();
    wait::until("the host to hear of the withdrawal", BOUND, || {
        Ok((fleet.listed("fra-bot-01")?["generation"] == 2).then_some(()))
    })
    .unwrap();
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest);
}

#[test]
fn a_rollback_takes_every_host_to_what_it_ran_before() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path(), 2);
    fleet.publish(&fleet.first_release).unwrap();
    let id = start(&fleet, "4.12.1", "healthy");
    wait_for_state(&fleet, &id, "succeeded");
    let answer = fleet.admin.run(&["rollout", "rollback", &id, "--confirm", &id, "--reason", "OPS-913"]).unwrap();
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    assert!(fleet.hosts.iter().all(|host| host.bot_version().unwrap() == "4.11.3"));
    let listed = fleet.admin.items(&["rollout", "list"]).unwrap();
    assert_eq!(listed[0]["rollback_of"], "R-1");
}

#[test]
fn a_paused_rollout_starts_nothing_and_goes_on_when_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path(), 2);
    let id = start(&fleet, "4.12.1", "healthy");
    fleet.admin.ok(&["rollout", "pause", &id]).unwrap();
    let paused = wait_for_state(&fleet, &id, "paused");
    assert_ne!(paused["targets"][1]["state"], "committed");
    let answer = fleet.admin.run(&["rollout", "status", &id]).unwrap();
    assert_eq!(answer.code, 9, "waits for a person: {}", answer.stdout);
    fleet.admin.ok(&["rollout", "resume", &id, "--yes"]).unwrap();
    wait_for_state(&fleet, &id, "succeeded");
}
