//! What an operator waits for: pings, quotes and rollouts in a live fleet, each a command of `flota` from start to end.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use flota_tests::{Fleet, FleetOptions};
use serde_json::Value;

use crate::figure::Figure;
use crate::ground::Ground;
use crate::stopwatch::Spread;

/// Hosts of the fleet: a canary and two waves of two.
pub(super) const HOSTS: usize = 5;

/// Seconds between two attestations of a host, so that none falls into a measurement that does not ask for it.
const ATTEST_SECONDS: u64 = 600;

/// Pings of the whole fleet.
const PINGS: usize = 20;

/// Attestations of the whole fleet.
const CHALLENGES: usize = 10;

/// Rollouts of each outcome; they take seconds each.
const ROLLOUTS: usize = 3;

/// Payload of a release, in bytes: this measures the procedure, not the disk.
const BALLAST: usize = 256 << 10;

/// Seconds that a healthy bot is watched for at least: three polls 200 ms apart, as the harness sets `[update]`.
const HEALTHY: f64 = 0.4;

/// Seconds that a sick bot is given to become healthy: `probation_seconds` of the harness.
const PROBATION: f64 = 3.0;

pub(super) fn measure(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let options = FleetOptions { hosts: HOSTS, attest_seconds: ATTEST_SECONDS };
    let mut fleet = Fleet::start(&ground.bins, ground.fleet(), options).context("starting it")?;
    let mut figures = ping(&fleet)?;
    figures.extend(attest(&fleet)?);
    figures.extend(roll_out(&fleet)?);
    fleet.shut_down()?;
    Ok(figures)
}

fn ping(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let (mut round_trips, mut commands) = (Vec::new(), Vec::new());
    for _ in 0..PINGS {
        let began = Instant::now();
        let replies = fleet.admin.items(&["host", "ping", "--all"])?;
        commands.push(milliseconds(began));
        ensure!(replies.len() == HOSTS, "{} hosts were pinged", replies.len());
        let micros: Vec<f64> = replies.iter().filter_map(|reply| reply.get("round_trip_us")?.as_f64()).collect();
        ensure!(micros.len() == HOSTS, "a reply has no round trip: {replies:?}");
        round_trips.push(micros.into_iter().fold(0.0, f64::max) / 1000.0);
    }
    let (round_trips, commands) = (Spread::of(round_trips)?, Spread::of(commands)?);
    Ok(vec![
        Figure::new("ping of 5: slowest host, median of 20", round_trips.median, "ms"),
        Figure::new("ping of 5: slowest host, highest of 20", round_trips.highest, "ms"),
        Figure::new("ping of 5: whole command, median of 20", commands.median, "ms"),
        Figure::new("ping of 5: whole command, highest of 20", commands.highest, "ms"),
    ])
}

fn attest(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let mut commands = Vec::new();
    for _ in 0..CHALLENGES {
        let began = Instant::now();
        let outcomes = fleet.admin.items(&["attest", "challenge", "--all"])?;
        commands.push(milliseconds(began));
        ensure!(outcomes.len() == HOSTS, "{} hosts were challenged", outcomes.len());
    }
    let commands = Spread::of(commands)?;
    Ok(vec![
        Figure::new("attestation of 5: whole command, median of 10", commands.median, "ms"),
        Figure::new("attestation of 5: whole command, highest of 10", commands.highest, "ms"),
    ])
}

fn roll_out(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    // What hosts run must be known, or they could not go back to it.
    fleet.publish(&fleet.first_release)?;
    let (mut ends, mut halts) = (Vec::new(), Vec::new());
    for round in 1..=ROLLOUTS {
        let (took, id) = one(fleet, &format!("5.{round}.0"), "healthy", 0)?;
        ends.push(took);
        ensure!(states(fleet, &id, "committed")? == HOSTS, "{id} did not reach every host");
    }
    for round in 1..=ROLLOUTS {
        // 9: it waits for a person.
        let (took, id) = one(fleet, &format!("6.{round}.0"), "sick", 9)?;
        halts.push(took);
        ensure!(states(fleet, &id, "rolled_back")? == 1, "the canary of {id} did not go back");
        fleet.admin.ok(&["rollout", "abort", &id, "--yes"])?;
    }
    let floor = "floor: 3 waves of 3 polls 200 ms apart";
    let halting_floor = "floor: probation of 3 s, then 3 polls 200 ms apart";
    Ok(vec![
        Figure::new("rollout to 5 in 3 waves: to the end, median of 3", Spread::of(ends)?.median, "s")
            .beside(floor, Some(3.0 * HEALTHY)),
        Figure::new("rollout of a sick release: to the halt, median of 3", Spread::of(halts)?.median, "s")
            .beside(halting_floor, Some(PROBATION + HEALTHY)),
    ])
}

/// Seconds from `rollout start` to the end of that command, and the rollout's name.
fn one(fleet: &Fleet, version: &str, behaviour: &str, expected: i32) -> anyhow::Result<(f64, String)> {
    fleet.publish(&fleet.packages.bot(version, behaviour, BALLAST)?)?;
    let arguments = ["rollout", "create", "--release", version, "--all", "--canary", "1", "--wave-size", "2"];
    let created = fleet.admin.json(&arguments)?;
    let id = created.get("id").and_then(Value::as_str).context("the rollout has no id")?.to_owned();
    let began = Instant::now();
    let answer = fleet.admin.run(&["rollout", "start", &id, "--yes"])?;
    let took = began.elapsed().as_secs_f64();
    ensure!(answer.code == expected, "{id} ended with {}: {}{}", answer.code, answer.stdout, answer.stderr);
    Ok((took, id))
}

/// How many hosts of a rollout are in this state.
fn states(fleet: &Fleet, id: &str, state: &str) -> anyhow::Result<usize> {
    // The exit code tells the state of the rollout, which is looked at elsewhere.
    let answer = fleet.admin.run(&["rollout", "status", id, "-o", "json"])?;
    let document: Value = serde_json::from_str(&answer.stdout).with_context(|| answer.stdout.clone())?;
    let targets = document.get("targets").and_then(Value::as_array).context("the rollout has no targets")?;
    Ok(targets.iter().filter(|target| target.get("state").and_then(Value::as_str) == Some(state)).count())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
