//! An installation of the bot whose log is large, and the export of it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use super::{GIB, fill};
use crate::ground::Ground;
use crate::stopwatch::installed;

/// Lines of the block that the log repeats: about 1 MiB.
const BLOCK_LINES: u32 = 10_000;

/// Entries of the audit log and of the alerts. Small, as these are: every entry is parsed and signed.
const ENTRIES: u32 = 100;

/// The root of an installation, gone when it is dropped.
pub(crate) struct Installation {
    root: TempDir,
    block: String,
}

impl Installation {
    /// Lays one out in `root`, with 1 GiB of log.
    pub(crate) fn lay_out(root: TempDir) -> anyhow::Result<Self> {
        let installation = Self { root, block: block() };
        std::fs::create_dir_all(installation.path().join("logs"))?;
        std::fs::write(installation.audit(), entries("login"))?;
        std::fs::write(installation.alerts(), entries("alert"))?;
        fill(&installation.log(), installation.block.as_bytes(), GIB)?;
        Ok(installation)
    }

    /// Its root.
    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// The large log.
    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("logs/trading_controller.log")
    }

    /// The agent's security export.
    pub(crate) fn export(&self, ground: &Ground) -> Command {
        let mut export = Command::new(ground.bins.path("flota-agent"));
        export.args(["export-security-bundle", "--root"]).arg(self.path()).arg("--include-log").arg(self.log());
        with_key(export)
    }

    /// The same by a Python script; none if there is no Python.
    pub(crate) fn python_export(&self) -> Option<Command> {
        let mut export = Command::new(installed("python3")?);
        export.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/export.py"));
        export.arg("--audit-path").arg(self.audit()).arg("--alerts-path").arg(self.alerts());
        export.arg("--include-log").arg(self.log()).arg("--output-dir").arg(self.path().join("exports/python"));
        Some(with_key(export))
    }

    /// What reads every byte of the log to count its lines, and nothing more; none if it is not installed.
    pub(crate) fn wc(&self) -> Option<Command> {
        let mut wc = Command::new(installed("wc")?);
        wc.arg("-l").arg(self.log());
        Some(wc)
    }

    /// Forgets what earlier exports remembered, so that the next one is the first.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        let folder = self.path().join("var");
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {}", folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Writes some 1 MiB more of log, as a bot does between two exports.
    pub(crate) fn grow(&self) -> anyhow::Result<()> {
        let log = self.log();
        let writing = || format!("writing {}", log.display());
        let mut file = File::options().append(true).open(&log).with_context(writing)?;
        file.write_all(self.block.as_bytes()).with_context(writing)?;
        file.sync_all().with_context(writing)
    }

    fn audit(&self) -> PathBuf {
        self.path().join("logs/security_admin.log")
    }

    fn alerts(&self) -> PathBuf {
        self.path().join("logs/security_alerts.log")
    }
}

fn with_key(mut command: Command) -> Command {
    command.env("BOT_CORE_SECURITY_AUDIT_KEY", format!("hex:{}", "1f".repeat(32)));
    command
}

fn entries(kind: &str) -> String {
    (0..ENTRIES).fold(String::new(), |mut text, number| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, r#"{{"event":"{kind}","number":{number},"operator":"ops-1"}}"#);
        text
    })
}

fn block() -> String {
    (0..BLOCK_LINES).fold(String::new(), |mut text, number| {
        let (second, milli) = (number / 1000 % 60, number % 1000);
        let _ = writeln!(
            text,
            "2026-03-01T12:00:{second:02}.{milli:03}Z INFO trading_controller: order {number:08} BTCUSDT buy 0.0100 \
             at 64123.{milli:03} filled"
        );
        text
    })
}
