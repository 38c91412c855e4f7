//! `update`: a 1 GiB package of which one per cent changed, from the controller to a running bot; beside rsync and casync.

#[path = "update/peers.rs"]
mod peers;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use flota_tests::{Fleet, FleetOptions, Link, noise, wait};
use serde_json::Value;

use crate::figure::{Bar, Figure};
use crate::ground::Ground;

/// Size of the model in the package, in bytes.
const MODEL: usize = 1 << 30;
/// An update takes this long at most; nothing is measured by it.
const BOUND: Duration = Duration::from_mins(10);
/// Seconds between two attestations of a host: none falls into a measurement that does not ask for it.
const ATTEST_SECONDS: u64 = 600;
/// Seconds that a healthy bot is watched for at least, as the harness sets `[update]`.
const PROBATION: f64 = 0.4;
/// Longest time without a bot between stop and start, in seconds (the bar), with the bot's own start in it.
const DOWNTIME: f64 = 1.0;

/// What one update took.
struct Took {
    seconds: f64,
    bytes: u64,
    down: f64,
}

/// Measures everything.
pub(crate) fn run(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let bins = &ground.bins;
    let options = FleetOptions { hosts: 1, attest_seconds: ATTEST_SECONDS };
    let mut fleet = Fleet::install(bins, ground.fleet(), options).context("starting a fleet")?;
    let link = Link::to(&fleet.controller.fleet)?;
    let host = fleet.hosts.first().context("no host")?;
    host.redirect(&fleet.controller.fleet, &link.endpoint())?;
    fleet.enroll_all()?;
    fleet.start_agents()?;
    fleet.wait_until_trusted(1)?;

    eprintln!("a first update of 1 GiB");
    let old = noise(MODEL, 1);
    let first = roll_out(&fleet, &link, "5.0.0", &old)?;
    eprintln!("an update of which one per cent is new");
    let mut new = old.clone();
    let (at, changed) = (MODEL / 2, MODEL / 100);
    new.get_mut(at..at + changed).context("a part of the model")?.copy_from_slice(&noise(changed, 2));
    let second = roll_out(&fleet, &link, "5.0.1", &new)?;
    fleet.shut_down()?;
    drop(fleet);

    eprintln!("rsync and casync on the same files");
    let room = ground.room()?;
    let rsync = peers::rsync(room.path(), &old, &new)?;
    let casync = peers::casync(room.path(), &old, &new)?;
    let mib = |bytes: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a figure of a few digits")]
        let mib = bytes as f64 / f64::from(1 << 20);
        mib
    };
    let (rsync_seconds, rsync_bytes) = rsync.map(|peer| (peer.seconds, mib(peer.bytes))).unzip();
    let (casync_seconds, casync_bytes) = casync.map(|peer| (peer.seconds, mib(peer.bytes))).unzip();
    let downtime = first.down.max(second.down);
    Ok(vec![
        Figure::new("first update, 1 GiB: rollout to committed", first.seconds, "s"),
        Figure::new("first update, 1 GiB: bytes that came down", mib(first.bytes), "MiB"),
        Figure::new("1 % of 1 GiB changed: rollout to committed", second.seconds, "s")
            .beside("floor: probation of 3 polls 200 ms apart", Some(PROBATION)),
        Figure::new("1 % of 1 GiB changed: bytes that came down", mib(second.bytes), "MiB")
            .beside("rsync --no-whole-file, sent and received", rsync_bytes),
        Figure::new("1 % of 1 GiB changed: bytes that came down", mib(second.bytes), "MiB")
            .beside("casync, new chunks in its store", casync_bytes),
        Figure::new("1 % of 1 GiB changed: rollout to committed", second.seconds, "s")
            .beside("rsync, the copy alone", rsync_seconds),
        Figure::new("1 % of 1 GiB changed: rollout to committed", second.seconds, "s")
            .beside("casync, cutting and putting together alone", casync_seconds),
        Figure::new("no bot runs between stop and start, the bot's own start included", downtime, "s")
            .bar(Bar::AtMost(DOWNTIME)),
    ])
}

fn roll_out(fleet: &Fleet, link: &Link, version: &str, model: &[u8]) -> anyhow::Result<Took> {
    fleet.publish(&fleet.packages.with_model(version, model)?)?;
    let created = fleet.admin.json(&["rollout", "create", "--release", version, "--all"])?;
    let id = created.get("id").and_then(Value::as_str).context("the rollout has no id")?.to_owned();
    let host = fleet.hosts.first().context("no host")?;
    let over = AtomicBool::new(false);
    let (before, began) = (link.down(), Instant::now());
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| longest_gap(host, &over));
        let answer = fleet.admin.run(&["rollout", "start", &id, "--yes"])?;
        let seconds = began.elapsed().as_secs_f64();
        over.store(true, Ordering::SeqCst);
        ensure!(answer.code == 0, "{id} ended with {}: {}{}", answer.code, answer.stdout, answer.stderr);
        wait::until("the new version", BOUND, || Ok((host.bot_version()? == version).then_some(())))?;
        let down = watching.join().map_err(|_| anyhow::anyhow!("the watch of the bot ended early"))?;
        Ok(Took { seconds, bytes: link.down() - before, down })
    })
}

/// Seconds of the longest time in which no bot answered that it runs, asked every few milliseconds.
fn longest_gap(host: &flota_tests::BotHost, over: &AtomicBool) -> f64 {
    let (mut longest, mut seen) = (0.0_f64, Instant::now());
    while !over.load(Ordering::SeqCst) {
        // 2: no bot runs.
        if host.bot_health().is_ok_and(|(code, _)| code != 2) {
            longest = longest.max(seen.elapsed().as_secs_f64());
            seen = Instant::now();
        }
    }
    longest
}
