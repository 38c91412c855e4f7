//! `basics`: the manual's procedures on large inputs, and what an operator waits for in a small fleet.

#[path = "basics/export.rs"]
mod export;
#[path = "basics/fleet.rs"]
mod fleet;
#[path = "basics/package.rs"]
mod package;

use anyhow::Context as _;

use crate::figure::Figure;
use crate::ground::Ground;

/// Measures everything, one after the other: nothing else of ours runs beside a race.
pub(crate) fn run(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    eprintln!("export of a 1 GiB log");
    let mut figures = export::measure(ground).context("exports")?;
    eprintln!("checks of a package with one 1 GiB file, and with 2,000 files");
    figures.extend(package::measure(ground).context("package checks")?);
    eprintln!("a fleet of {}: pings, quotes, rollouts", fleet::HOSTS);
    figures.extend(fleet::measure(ground).context("the fleet")?);
    Ok(figures)
}
