//! Disruption budgets and windows over real hosts.

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

#[test]
fn outside_its_windows_a_rollout_waits_and_says_until_when() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = Fleet::start(&Bins::beside_this_program().unwrap(), dir.path(), FleetOptions::default()).unwrap();
    fleet.publish(&fleet.packages.bot("7.0.0", "healthy", 10_000).unwrap()).unwrap();
    let create = |window: &str| {
        let arguments = ["rollout", "create", "--release", "7.0.0", "--all", "--window", window, "-o", "json"];
        fleet.admin.run(&arguments).unwrap()
    };
    let unknown = create("Mon 00:00-24:00 Mars/Olympus");
    assert!(unknown.code != 0 && unknown.stderr.contains("`Mars/Olympus` is no time zone"), "{}", unknown.stderr);
    let wrong = create("always");
    assert!(wrong.code == 2 && wrong.stderr.contains("expected DAYS HH:MM-HH:MM ZONE"), "{}", wrong.stderr);
    // In two hours, for a minute.
    let opens = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC) + jiff::SignedDuration::from_hours(2);
    let closes = &opens + jiff::SignedDuration::from_mins(1);
    let window = format!("daily {}-{} UTC", opens.strftime("%H:%M"), closes.strftime("%H:%M"));
    let created = create(&window);
    let created: Value = serde_json::from_str(&created.stdout).unwrap_or_else(|_| panic!("{}", created.stderr));
    let id = created["id"].as_str().unwrap();
    fleet.admin.run(&["rollout", "start", id, "--yes", "--no-wait"]).unwrap();
    let explained = fleet.admin.run(&["rollout", "explain", id]).unwrap().stdout;
    let expected = format!("the next one opens at {}", opens.strftime("%Y-%m-%dT%H:%M"));
    assert!(explained.contains("outside the rollout's windows") && explained.contains(&expected), "{explained}");
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest);
}
