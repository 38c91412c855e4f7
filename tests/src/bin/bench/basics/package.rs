//! The check of an unpacked package beside openssl, which knows nothing of manifests and hashes with one core.

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::material::{GIB, Package};
use crate::stopwatch::{Race, Runner, peak_memory};

/// Runs of each on one large file; the best counts.
const ROUNDS_OF_ONE: u32 = 3;

/// Runs of each on many files; short ones, so a single disturbance would count more.
const ROUNDS_OF_MANY: u32 = 7;

/// Number of the many files.
const MANY: u32 = 2000;

/// Size of each, in bytes.
const SMALL: usize = 64 << 10;

/// Most memory that a check may take, in MiB.
const MEMORY: Bar = Bar::AtMost(64.0);

pub(super) fn measure(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let mut figures = one_file(ground)?;
    figures.extend(many_files(ground)?);
    Ok(figures)
}

/// Hashing with SHA-384 alone is the bar: SHA-256 and everything else must be had beside it.
fn one_file(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let package = Package::build(ground.room()?, 1, GIB)?;
    let peak = peak_memory(&package.check(ground), package.room())?;
    let openssl = package.openssl(&["-sha384"]).map(Runner::of_all);
    let Race { ours, peers: [openssl] } = Race::run(ROUNDS_OF_ONE, Runner::of(package.check(ground)), [openssl])?;
    Ok(figures("check of one 1 GiB file", ours, "openssl dgst -sha384", openssl, 1.1, peak))
}

/// Half of what openssl needs for both digests is the bar: that is what two cores make of the same work.
fn many_files(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let package = Package::build(ground.room()?, MANY, SMALL)?;
    let peak = peak_memory(&package.check(ground), package.room())?;
    let openssl = package.openssl(&["-sha256", "-sha384"]).map(Runner::of_all);
    let Race { ours, peers: [both] } = Race::run(ROUNDS_OF_MANY, Runner::of(package.check(ground)), [openssl])?;
    let (name, half) = ("half of openssl dgst -sha256 and -sha384", both.map(|both| both / 2.0));
    Ok(figures("check of 2,000 files of 64 KiB", ours, name, half, 1.15, peak))
}

fn figures(name: &str, ours: f64, peer: &str, peer_value: Option<f64>, most: f64, peak: f64) -> Vec<Figure> {
    vec![
        Figure::new(name, ours, "s").beside(peer, peer_value),
        Figure::ratio(format!("{name}: time"), Some(ours), peer_value)
            .beside(peer, peer_value.map(|_| 1.0))
            .bar(Bar::AtMost(most)),
        Figure::new(format!("{name}: memory"), peak, "MiB").bar(MEMORY),
    ]
}
