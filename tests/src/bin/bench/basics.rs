//! `basics`: the manual's procedures on large inputs, and what an operator waits for in a small fleet.

#[path = "basics/export.rs"]
mod export;
#[path = "basics/fleet.rs"]
mod fleet;
#[path = "basics/package.rs"]
mod package;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::figure::Figure;
use crate::ground::Ground;

/// Size of the large inputs, in bytes.
const GIB: usize = 1 << 30;

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

/// Writes `block` again and again, to exactly `len` bytes, and waits for the disk: writing it back would slow down
/// whatever is measured next.
fn fill(path: &Path, block: &[u8], len: usize) -> anyhow::Result<()> {
    let writing = || format!("writing {}", path.display());
    let mut file = File::create(path).with_context(writing)?;
    let mut left = len;
    while left > 0 {
        let piece = block.get(..left).unwrap_or(block);
        file.write_all(piece).with_context(writing)?;
        left = left.saturating_sub(piece.len());
    }
    file.sync_all().with_context(writing)
}
