//! The installation that recoveries are tried on, and its bot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flota_procedures::package::PackageBuilder;
use flota_seal::secret::Secret;
use serde_json::Value;

pub(crate) const KEY: &str = "hex:00112233445566778899aabbccddeeff";
pub(crate) const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/tpm/files");

/// An installation whose bot is a file that `start` copies to `running`.
pub(crate) struct Ground {
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    pub(crate) fn statuses(&self) -> Vec<String> {
        let report = self.json();
        let steps = report["steps"].as_array().unwrap();
        steps.iter().map(|step| step["status"].as_str().unwrap().to_owned()).collect()
    }
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("host").display().to_string();
        let bot = format!(
            "start = [\"cp\", \"{at}/current/bot\", \"{at}/running\"]\nstop = [\"rm\", \"-f\", \"{at}/running\"]\n\
             health = [\"grep\", \"-q\", \"^healthy\", \"{at}/running\"]\n"
        );
        Self::with_bot(folder, &bot)
    }

    /// The same with other commands for the bot.
    pub(crate) fn with_bot(folder: tempfile::TempDir, bot: &str) -> Self {
        let ground = Self { folder };
        let (root, at) = (ground.root(), ground.root().display().to_string());
        fs::create_dir_all(root.join("secrets")).unwrap();
        fs::write(root.join("secrets/key"), KEY).unwrap();
        let settings = format!(
            "root = \"{at}\"\n\
             [controller]\nenrollment = \"https://localhost:1\"\nfleet = \"https://localhost:2\"\nca_file = \"ca.pem\"\n\
             [bot]\n{bot}[export]\nkey_file = \"secrets/key\"\n[package]\nkey_file = \"secrets/key\"\n\
             [update]\nhealth_polls = 2\nhealth_interval_ms = 1\nprobation_seconds = 1\n"
        );
        fs::write(ground.folder.path().join("agent.toml"), settings).unwrap();
        ground
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    pub(crate) fn backup(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    pub(crate) fn package(&self, version: &str, bot: &str, key: &str) -> PathBuf {
        self.package_with(version, bot, key, &[])
    }

    /// A package with another file beside the bot.
    pub(crate) fn package_with(&self, version: &str, bot: &str, key: &str, model: &[u8]) -> PathBuf {
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("bot"), format!("{bot} {version}\n")).unwrap();
        fs::write(source.path().join("model"), model).unwrap();
        let archive = self.folder.path().join(format!("bot-{version}.tar.gz"));
        let key = Secret::decode(key, "the test").unwrap();
        PackageBuilder::new("bot", version, "linux", "python").build(source.path(), &key, &archive).unwrap();
        archive
    }

    pub(crate) fn recover(&self, flags: &[&str]) -> Ran {
        let ran = self.command(flags).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: ran.status.code().unwrap(), stdout: text(ran.stdout), stderr: text(ran.stderr) }
    }

    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flota-agent"));
        command.arg("recover").arg("--config").arg(self.folder.path().join("agent.toml")).args(flags);
        // The bot's commands must not hear our variables, and the key of exports is not needed.
        command.env_clear().current_dir(self.folder.path());
        command
    }

    pub(crate) fn runs(&self) -> Option<String> {
        fs::read_to_string(self.root().join("running")).ok().map(|text| text.trim_end().to_owned())
    }
}

/// Everything below a folder, but what is in `var/flota`.
pub(crate) fn listing(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) const EVIDENCE: &str = "--evidence";

pub(crate) fn evidence() -> (String, String, String) {
    (format!("{GOLDEN}/01_good.json"), format!("{GOLDEN}/keyring.json"), "licence.json".to_owned())
}

/// A licence for the host of the golden evidence.
pub(crate) fn licence(folder: &Path) {
    let text = format!(
        r#"{{"payload": {{"schema": "core.oem.license", "schema_version": "1.0", "license_id": "L", "profile": "pro",
        "issued_at": "2026-01-01", "expires_at": "2046-01-01", "fingerprint": {{"value": "ABCD-EF01-2345-6789-ABCD"}}}},
        "signature": {{"algorithm": "HMAC-SHA256", "value": "{}=", "key_id": "oem"}}}}"#,
        "A".repeat(43)
    );
    fs::write(folder.join("licence.json"), text).unwrap();
}
