//! No step of a host's wall clock ends a trial or keeps it from ending (invariant I8).
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::time::{Duration, Instant};

use flota_tests::{Bins, Fleet, FleetOptions, ShiftedClock, wait};

const BOUND: Duration = Duration::from_secs(90);
/// Of the release that is tried, by the monotonic clock.
const PROBATION: Duration = Duration::from_secs(8);
/// Much longer than that, and shorter than what is left of a certificate.
const STEP: Duration = Duration::from_hours(2);

/// What the agent says of itself.
fn status(fleet: &Fleet) -> String {
    let output = fleet.hosts[0].agent_command(&["status", "--config", "../agent.toml"]).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Tries a release that never becomes healthy and lets the clock step in the middle of it; how long the trial took.
fn trial(fleet: &Fleet, version: &str, step: impl FnOnce()) -> Duration {
    fleet.publish(&fleet.packages.bot(version, "sick", 10_000).unwrap()).unwrap();
    let created = fleet.admin.json(&["rollout", "create", "--release", version, "--all"]).unwrap();
    let id = created["id"].as_str().unwrap();
    fleet.admin.run(&["rollout", "start", id, "--yes", "--no-wait"]).unwrap();
    wait::until("the trial to begin", BOUND, || Ok(status(fleet).contains(" probation").then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}{}", status(fleet), fleet.hosts[0].log()));
    let begun = Instant::now();
    step();
    wait::until("the trial to end", BOUND, || Ok(status(fleet).contains("rolled_back").then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}{}", status(fleet), fleet.hosts[0].log()));
    begun.elapsed()
}

#[test]
fn a_step_of_the_hosts_clock_neither_ends_a_trial_nor_prolongs_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = FleetOptions { hosts: 1, ..FleetOptions::default() };
    let mut fleet = Fleet::install(&Bins::beside_this_program().unwrap(), dir.path(), options).unwrap();
    let seconds = format!("probation_seconds = {}", PROBATION.as_secs());
    fleet.hosts[0].redirect("probation_seconds = 3", &seconds).unwrap();
    fleet.enroll_all().unwrap();
    fleet.start_agents().unwrap();
    fleet.wait_until_trusted(1).unwrap();
    let clock = ShiftedClock::new(&dir.path().join("clock")).unwrap();
    fleet.hosts[0].restart_agent_with_clock(&clock).unwrap();

    let ahead = trial(&fleet, "6.0.0", || clock.set_ahead(STEP).unwrap());
    // An update does not begin with a clock that is wrong, so it is right in between.
    clock.set_ahead(Duration::ZERO).unwrap();
    let back = trial(&fleet, "6.1.0", || clock.set_behind(STEP).unwrap());
    for (step, took) in [("ahead", ahead), ("back", back)] {
        // A poll or two of the state may lie between the trial's beginning and ours.
        assert!(took > PROBATION / 2, "a step {step} ended the trial after {took:?}");
        assert!(took < PROBATION * 3, "a step {step} prolonged the trial to {took:?}");
    }
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest);
}
