//! `procedures`: the on-host procedures on large inputs, as whole processes, beside what else would do the work.

#[path = "procedures/export.rs"]
mod export;
#[path = "procedures/package.rs"]
mod package;

use anyhow::Context as _;

use crate::figure::Figure;
use crate::ground::Ground;

/// Measures both, one after the other: nothing else of ours runs beside a race.
pub(crate) fn run(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    eprintln!("first and later export of a 1 GiB log");
    let mut figures = export::measure(ground).context("exports")?;
    eprintln!("checks of a package with one 1 GiB file, and with 2,000 files of 256 KiB");
    figures.extend(package::measure(ground).context("package checks")?);
    Ok(figures)
}

/// How many times as fast ours is.
fn times_as_fast(name: &str, ours: f64, python: Option<f64>) -> Figure {
    Figure::ratio(format!("{name}: times as fast as Python"), python, Some(ours))
        .beside("the same in Python", python.map(|_| 1.0))
}
