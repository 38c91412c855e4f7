//! Where the programs are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// What is started by tests and the demo.
const PROGRAMS: [&str; 6] =
    ["flota", "flota-agent", "flota-supervisor", "flota-controller", "flota-exchange-sim", "flota-stand-in-bot"];

/// A folder with all the project's programs.
#[derive(Debug, Clone)]
pub struct Bins(PathBuf);

impl Bins {
    /// The folder that the running program itself was built into.
    pub fn beside_this_program() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("asking where this program is")?;
        let folder = program.parent().context("this program is in no folder")?;
        // Tests are one folder deeper, in `deps`.
        let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
        Self::new(folder)
    }

    /// The folder of a build.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let bins = Self(folder.to_owned());
        for name in PROGRAMS {
            if !bins.path(name).is_file() {
                bail!(
                    "{} is not built: run `cargo build --workspace --bins`, or `cargo xtask test`",
                    bins.path(name).display()
                );
            }
        }
        Ok(bins)
    }

    /// One program.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
