//! A host whose disk is lost, brought back by the fleet (manual section 6): with a real TPM, bot, export and exchange.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::process::Command;

use flota_tests::{Answer, Bins, Fleet, FleetOptions};
use serde_json::Value;

const HOST: &str = "fra-bot-01";

fn said(answer: &Answer) -> String {
    format!("{}{}", answer.stdout, answer.stderr)
}

/// As a machine's backup does it: owners, modes, links.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// The state of each step, in order.
fn states(recovery: &Value) -> Vec<String> {
    let steps = recovery["steps"].as_array().unwrap();
    steps.iter().map(|step| format!("{} {}", step["step"], step["state"]).replace('"', "")).collect()
}

#[test]
fn a_host_that_was_lost_comes_back_with_the_last_approved_release_proved_and_reported() {
    let bins = Bins::beside_this_program().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = FleetOptions { hosts: 1, ..FleetOptions::default() };
    let mut fleet = Fleet::install(&bins, dir.path(), options).unwrap();
    // The backup is older than everything that the fleet did with the host.
    let (root, backup) = (fleet.hosts[0].root().to_owned(), dir.path().join("backup"));
    copy(&root, &backup);
    fleet.enroll_all().unwrap();
    fleet.start_agents().unwrap();
    fleet.wait_until_trusted(1).unwrap();
    let newer = fleet.packages.bot("4.12.0", "healthy", 64 * 1024).unwrap();
    fleet.publish(&newer).unwrap();
    let unknown = fleet.admin.run(&["recovery", "plan", HOST]).unwrap();
    assert!(unknown.code == 5 && said(&unknown).contains("--release RELEASE"), "{}", said(&unknown));
    fleet.admin.ok(&["rollout", "create", "--release", "4.12.0", "--all"]).unwrap();
    fleet.admin.ok(&["rollout", "start", "R-1", "--yes"]).unwrap();
    fleet.admin.ok(&["export", "run", HOST]).unwrap();
    let planned = fleet.admin.json(&["recovery", "plan", HOST]).unwrap();
    assert_eq!(planned["version"], "4.12.0", "{planned:#}");

    // The disk is gone.
    fleet.hosts[0].kill_agent().unwrap();
    assert_eq!(fleet.hosts[0].bot_version().unwrap(), "4.12.0");
    fleet.hosts[0].stop_bot().unwrap();
    std::fs::rename(&root, dir.path().join("gone")).unwrap();
    fleet.wait_for(HOST, "silence", |host| host["liveness"] == "silent").unwrap();
    let words = ["recovery", "run", HOST, "--yes", "--reason", "the disk is gone", "--ticket", "OPS-7"];
    let waits = fleet.admin.run(&words).unwrap();
    assert!(waits.code == 9 && said(&waits).contains("flota-agent recover --backup DIR"), "{}", said(&waits));
    assert!(said(&waits).contains("the last usable export is"), "{}", said(&waits));

    // The controller dies; whoever comes next goes on.
    fleet.controller.kill().unwrap();
    fleet.controller.restart().unwrap();
    let status = fleet.admin.run(&["recovery", "status", HOST]).unwrap();
    assert_eq!(status.code, 9, "{}", said(&status));

    // A person restores the backup, and lets the machine come back with its TPM.
    copy(&backup, &root);
    fleet.hosts[0].start_bot().unwrap();
    let enrolled = fleet.hosts[0].enroll_again().unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    fleet.start_agents().unwrap();
    fleet.wait_for(HOST, "its session", |host| host["liveness"] == "connected").unwrap();
    assert_eq!(fleet.hosts[0].bot_version().unwrap(), "4.11.3");
    let done = fleet.admin.run(&["recovery", "run", HOST, "--yes", "--timeout", "90s"]).unwrap();
    assert_eq!(done.code, 0, "{}\n{}", said(&done), fleet.hosts[0].log());
    assert_eq!(fleet.hosts[0].bot_version().unwrap(), "4.12.0");

    // What SRE and auditors are given.
    let (report, key) = (dir.path().join("report.json"), fleet.controller.dir().join("audit-key.pub"));
    let (report, key) = (report.to_str().unwrap(), key.to_str().unwrap());
    fleet.admin.ok(&["recovery", "status", HOST, "--to", report]).unwrap();
    let shown = fleet.admin.json(&["recovery", "verify", report, "--key", key]).unwrap();
    let all = ["find done", "restore done", "apply done", "prove done", "health done", "report done"];
    assert_eq!(states(&shown), all, "{shown:#}");
    assert_eq!((&shown["state"], &shown["ticket"]), (&"recovered".into(), &"OPS-7".into()));
    let forged = std::fs::read_to_string(report).unwrap().replace("OPS-7", "OPS-8");
    std::fs::write(report, forged).unwrap();
    let refused = fleet.admin.run(&["recovery", "verify", report, "--key", key]).unwrap();
    assert!(refused.code == 1 && said(&refused).contains("this proves nothing"), "{}", said(&refused));
    let logged = fleet.admin.items(&["audit", "list", "--action", "recovery.", "--limit", "0"]).unwrap();
    let actions: Vec<_> = logged.iter().rev().filter_map(|entry| entry["action"].as_str()).collect();
    assert_eq!(actions.first(), Some(&"recovery.begin"), "{actions:?}");
    let again = fleet.admin.run(&["recovery", "abort", HOST, "--reason", "x"]).unwrap();
    assert!(again.code == 6 && said(&again).contains("is recovered"), "{}", said(&again));
}
