//! The check of an unpacked package beside openssl, which knows nothing of manifests and hashes with one core.

use std::path::Path;
use std::process::Command;

use flota_package::{DEFAULT_MANIFEST, PackageBuilder};
use flota_seal::secret::Secret;
use tempfile::TempDir;

use crate::figure::{Bar, Figure};
use crate::ground::Ground;
use crate::stopwatch::{Race, installed, peak_memory};

use super::{GIB, fill};

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

/// A key to sign with, as its file holds it.
const KEY: &str = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(super) fn measure(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let mut figures = one_file(ground)?;
    figures.extend(many_files(ground)?);
    Ok(figures)
}

/// Hashing with SHA-384 alone is the bar: SHA-256 and everything else must be had beside it.
fn one_file(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let room = ground.room()?;
    let names = ["model.bin".to_owned()];
    let package = Package::build(room, &names, GIB)?;
    let mut check = package.check(ground);
    let peak = peak_memory(&check, package.room.path())?;
    let race = Race::run(ROUNDS_OF_ONE, &mut check, package.openssl(&["-sha384"], &names))?;
    let peer = race.peer.map(|time| time.as_secs_f64());
    Ok(figures("check of one 1 GiB file", race.ours.as_secs_f64(), "openssl dgst -sha384", peer, 1.1, peak))
}

/// Half of what openssl needs for both digests is the bar: that is what two cores make of the same work.
fn many_files(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    let room = ground.room()?;
    let names: Vec<String> = (0..MANY).map(|number| format!("part-{number:04}.bin")).collect();
    let package = Package::build(room, &names, SMALL)?;
    let mut check = package.check(ground);
    let peak = peak_memory(&check, package.room.path())?;
    let race = Race::run(ROUNDS_OF_MANY, &mut check, package.openssl(&["-sha256", "-sha384"], &names))?;
    let peer = race.peer.map(|both| both.as_secs_f64() / 2.0);
    let name = "half of openssl dgst -sha256 and -sha384";
    Ok(figures("check of 2,000 files of 64 KiB", race.ours.as_secs_f64(), name, peer, 1.15, peak))
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

/// A signed package, unpacked, with room beside it.
struct Package {
    room: TempDir,
}

impl Package {
    fn build(room: TempDir, names: &[String], size: usize) -> anyhow::Result<Self> {
        let package = Self { room };
        let (folder, archive) = (package.folder(), package.room.path().join("package.tar"));
        std::fs::create_dir(&folder)?;
        // Hashing takes the same time whatever it hashes.
        let block: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        for name in names {
            fill(&folder.join(name), &block, size)?;
        }
        std::fs::write(package.key_file(), KEY)?;
        let key = Secret::decode(KEY, "the package key")?;
        let built = PackageBuilder::new("bot", "1.0.0", "linux-x86_64", "bench").build(&folder, &key, &archive)?;
        std::fs::remove_file(&archive)?;
        std::fs::write(folder.join(DEFAULT_MANIFEST), built.manifest.document().pretty())?;
        Ok(package)
    }

    fn check(&self, ground: &Ground) -> Command {
        let mut check = Command::new(ground.bins.path("flota-agent"));
        check.args(["check-update-integrity", "--strict", "--root"]).arg(self.room.path());
        check.arg("--hmac-key").arg(self.key_file()).arg(self.folder());
        check
    }

    /// One command a digest, over all files.
    fn openssl(&self, digests: &[&str], names: &[String]) -> Option<Vec<Command>> {
        let program = installed("openssl")?;
        let command = |digest: &&str| {
            let mut openssl = Command::new(&program);
            openssl.args(["dgst", digest]).args(names).current_dir(self.folder());
            openssl
        };
        Some(digests.iter().map(command).collect())
    }

    fn folder(&self) -> std::path::PathBuf {
        self.room.path().join("package")
    }

    fn key_file(&self) -> std::path::PathBuf {
        Path::join(self.room.path(), "package.key")
    }
}
