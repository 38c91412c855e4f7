//! The life of a stand-in bot, with the real process.

#![expect(clippy::unwrap_used, reason = "a test whose preparation fails shall stop there")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for anything in these tests; far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A root folder with one release; whatever runs in it is stopped when the test ends.
struct Host(TempDir);

impl Host {
    fn with(release: &Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("releases/0123abcd");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("bot.json"), release.to_string()).unwrap();
        symlink("releases/0123abcd", root.path().join("current")).unwrap();
        Self(root)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn bot(&self, command: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_flota-stand-in-bot"))
            .args([command, "--root"])
            .arg(self.path())
            .output()
            .unwrap()
    }

    fn code(&self, command: &str) -> i32 {
        self.bot(command).status.code().unwrap()
    }

    fn health(&self) -> (i32, Value) {
        let output = self.bot("health");
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path().join("var/bot/state.json")).unwrap()).unwrap()
    }

    fn lines(&self, log: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path().join("logs").join(log)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.bot("stop");
    }
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_healthy_bot_starts_reports_logs_and_stops() {
    let host = Host::with(&json!({"version": "4.12.0", "behaviour": "healthy"}));
    assert_eq!(host.health(), (2, json!({"status": "not_running"})));
    assert_eq!(host.code("stop"), 0, "stopping nothing is no error");

    assert_eq!(host.code("start"), 0);
    let (code, health) = host.health();
    assert_eq!(code, 0);
    assert_eq!((&health["status"], &health["version"]), (&"healthy".into(), &"4.12.0".into()));
    assert_eq!(health["pid"], host.state()["pid"]);

    wait_until("two entries in each log", || {
        ["security_admin.log", "security_alerts.log", "trading_controller.log"].iter().all(|l| host.lines(l).len() >= 2)
    });
    let entry: Value = serde_json::from_str(&host.lines("security_admin.log")[1]).unwrap();
    assert_eq!((&entry["event"], &entry["seq"]), (&"profile.update".into(), &1.into()));

    assert_eq!(host.code("stop"), 0);
    assert_eq!(host.health().0, 2);
    assert!(!host.path().join("var/bot/bot.pid").exists());
    assert_eq!(host.state()["phase"], "stopped");
}

#[test]
fn every_start_is_a_new_trade_epoch() {
    let host = Host::with(&json!({"version": "4.12.0", "behaviour": "healthy"}));
    for epoch in 1..=2 {
        assert_eq!(host.code("start"), 0);
        assert_eq!(host.state()["trade_epoch"], epoch);
        assert_eq!(host.code("stop"), 0);
    }
}

#[test]
fn two_bots_never_run_in_one_root() {
    let host = Host::with(&json!({"version": "4.12.0", "behaviour": "healthy"}));
    assert_eq!(host.code("start"), 0);
    let first = host.state()["pid"].clone();
    let second = host.bot("run");
    assert_eq!(second.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another bot already runs"));
    assert_eq!(host.code("start"), 0, "starting a running bot is no error");
    assert_eq!(host.state()["pid"], first);
}

#[test]
fn a_sick_bot_runs_and_says_so() {
    let host = Host::with(&json!({"version": "4.12.1", "behaviour": "sick"}));
    assert_eq!(host.code("start"), 0);
    let (code, health) = host.health();
    assert_eq!((code, &health["status"]), (1, &"sick".into()));
}

#[test]
fn a_crashing_bot_comes_up_and_is_gone() {
    let host = Host::with(&json!({"version": "4.12.2", "behaviour": "crash"}));
    assert_eq!(host.code("start"), 0);
    wait_until("the crash", || host.health().0 == 2);
    assert_eq!(host.state()["phase"], "up", "a crash leaves the state as it was");
    assert!(host.path().join("var/bot/bot.pid").exists());
    assert_eq!(host.code("stop"), 0, "the stale pid file is no bot");
}

#[test]
fn a_slow_bot_is_waited_for() {
    let host = Host::with(&json!({"version": "4.13.0", "behaviour": "slow_start", "slow_start_ms": 400}));
    let begun = Instant::now();
    assert_eq!(host.code("start"), 0);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(host.health().0, 0);
}

#[test]
fn a_bot_that_ignores_sigterm_is_killed() {
    let host = Host::with(&json!({"version": "4.12.0", "behaviour": "healthy"}));
    assert_eq!(host.code("start"), 0);
    let pid = host.state()["pid"].to_string();
    // A stopped process cannot handle SIGTERM, which is what a hung bot looks like from outside.
    assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let stop = host.bot("stop");
    assert_eq!(stop.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&stop.stdout).contains("killed"));
    assert_eq!(host.health().0, 2);
}

#[test]
fn a_root_without_a_release_is_refused_with_the_reason() {
    let host = Host::with(&json!({"version": "4.12.0", "behaviour": "healthy"}));
    fs::remove_file(host.path().join("current")).unwrap();
    let start = host.bot("start");
    assert_eq!(start.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&start.stderr).contains("no release is installed"));
}

#[test]
fn usage_errors_do_not_look_like_a_stopped_bot() {
    let output = Command::new(env!("CARGO_BIN_EXE_flota-stand-in-bot")).arg("health").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}
