//! The security export of a large log beside `wc -l`, which also only counts lines.

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::material::Installation;
use crate::stopwatch::{Race, Runner, peak_memory};

/// Runs of each; the best counts.
const ROUNDS: u32 = 3;

pub(super) fn measure(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let installation = Installation::lay_out(ground.room()?)?;
    let export = installation.export(ground);
    // This run also brings the log into the cache.
    let peak = peak_memory(&export, installation.path())?;
    let first = Runner::of(export).after(|| installation.forget());
    let Race { ours, peers: [wc] } = Race::run(ROUNDS, first, [installation.wc().map(Runner::of)])?;
    Ok(vec![
        Figure::new("export of a 1 GiB log", ours, "s").beside("wc -l", wc),
        Figure::ratio("export of a 1 GiB log: speed", wc, Some(ours))
            .beside("wc -l", wc.map(|_| 1.0))
            .bar(Bar::AtLeast(0.8)),
        Figure::new("export of a 1 GiB log: memory", peak, "MiB").bar(Bar::AtMost(32.0)),
    ])
}
