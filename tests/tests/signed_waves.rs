//! A rollout of a release whose signed waves reach its hosts one after the other.

use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, wait};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(90);

#[test]
fn a_rollout_waits_for_the_signed_waves_of_its_release() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(
        &Bins::beside_this_program().unwrap(),
        dir.path(),
        FleetOptions { hosts: 1, ..FleetOptions::default() },
    )
    .unwrap();
    let admin = &fleet.admin;
    let desk = fleet.controller.desk().to_string_lossy().into_owned();
    let publish = |version: &str, wave: &str| {
        let package = fleet.packages.bot(version, "healthy", 10_000).unwrap().path.to_string_lossy().into_owned();
        admin.ok(&["release", "sign", &desk, &package, "--wave", wave]).unwrap();
        admin.ok(&["release", "publish", &desk]).unwrap();
    };
    let create =
        |version: &str| admin.run(&["rollout", "create", "--release", version, "--all", "-o", "json"]).unwrap();

    // Long enough to be seen waiting, short enough to be waited for.
    publish("5.1.0", "8s=100%");
    let created: Value = serde_json::from_str(&create("5.1.0").stdout).unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();
    let status = || -> Value {
        serde_json::from_str(&admin.run(&["rollout", "status", &id, "-o", "json"]).unwrap().stdout).unwrap()
    };
    let waits = |rollout: &Value| rollout.to_string().contains("waves reach it at");
    wait::until("the host to wait for its wave", BOUND, || Ok(waits(&status()).then_some(()))).unwrap();
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest, "it was not asked");
    wait::until("the rollout to succeed", BOUND, || Ok((status()["state"] == "succeeded").then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {:#}\n{}", status(), fleet.hosts[0].log()));
    assert_eq!(fleet.hosts[0].bot_version().unwrap(), "5.1.0");
}
