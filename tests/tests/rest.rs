//! A rollout over a host whose bot has something open.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, wait};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(90);

/// A fleet of one whose bot is busy, and a rollout of this version that has come to it.
fn asked(dir: &Path, version: &str) -> (Fleet, String) {
    let options = FleetOptions { hosts: 1, ..FleetOptions::default() };
    let fleet = Fleet::start(&Bins::beside_this_program().unwrap(), dir, options).unwrap();
    fleet.hosts[0].set_busy(true).unwrap();
    fleet.publish(&fleet.packages.bot(version, "healthy", 10_000).unwrap()).unwrap();
    let created = fleet.admin.json(&["rollout", "create", "--release", version, "--all"]).unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    fleet.admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();
    let status = || {
        let output = fleet.hosts[0].agent_command(&["status", "--config", "../agent.toml"]).unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    wait::until("the bot to be asked more than once", BOUND, || {
        let status = status();
        Ok((status.contains("quiesce command ended with exit status: 75")).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}: {}{}", status(), fleet.hosts[0].log()));
    (fleet, id)
}

fn state(fleet: &Fleet, id: &str) -> Value {
    let answer = fleet.admin.run(&["rollout", "status", id, "-o", "json"]).unwrap();
    serde_json::from_str::<Value>(&answer.stdout).unwrap()["state"].clone()
}

/// Version of the bot, and whether it takes new orders.
fn bot(fleet: &Fleet) -> (String, bool) {
    let (_, health) = fleet.hosts[0].bot_health().unwrap();
    (health["version"].as_str().unwrap().to_owned(), health["resting"] == false)
}

#[test]
fn an_update_comes_when_the_bot_has_closed_what_it_had_open() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, id) = asked(dir.path(), "7.0.0");
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest, "it trades on meanwhile");
    fleet.hosts[0].set_busy(false).unwrap();
    wait::until("the rollout to succeed", BOUND, || Ok((state(&fleet, &id) == "succeeded").then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}", fleet.hosts[0].log()));
    assert_eq!(bot(&fleet), ("7.0.0".to_owned(), true));
}

#[test]
fn a_rollout_that_is_aborted_meanwhile_leaves_the_bot_trading() {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, id) = asked(dir.path(), "7.0.0");
    let before = bot(&fleet).0;
    fleet.admin.ok(&["rollout", "abort", &id, "--yes"]).unwrap();
    fleet.hosts[0].set_busy(false).unwrap();
    wait::until("the rollout to be aborted", BOUND, || Ok((state(&fleet, &id) == "aborted").then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}", fleet.hosts[0].log()));
    wait::until("the bot to trade", BOUND, || Ok((bot(&fleet) == (before.clone(), true)).then_some(()))).unwrap();
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest);
}
