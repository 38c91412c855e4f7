//! The security export of a large log beside `wc -l`, which also only counts lines.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::stopwatch::{Race, installed, peak_memory};

use super::{GIB, fill};

/// Runs of each; the best counts.
const ROUNDS: u32 = 3;

/// Lines of the block that the log repeats: about 1 MiB.
const BLOCK_LINES: u32 = 10_000;

/// Entries of the audit log and of the alerts. Small, as these are: every entry is parsed and signed.
const ENTRIES: u32 = 100;

pub(super) fn measure(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let room = ground.room()?;
    let log = install(room.path())?;
    let mut export = Command::new(ground.bins.path("flota-agent"));
    export.args(["export-security-bundle", "--root"]).arg(room.path()).arg("--include-log").arg(&log);
    export.env("BOT_CORE_SECURITY_AUDIT_KEY", format!("hex:{}", "1f".repeat(32)));
    // This run also brings the log into the cache.
    let peak = peak_memory(&export, room.path())?;
    let wc = installed("wc").map(|program| {
        let mut wc = Command::new(program);
        wc.arg("-l").arg(&log);
        vec![wc]
    });
    let race = Race::run(ROUNDS, &mut export, wc)?;
    let (ours, peer) = (race.ours.as_secs_f64(), race.peer.map(|time| time.as_secs_f64()));
    Ok(vec![
        Figure::new("export of a 1 GiB log", ours, "s").beside("wc -l", peer),
        Figure::ratio("export of a 1 GiB log: speed", peer, Some(ours))
            .beside("wc -l", peer.map(|_| 1.0))
            .bar(Bar::AtLeast(0.8)),
        Figure::new("export of a 1 GiB log: memory", peak, "MiB").bar(Bar::AtMost(32.0)),
    ])
}

/// Lays out an installation, and gives its large log.
fn install(root: &Path) -> anyhow::Result<std::path::PathBuf> {
    let logs = root.join("logs");
    std::fs::create_dir_all(&logs)?;
    let entries = |kind: &str| {
        (0..ENTRIES).fold(String::new(), |mut text, number| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, r#"{{"event":"{kind}","number":{number},"operator":"ops-1"}}"#);
            text
        })
    };
    std::fs::write(logs.join("security_admin.log"), entries("login"))?;
    std::fs::write(logs.join("security_alerts.log"), entries("alert"))?;
    let block = (0..BLOCK_LINES).fold(String::new(), |mut text, number| {
        let (second, milli) = (number / 1000 % 60, number % 1000);
        let _ = writeln!(
            text,
            "2026-03-01T12:00:{second:02}.{milli:03}Z INFO trading_controller: order {number:08} BTCUSDT buy 0.0100 \
             at 64123.{milli:03} filled"
        );
        text
    });
    let log = logs.join("trading_controller.log");
    fill(&log, block.as_bytes(), GIB)?;
    Ok(log)
}
