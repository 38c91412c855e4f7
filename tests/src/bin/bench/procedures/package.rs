//! The check of an unpacked package beside openssl, which knows nothing of manifests, and a script that does.

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::material::{GIB, Package};
use crate::stopwatch::{Race, Runner, peak_memory};

use super::times_as_fast;

/// Runs of each; the best counts.
const ROUNDS: u32 = 3;

/// Number of the many files.
const MANY: u32 = 2000;

/// Size of each, in bytes.
const SMALL: usize = 256 << 10;

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
    let limit = Limit { name: "openssl dgst -sha384", digests: &["-sha384"], share: 1.0, most: Bar::AtMost(1.1) };
    figures(ground, "check of one 1 GiB file", &package, &limit)
}

/// Half of what openssl needs for both digests is the bar: that is what two cores make of the same work.
fn many_files(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let package = Package::build(ground.room()?, MANY, SMALL)?;
    let limit = Limit {
        name: "half of openssl dgst -sha256 and -sha384",
        digests: &["-sha256", "-sha384"],
        share: 0.5,
        most: Bar::AtMost(1.15),
    };
    figures(ground, "check of 2,000 files of 256 KiB", &package, &limit)
}

/// What openssl makes of the same bytes, and how near to that a check must come.
struct Limit {
    name: &'static str,
    digests: &'static [&'static str],
    /// Of the time of all digests together.
    share: f64,
    most: Bar,
}

fn figures(ground: &Ground, name: &str, package: &Package, limit: &Limit) -> anyhow::Result<Vec<Figure>> {
    let python = package.python_check();
    // These runs also bring the files into the cache.
    let peak = peak_memory(&package.check(ground), package.room())?;
    let peak_of_python = python.as_ref().map(|python| peak_memory(python, package.room())).transpose()?;
    let peers = [package.openssl(limit.digests).map(Runner::of_all), python.map(Runner::of)];
    let Race { ours, peers: [openssl, python] } = Race::run(ROUNDS, Runner::of(package.check(ground)), peers)?;
    let openssl = openssl.map(|seconds| seconds * limit.share);
    Ok(vec![
        Figure::new(name, ours, "s").beside(limit.name, openssl),
        Figure::ratio(format!("{name}: time"), Some(ours), openssl)
            .beside(limit.name, openssl.map(|_| 1.0))
            .bar(limit.most),
        times_as_fast(name, ours, python),
        Figure::new(format!("{name}: memory"), peak, "MiB").beside("the same in Python", peak_of_python).bar(MEMORY),
    ])
}
