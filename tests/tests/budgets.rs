//! Disruption budgets over real hosts.

use std::time::{Duration, Instant};

use flota_tests::{Bins, Fleet, FleetOptions};
use serde_json::Value;

const BOUND: Duration = Duration::from_secs(90);

#[test]
fn hosts_of_one_venue_change_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let options = FleetOptions { hosts: 3, ..FleetOptions::default() };
    let fleet = Fleet::start(&Bins::beside_this_program().unwrap(), dir.path(), options).unwrap();
    fleet.publish(&fleet.packages.bot("7.0.0", "healthy", 10_000).unwrap()).unwrap();
    let create = |budget: &str| {
        let wave = ["rollout", "create", "--release", "7.0.0", "--all", "--wave-size", "2", "--budget", budget];
        fleet.admin.run(&[&wave[..], &["-o", "json"]].concat()).unwrap()
    };
    let wrong = create("venue=none");
    assert!(wrong.code == 2 && wrong.stderr.contains("expected LABEL=N or LABEL=P%"), "{}", wrong.stderr);
    let unknown = create("galaxy=1");
    assert!(unknown.code != 0 && unknown.stderr.contains("no host has the label `galaxy`"), "{}", unknown.stderr);
    let created = create("venue=50%");
    let created: Value = serde_json::from_str(&created.stdout).unwrap_or_else(|_| panic!("{}", created.stderr));
    assert_eq!(created["budgets"][0], "venue=50%", "one of the three hosts of that venue, rounded down: {created:#}");
    let id = created["id"].as_str().unwrap();
    fleet.admin.run(&["rollout", "start", id, "--yes", "--no-wait"]).unwrap();
    let (began, mut waited) = (Instant::now(), false);
    loop {
        let answer = fleet.admin.run(&["rollout", "status", id, "-o", "json"]).unwrap();
        let rollout: Value = serde_json::from_str(&answer.stdout).unwrap();
        let targets = rollout["targets"].as_array().unwrap();
        let moving = |target: &&Value| {
            matches!(target["state"].as_str().unwrap(), "offered" | "applying" | "confirming" | "lost")
        };
        let in_motion: Vec<_> = targets.iter().filter(moving).collect();
        assert!(in_motion.len() <= 1, "{in_motion:#?}");
        let reason =
            |target: &Value| target["reason"].as_str().unwrap().contains("budget venue=binance, 1 at most: in use by");
        waited |= targets.iter().any(reason);
        if rollout["state"] == "succeeded" {
            break;
        }
        assert!(began.elapsed() < BOUND, "{rollout:#}");
    }
    assert!(waited, "nobody was seen to wait for the budget");
    assert!(fleet.hosts.iter().all(|host| host.bot_version().unwrap() == "7.0.0"));
}
