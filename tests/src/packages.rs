//! Makes update packages the way a build server does, signed with the fleet's package key.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flota_package::PackageBuilder;
use flota_seal::secret::Secret;
use serde_json::json;

/// Builds packages into a folder.
#[derive(Debug)]
pub struct Packages {
    dir: PathBuf,
    key: String,
}

/// A package file.
#[derive(Debug, Clone)]
pub struct Package {
    /// Where it is.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file, hex.
    pub digest: String,
}

impl Packages {
    /// Into this folder, signed with this key (text of a key file).
    pub fn new(dir: &Path, key: &str) -> Self {
        Self { dir: dir.to_owned(), key: key.to_owned() }
    }

    /// A package of the stand-in bot that behaves as told, with `ballast` more bytes.
    pub fn bot(&self, version: &str, behaviour: &str, ballast: usize) -> anyhow::Result<Package> {
        self.build(version, behaviour, &pattern(version, ballast), "dudzianpkg")
    }

    /// An uncompressed package of a healthy stand-in bot with this model.
    pub fn with_model(&self, version: &str, model: &[u8]) -> anyhow::Result<Package> {
        self.build(version, "healthy", model, "tar")
    }

    fn build(&self, version: &str, behaviour: &str, model: &[u8], kind: &str) -> anyhow::Result<Package> {
        let folder = self.dir.join(format!("{version}.d"));
        std::fs::create_dir_all(folder.join("models"))?;
        std::fs::write(folder.join("bot.json"), json!({ "version": version, "behaviour": behaviour }).to_string())?;
        std::fs::write(folder.join("models/weights.bin"), model)?;
        let path = self.dir.join(format!("bot-{version}.{kind}"));
        let key = Secret::decode(&self.key, "the package key")?;
        PackageBuilder::new("bot", version, "linux-x86_64", "stand-in")
            .key_id("release-1")
            .build(&folder, &key, &path)
            .with_context(|| format!("building {}", path.display()))?;
        let digest = digest_of(&path)?;
        Ok(Package { path, version: version.to_owned(), digest })
    }
}

/// SHA-256 of a file, hex.
pub(crate) fn digest_of(path: &Path) -> anyhow::Result<String> {
    use sha2::Digest as _;
    Ok(hex::encode(sha2::Sha256::digest(std::fs::read(path)?)))
}

/// Bytes that do not compress and differ from version to version.
fn pattern(seed: &str, length: usize) -> Vec<u8> {
    use sha2::Digest as _;
    let block = |index: u32| sha2::Sha256::digest(format!("{seed}/{index}").as_bytes()).to_vec();
    (0_u32..).flat_map(block).take(length).collect()
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length.saturating_add(8));
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
