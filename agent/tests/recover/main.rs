//! A disaster and the way back, as an operator types it: real packages, a bot made of coreutils.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use flota_procedures::package::PackageBuilder;
use flota_seal::secret::Secret;
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

const KEY: &str = "hex:00112233445566778899aabbccddeeff";
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/tpm/files");

/// An installation whose bot is a file that `start` copies to `running`.
struct Ground {
    folder: tempfile::TempDir,
}

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }

    fn statuses(&self) -> Vec<String> {
        let report = self.json();
        let steps = report["steps"].as_array().unwrap();
        steps.iter().map(|step| step["status"].as_str().unwrap().to_owned()).collect()
    }
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ground = Self { folder };
        let (root, at) = (ground.root(), ground.root().display().to_string());
        fs::create_dir_all(root.join("secrets")).unwrap();
        fs::write(root.join("secrets/key"), KEY).unwrap();
        let settings = format!(
            "root = \"{at}\"\n\
             [controller]\nenrollment = \"https://localhost:1\"\nfleet = \"https://localhost:2\"\nca_file = \"ca.pem\"\n\
             [bot]\nstart = [\"cp\", \"{at}/current/bot\", \"{at}/running\"]\nstop = [\"rm\", \"-f\", \"{at}/running\"]\n\
             health = [\"grep\", \"-q\", \"^healthy\", \"{at}/running\"]\n\
             [export]\nkey_file = \"secrets/key\"\n[package]\nkey_file = \"secrets/key\"\n\
             [update]\nhealth_polls = 2\nhealth_interval_ms = 1\nprobation_seconds = 1\n"
        );
        fs::write(ground.folder.path().join("agent.toml"), settings).unwrap();
        ground
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    fn package(&self, version: &str, bot: &str, key: &str) -> PathBuf {
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("bot"), format!("{bot} {version}\n")).unwrap();
        let archive = self.folder.path().join(format!("bot-{version}.tar.gz"));
        let key = Secret::decode(key, "the test").unwrap();
        PackageBuilder::new("bot", version, "linux", "python").build(source.path(), &key, &archive).unwrap();
        archive
    }

    fn recover(&self, flags: &[&str]) -> Ran {
        let config = self.folder.path().join("agent.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_flota-agent"));
        command.arg("recover").arg("--config").arg(config).args(flags);
        // The bot's commands must not hear our variables, and the key of exports is not needed.
        let ran = command.env_clear().current_dir(self.folder.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: ran.status.code().unwrap(), stdout: text(ran.stdout), stderr: text(ran.stderr) }
    }

    fn runs(&self) -> Option<String> {
        fs::read_to_string(self.root().join("running")).ok().map(|text| text.trim_end().to_owned())
    }
}

/// Everything below a folder, but what is in `var/flota`.
fn listing(root: &Path) -> Vec<PathBuf> {
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

const EVIDENCE: &str = "--evidence";

fn evidence() -> (String, String, String) {
    (format!("{GOLDEN}/01_good.json"), format!("{GOLDEN}/keyring.json"), "licence.json".to_owned())
}

/// A licence for the host of the golden evidence.
fn licence(folder: &Path) {
    let text = format!(
        r#"{{"payload": {{"schema": "core.oem.license", "schema_version": "1.0", "license_id": "L", "profile": "pro",
        "issued_at": "2026-01-01", "expires_at": "2046-01-01", "fingerprint": {{"value": "ABCD-EF01-2345-6789-ABCD"}}}},
        "signature": {{"algorithm": "HMAC-SHA256", "value": "{}=", "key_id": "oem"}}}}"#,
        "A".repeat(43)
    );
    fs::write(folder.join("licence.json"), text).unwrap();
}

#[test]
fn a_bare_host_comes_back_from_a_package_and_a_dry_run_changes_nothing() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    licence(ground.folder.path());
    let (file, keyring, licence) = evidence();
    let package = package.to_str().unwrap();
    let flags = ["--package", package, EVIDENCE, &file, "--keyring", &keyring, "--license-path", &licence];

    let before = listing(ground.folder.path());
    let dry = ground.recover(&[&flags[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, &dry.json()["status"]), (0, &"planned".into()), "{}", dry.stderr);
    assert_eq!(dry.json()["steps"][0]["evidence"][0]["file"], package);
    assert_eq!(listing(ground.folder.path()), before);

    let ran = ground.recover(&flags);
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.statuses(), ["done", "skipped", "done", "done", "done", "done"]);
    assert_eq!(ground.runs().as_deref(), Some("healthy 1.0"));
    let report = fs::read_to_string(ground.root().join("var/flota/recover/report.json")).unwrap();
    assert_eq!(report, ran.stdout);
    assert_eq!(ran.json()["steps"][3]["evidence"].as_array().unwrap().len(), 2, "evidence and licence");
}

#[test]
fn a_backup_is_restored_and_an_open_step_is_taken_up_again() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    let first = ground.recover(&["--package", package.to_str().unwrap()]);
    // Nothing proves the TPM: everything else is done all the same, and the report says what is open.
    assert_eq!((first.code, &first.json()["status"]), (1, &"open".into()), "{}", first.stderr);
    assert_eq!(first.statuses(), ["done", "skipped", "done", "failed", "done", "failed"]);
    fs::write(ground.root().join("config.json"), "{}").unwrap();
    fs::rename(ground.root(), ground.backup()).unwrap();
    fs::remove_file(ground.backup().join("running")).unwrap();

    licence(ground.folder.path());
    let backup = ground.backup();
    let (file, keyring, licence) = evidence();
    let flags = ["--backup", backup.to_str().unwrap(), "--keyring", &keyring, "--license-path", &licence];
    let ran = ground.recover(&flags);
    assert_eq!(ran.statuses(), ["done", "done", "done", "failed", "done", "failed"], "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ground.runs().as_deref(), Some("healthy 1.0"));
    assert!(ground.root().join("config.json").is_file());
    let list = fs::read_to_string(ground.root().join("var/flota/recover/restored.sha256")).unwrap();
    assert!(list.contains("  config.json\n"), "{list}");

    let other = ground.recover(&[&flags[..], &[EVIDENCE, &file]].concat());
    assert_eq!(other.code, 2, "{}", other.stdout);
    assert!(other.stderr.contains("has not ended"), "{}", other.stderr);
    let restored = ran.json()["steps"][1]["at"].clone();
    let again = ground.recover(&flags);
    assert_eq!(again.json()["steps"][1]["at"], restored, "what is done is not done again");
    let anew = ground.recover(&[&flags[..], &[EVIDENCE, &file, "--restart"]].concat());
    assert_eq!((anew.code, anew.statuses()[3].as_str()), (0, "done"), "{} {}", anew.stdout, anew.stderr);
}

#[test]
fn a_package_of_other_hands_and_a_sick_one_are_not_called_recovered() {
    let ground = Ground::new();
    let foreign = ground.package("1.0", "healthy", "hex:ffff");
    let ran = ground.recover(&["--package", foreign.to_str().unwrap()]);
    assert_eq!((ran.code, ran.statuses()[0].as_str()), (1, "failed"), "{}", ran.stdout);
    assert_eq!(ground.runs(), None);
    let sick = ground.package("2.0", "sick", KEY);
    let ran = ground.recover(&["--package", sick.to_str().unwrap(), "--restart"]);
    assert_eq!((ran.code, ran.statuses()[4].as_str()), (1, "failed"), "{}", ran.stdout);
}

#[test]
fn nothing_is_recovered_under_a_running_agent() {
    let ground = Ground::new();
    let state = ground.root().join("var/flota/agent");
    fs::create_dir_all(&state).unwrap();
    let lock = File::create(state.join("update.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    for flags in [["--package", "x"].as_slice(), &["--dry-run"]] {
        let ran = ground.recover(flags);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.contains("the agent is running here"), "{}", ran.stderr);
    }
}

#[test]
fn the_report_speaks_polish() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    let flags = ["--package", package.to_str().unwrap(), "--dry-run", "--output", "text", "--lang", "pl"];
    let ran = ground.recover(&flags);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("find: planned - ustalenie"), "{}", ran.stdout);
    assert!(ran.stdout.trim_end().ends_with("tak wyglądałby przebieg."), "{}", ran.stdout);
}
