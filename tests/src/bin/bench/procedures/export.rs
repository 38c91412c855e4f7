//! The first export of a log counts its lines, as `wc -l` does; a later one counts what came since.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::material::Installation;
use crate::stopwatch::{Race, Runner, answer, peak_memory};

use super::times_as_fast;

/// Runs of each; the best counts.
const ROUNDS_OF_FIRST: u32 = 3;

/// Later exports take milliseconds, so many are possible.
const ROUNDS_OF_LATER: u32 = 10;

/// Most memory that an export may take, in MiB, whatever the size of the log.
const MEMORY: Bar = Bar::AtMost(32.0);

/// Longest that an export may take once the log was counted, in milliseconds.
const LATER: Bar = Bar::AtMost(30.0);

pub(super) fn measure(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let installation = Installation::lay_out(ground.room()?)?;
    let python = installation.python_export();
    // These runs also bring the log into the cache.
    if let Some(python) = &python {
        ensure_same_logs(&installation, &installation.export(ground), python)?;
    }
    let mut figures = first(ground, &installation)?;
    figures.extend(later(ground, &installation)?);
    Ok(figures)
}

fn first(ground: &Ground, installation: &Installation) -> anyhow::Result<Vec<Figure>> {
    installation.forget()?;
    let peak = peak_memory(&installation.export(ground), installation.path())?;
    let python = installation.python_export();
    let peak_of_python = python.as_ref().map(|python| peak_memory(python, installation.path())).transpose()?;
    let export = Runner::of(installation.export(ground)).after(|| installation.forget());
    let peers = [installation.wc().map(Runner::of), python.map(Runner::of)];
    let Race { ours, peers: [wc, python] } = Race::run(ROUNDS_OF_FIRST, export, peers)?;
    let name = "first export of a 1 GiB log";
    Ok(vec![
        Figure::new(name, ours, "s").beside("wc -l", wc),
        Figure::ratio(format!("{name}: speed"), wc, Some(ours)).beside("wc -l", wc.map(|_| 1.0)).bar(Bar::AtLeast(0.8)),
        times_as_fast(name, ours, python),
        Figure::new(format!("{name}: memory"), peak, "MiB").beside("the same in Python", peak_of_python).bar(MEMORY),
    ])
}

/// Each one finds 1 MiB more of log than the one before.
fn later(ground: &Ground, installation: &Installation) -> anyhow::Result<Vec<Figure>> {
    let peak = peak_memory(&installation.export(ground), installation.path())?;
    let export = Runner::of(installation.export(ground)).after(|| installation.grow());
    let Race { ours, peers: [] } = Race::run(ROUNDS_OF_LATER, export, [])?;
    let name = "later export of a 1 GiB log";
    Ok(vec![
        Figure::new(name, ours * 1000.0, "ms").bar(LATER),
        Figure::new(format!("{name}: memory"), peak, "MiB").bar(MEMORY),
    ])
}

/// Both must have counted the same lines and kept the same end, or their times say nothing.
fn ensure_same_logs(installation: &Installation, ours: &Command, python: &Command) -> anyhow::Result<()> {
    let (ours, python) = (logs(installation.path(), ours)?, logs(installation.path(), python)?);
    ensure!(ours == python, "ours and the Python script disagree on the log:\n{ours}\n{python}");
    Ok(())
}

fn logs(root: &Path, export: &Command) -> anyhow::Result<Value> {
    let answer = answer(export)?;
    let path = answer.get("bundle_path").and_then(Value::as_str).context("the export names no file")?;
    let document: Value = serde_json::from_slice(&std::fs::read(root.join(path))?)?;
    document.pointer("/bundle/logs").cloned().context("the export has no logs")
}
