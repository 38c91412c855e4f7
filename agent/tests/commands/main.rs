//! The command line as runbooks use it: flags, documents on stdout, exit codes.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

mod adopt;
mod own_checks;
mod revoked;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const KEY: &str = "hex:00112233445566778899aabbccddeeff";

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {} {}", self.stdout, self.stderr))
    }
}

/// Runs the program in `root` with nothing in its environment but these variables.
fn run(root: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flota-agent"));
    command.args(arguments).current_dir(root).env_clear().envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}

/// An installation with an audit log and a place for Flota's own records.
fn installation() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["logs", "var/flota", "config"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    fs::write(root.path().join("logs/security_admin.log"), "{\"a\": 1}\nnot json\n").unwrap();
    root
}

#[test]
fn an_export_is_made_verified_and_on_the_checklist() {
    let root = installation();
    let key = [("BOT_CORE_SECURITY_AUDIT_KEY", KEY), ("BOT_CORE_SECURITY_AUDIT_KEY_ID", "k1")];
    let unsigned = run(root.path(), &[], &["export-security-bundle"]);
    assert_eq!((unsigned.code, unsigned.stdout.as_str()), (1, ""));
    assert!(unsigned.stderr.contains("BOT_CORE_SECURITY_AUDIT_KEY is not set"), "{}", unsigned.stderr);
    assert!(!root.path().join("exports").exists());

    let exported = run(root.path(), &key, &["export-security-bundle", "--metadata", "{\"ticket\": 7}"]);
    let document = exported.json();
    assert_eq!((exported.code, &document["status"], &document["entry_count"]), (0, &"ok".into(), &2.into()));
    assert_eq!(document["signature"]["key_id"], "k1");
    let bundle = document["bundle_path"].as_str().unwrap();

    let verified = run(root.path(), &[], &["verify-security-bundle", bundle, "--hmac-key", KEY]);
    assert_eq!((verified.code, &verified.json()["status"]), (0, &"valid".into()));
    let other = run(root.path(), &[], &["verify-security-bundle", bundle, "--hmac-key", "hex:00"]);
    assert_eq!((other.code, &other.json()["status"]), (2, &"invalid".into()));

    let list = run(root.path(), &key, &["checklist", "--ticket", "OPS-1"]);
    assert_eq!(list.code, 1, "open items remain");
    let list = list.json();
    let done: Vec<_> = list["items"].as_array().unwrap().iter().filter(|item| item["status"] == "done").collect();
    let done: Vec<_> = done.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(done, ["hmac_key", "security_export", "ticket"]);
}

#[test]
fn an_audit_export_takes_the_last_entries() {
    let root = installation();
    let key = [("BOT_CORE_SECURITY_AUDIT_KEY", KEY)];
    let exported = run(root.path(), &key, &["export-audit", "--limit", "1", "--output-dir", "out/audit.json"]);
    assert_eq!((exported.code, &exported.json()["bundle_path"]), (0, &"out/audit.json".into()));
    let bundle: Value = serde_json::from_slice(&fs::read(root.path().join("out/audit.json")).unwrap()).unwrap();
    assert_eq!(bundle["bundle"]["entries"], serde_json::json!([{"raw": "not json"}]));
}

#[test]
fn keys_and_metadata_that_are_malformed_write_nothing_and_show_nothing() {
    let root = installation();
    let bad_key = [("BOT_CORE_SECURITY_AUDIT_KEY", "hex:5ecre7")];
    let good_key = [("BOT_CORE_SECURITY_AUDIT_KEY", KEY)];
    let ran = [
        run(root.path(), &bad_key, &["export-security-bundle"]),
        run(root.path(), &good_key, &["export-security-bundle", "--metadata", "[1]"]),
    ];
    for ran in ran {
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(!ran.stderr.contains("5ecre7"), "{}", ran.stderr);
    }
    assert!(!root.path().join("exports").exists());
}

#[test]
fn a_package_check_gives_its_verdict_as_json_in_every_case() {
    let root = installation();
    let absent = run(root.path(), &[], &["check-update-integrity", "no-such-package"]);
    assert_eq!((absent.code, &absent.json()["status"]), (2, &"error".into()));
    let malformed = run(root.path(), &[], &["check-update-integrity", "x", "--hmac-key", "hex:5ecre7"]);
    assert_eq!((malformed.code, malformed.stdout.contains("5ecre7")), (2, false));

    let package = root.path().join("package");
    fs::create_dir(&package).unwrap();
    let manifest = serde_json::json!({
        "id": "bot", "version": "1.0", "platform": "linux", "runtime": "python",
        "artifacts": [{"path": "bot.py", "size": 0, "sha256": "0".repeat(64)}],
    });
    fs::write(package.join("manifest.json"), manifest.to_string()).unwrap();
    fs::write(package.join("bot.py"), "").unwrap();
    let bad = run(root.path(), &[], &["check-update-integrity", "package"]);
    assert_eq!((bad.code, &bad.json()["status"]), (1, &"failed".into()));
    assert_eq!(bad.json()["artifacts"][0]["status"], "failed");
}

#[test]
fn evidence_that_is_missing_is_escalated() {
    let root = installation();
    let missing = run(root.path(), &[], &["check-tpm-status", "evidence.json"]);
    assert_eq!((missing.code, &missing.json()["status"]), (2, &"missing".into()));
}

#[test]
fn an_exchange_that_is_away_is_unavailable() {
    let root = installation();
    let entry = serde_json::json!({"binance_spot": {"health_check": {"base_url": "https://127.0.0.1:1"}}});
    fs::write(root.path().join("config/exchanges.json"), entry.to_string()).unwrap();
    let arguments = ["check-runtime-health", "--exchange", "binance_spot", "--check", "dns_tls"];
    let text = run(root.path(), &[], &arguments);
    assert_eq!(text.code, 2, "{}", text.stderr);
    assert!(text.stdout.starts_with("dns_tls: unavailable"), "{}", text.stdout);
    assert!(text.stdout.trim_end().ends_with("Overall status: unavailable"), "{}", text.stdout);
    let json = run(root.path(), &[], &[&arguments[..], &["--output", "json", "--output-path", "health.json"]].concat());
    assert_eq!(json.json()["overall_status"], "unavailable");
    assert_eq!(fs::read_to_string(root.path().join("health.json")).unwrap(), json.stdout);
}

#[test]
fn checks_are_listed_without_an_exchange_and_delegated_with_every_flag() {
    let root = installation();
    let list = run(root.path(), &[], &["check-runtime-health", "--list-checks"]);
    assert_eq!((list.code, list.stdout.lines().count()), (0, 6));
    let polish = run(root.path(), &[("LC_ALL", "pl_PL.UTF-8")], &["check-runtime-health", "--list-checks"]);
    assert!(polish.stdout.contains("time_skew: zegar hosta"), "{}", polish.stdout);
    let delegated = [
        "check-runtime-health",
        "--delegate",
        "--delegate-command",
        "/usr/bin/env printf %s,",
        "--exchange",
        "kraken_spot",
        "--mode",
        "futures",
        "--environment",
        "live",
        "--check",
        "public_api",
        "--skip-private",
        "--output",
        "json",
    ];
    let echoed = run(root.path(), &[], &delegated);
    assert_eq!(
        (echoed.code, echoed.stdout.as_str()),
        (
            0,
            "--exchange,kraken_spot,--mode,futures,--environment,live,--output,json,--check,public_api,--skip-private,"
        ),
        "{}",
        echoed.stderr
    );
    let failing = ["check-runtime-health", "--delegate", "--delegate-command", "/usr/bin/env false"];
    assert_eq!(run(root.path(), &[], &failing).code, 1);
}

#[test]
fn wrong_flags_and_settings_are_no_verdict() {
    let root = installation();
    assert_eq!(run(root.path(), &[], &["check-tpm-status"]).code, 64);
    fs::write(root.path().join("agent.toml"), "root = 5\n").unwrap();
    for arguments in [["status", "--config", "agent.toml"].as_slice(), &["run", "--config", "no-such-file"]] {
        let ran = run(root.path(), &[], arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""), "{}", ran.stderr);
    }
}

#[test]
fn status_is_read_beside_the_agent() {
    let root = installation();
    let settings = format!(
        "root = \"{}\"\n[controller]\nenrollment = \"https://c:1\"\nfleet = \"https://c:2\"\nca_file = \"ca.pem\"\n\
         [bot]\nstart = [\"true\"]\nstop = [\"true\"]\nhealth = [\"true\"]\n\
         [export]\nkey_file = \"k\"\n[package]\nkey_file = \"k\"\n",
        root.path().display()
    );
    fs::write(root.path().join("agent.toml"), settings).unwrap();
    let text = run(root.path(), &[], &["status", "--config", "agent.toml"]);
    assert_eq!(text.code, 0, "{}", text.stderr);
    assert!(text.stdout.contains("none yet"), "{}", text.stdout);
    let json = run(root.path(), &[], &["update", "status", "--config", "agent.toml"]);
    assert_eq!((json.code, json.json()), (0, Value::Null));
}

#[test]
fn an_environment_says_which_exchange_and_how() {
    let root = installation();
    let file = "defaults: {environment: paper}\npaper:\n  exchange: binance_spot\n  exchange_manager: {testnet: true}\n  \
                health_check: {base_url: 'https://127.0.0.1:1'}\n";
    fs::write(root.path().join("config/environments.yaml"), file).unwrap();
    let flags = ["check-runtime-health", "--environment-config", "config/environments.yaml", "--check", "dns_tls"];
    let json = run(root.path(), &[], &[&flags[..], &["--output", "json"]].concat());
    assert_eq!((json.code, &json.json()["testnet"]), (2, &true.into()), "{}", json.stderr);
    let polish = run(root.path(), &[("LANG", "pl_PL")], &flags);
    assert!(polish.stdout.contains("Overall status: unavailable\nTen host nie może"), "{}", polish.stdout);
    let unknown = run(root.path(), &[], &[&flags[..], &["--environment", "live"]].concat());
    assert_eq!((unknown.code, unknown.stdout.as_str()), (2, ""));
    assert!(unknown.stderr.contains("there are paper"), "{}", unknown.stderr);
}

#[test]
fn the_checklist_is_a_table_for_people_in_their_language() {
    let root = installation();
    let english = run(root.path(), &[], &["checklist", "--output", "text", "--ticket", "OPS-7"]);
    assert_eq!(english.code, 1);
    assert!(english.stdout.contains("[x] update recorded in the ticket system"), "{}", english.stdout);
    assert!(english.stdout.lines().any(|line| line.ends_with("OPS-7")), "{}", english.stdout);
    assert!(english.stdout.ends_with("Items are open.\n"), "{}", english.stdout);
    let polish = run(root.path(), &[], &["--lang", "pl", "checklist", "--output", "text"]);
    assert!(polish.stdout.contains("[ ] HMAC ustawiony w środowisku"), "{}", polish.stdout);
    let json = run(root.path(), &[("LANG", "pl_PL.UTF-8")], &["checklist"]);
    assert_eq!(json.json()["items"][5]["status"], "done");
}

#[test]
fn reasons_on_stderr_begin_in_the_readers_language() {
    let root = installation();
    let polish = run(root.path(), &[("LC_MESSAGES", "pl_PL")], &["export-security-bundle"]);
    assert!(polish.stderr.starts_with("flota-agent: brak wyniku: BOT_CORE_SECURITY_AUDIT_KEY"), "{}", polish.stderr);
}

#[test]
fn completions_and_manual_pages_come_from_the_command_line_itself() {
    let root = installation();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(root.path(), &[], &["completions", shell]);
        assert!(script.code == 0 && script.stdout.contains("export-security-bundle"), "{shell}");
    }
    let page = run(root.path(), &[], &["man"]);
    assert!(page.code == 0 && page.stdout.contains(".TH"), "{}", page.stdout);
    let pages = run(root.path(), &[], &["man", "--dir", "man1"]);
    assert_eq!(pages.code, 0, "{}", pages.stderr);
    assert!(root.path().join("man1/flota-agent-recover.1").is_file(), "{}", pages.stdout);
}
