//! A signed package, unpacked, and what checks it.

use std::path::PathBuf;
use std::process::Command;

use flota_package::{DEFAULT_MANIFEST, PackageBuilder};
use flota_seal::secret::Secret;
use tempfile::TempDir;

use super::fill;
use crate::ground::Ground;
use crate::stopwatch::installed;

/// A key to sign with, as its file holds it.
const KEY: &str = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A signed package, unpacked, with room beside it.
pub(crate) struct Package {
    room: TempDir,
    names: Vec<String>,
}

impl Package {
    /// Makes one with so many files of `size` bytes each.
    pub(crate) fn build(room: TempDir, files: u32, size: usize) -> anyhow::Result<Self> {
        let names = (0..files).map(|number| format!("part-{number:04}.bin")).collect();
        let package = Self { room, names };
        let (folder, archive) = (package.folder(), package.room.path().join("package.tar"));
        std::fs::create_dir(&folder)?;
        // Hashing takes the same time whatever it hashes.
        let block: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        for name in &package.names {
            fill(&folder.join(name), &block, size)?;
        }
        std::fs::write(package.key_file(), KEY)?;
        let key = Secret::decode(KEY, "the package key")?;
        let built = PackageBuilder::new("bot", "1.0.0", "linux-x86_64", "bench").build(&folder, &key, &archive)?;
        std::fs::remove_file(&archive)?;
        std::fs::write(folder.join(DEFAULT_MANIFEST), built.manifest.document().pretty())?;
        Ok(package)
    }

    /// The folder around it, which has room for more.
    pub(crate) fn room(&self) -> &std::path::Path {
        self.room.path()
    }

    /// The agent's check.
    pub(crate) fn check(&self, ground: &Ground) -> Command {
        let mut check = Command::new(ground.bins.path("flota-agent"));
        check.args(["check-update-integrity", "--strict", "--root"]).arg(self.room.path());
        check.arg("--hmac-key").arg(self.key_file()).arg(self.folder());
        check
    }

    /// The same by a Python script; none if there is no Python.
    pub(crate) fn python_check(&self) -> Option<Command> {
        let mut check = Command::new(installed("python3")?);
        check.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/check.py"));
        check.arg("--hmac-key").arg(self.key_file()).arg(self.folder());
        Some(check)
    }

    /// openssl, which knows nothing of manifests and hashes with one core: a command for each digest, over all files.
    /// None if it is not installed.
    pub(crate) fn openssl(&self, digests: &[&str]) -> Option<Vec<Command>> {
        let program = installed("openssl")?;
        let command = |digest: &&str| {
            let mut openssl = Command::new(&program);
            openssl.args(["dgst", digest]).args(&self.names).current_dir(self.folder());
            openssl
        };
        Some(digests.iter().map(command).collect())
    }

    fn folder(&self) -> PathBuf {
        self.room.path().join("package")
    }

    fn key_file(&self) -> PathBuf {
        self.room.path().join("package.key")
    }
}
