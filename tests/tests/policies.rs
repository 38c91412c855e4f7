//! The life of a policy over a real fleet with a boot log: first one, planned change, mistake, and why.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::time::Duration;

use flota_tests::{Bins, BootLog, Fleet, FleetOptions, Operator, wait};
use serde_json::Value;

const BOUND: Duration = Duration::from_mins(1);
const HOST: &str = "fra-bot-01";

struct Scene {
    fleet: Fleet,
    log: BootLog,
    /// Writes policies.
    author: Operator,
    /// Approves them.
    approver: Operator,
}

fn scene(dir: &Path) -> Scene {
    let bins = Bins::beside_this_program().unwrap();
    let mut fleet = Fleet::install(&bins, dir, FleetOptions { hosts: 1, ..FleetOptions::default() }).unwrap();
    let log = BootLog::of_firmware(fleet.hosts[0].tpm()).unwrap();
    let path = fleet.hosts[0].root().join("boot.log");
    std::fs::write(&path, log.bytes()).unwrap();
    fleet.hosts[0].configure("tpm", &format!("boot_log = {:?}", path.display().to_string())).unwrap();
    fleet.enroll_all().unwrap();
    fleet.start_agents().unwrap();
    fleet.wait_until_trusted(1).unwrap();
    let author = fleet.controller.operator("sara", "security").unwrap();
    let approver = fleet.controller.operator("anton", "approver").unwrap();
    Scene { fleet, log, author, approver }
}

impl Scene {
    /// Another kernel: more is measured, and the log says what. The agent reads it when it starts, as after a boot.
    fn boot_something_else(&mut self, text: &str) {
        self.log.action(self.fleet.hosts[0].tpm(), text).unwrap();
        std::fs::write(self.fleet.hosts[0].root().join("boot.log"), self.log.bytes()).unwrap();
        self.fleet.hosts[0].restart_agent().unwrap();
    }

    fn challenge(&self) -> Value {
        let answer = self.fleet.admin.run(&["attest", "challenge", HOST, "-o", "json"]).unwrap();
        let document: Value = serde_json::from_str(&answer.stdout).unwrap_or_else(|_| panic!("{}", answer.stderr));
        document
    }

    fn wait_for(&self, what: &str, trust: &str, policy: &str) {
        let mut last = Value::Null;
        wait::until(what, BOUND, || {
            self.challenge();
            last = self.fleet.listed(HOST)?;
            Ok((last["trust"] == trust && last["policy"] == policy).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}: {last:#}\n{}", self.fleet.hosts[0].log()));
    }
}

#[test]
fn case_70_a_planned_change_passes_while_it_is_staged_and_drifts_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = scene(dir.path());
    let Scene { author, approver, .. } = &scene;
    author.ok(&["policy", "propose", "boot", "--from", HOST, "--by-events"]).unwrap();
    let own = author.run(&["policy", "approve", "boot@1", "--yes"]).unwrap();
    assert!(own.stderr.contains("FLT-0412") && own.stderr.contains("somebody else"), "{}", own.stderr);
    let early = author.run(&["policy", "activate", "boot@1", "--confirm", "boot"]).unwrap();
    assert!(early.stderr.contains("FLT-0412"), "not before it is approved: {}", early.stderr);
    approver.ok(&["policy", "approve", "boot@1", "--yes"]).unwrap();
    author.ok(&["policy", "activate", "boot@1", "--confirm", "boot"]).unwrap();
    scene.wait_for("the host to meet its policy", "trusted", "boot@1");

    scene.boot_something_else("vmlinuz-6.1.0-99");
    scene.wait_for("the unplanned kernel to be drift", "drifted", "boot@1");
    let why = scene.fleet.admin.ok(&["policy", "explain", HOST]).unwrap().stdout;
    assert!(why.contains("vmlinuz-6.1.0-99"), "the event that differs is named: {why}");

    let Scene { author, approver, .. } = &scene;
    author.ok(&["policy", "propose", "boot", "--from", HOST, "--by-events"]).unwrap();
    approver.ok(&["policy", "approve", "boot@2", "--yes"]).unwrap();
    author.ok(&["policy", "stage", "boot@2", "--until", "1h", "--confirm", "boot"]).unwrap();
    scene.wait_for("the staged kernel to pass", "trusted", "boot@2");
    scene.author.ok(&["policy", "activate", "boot@2", "--confirm", "boot"]).unwrap();
    scene.wait_for("the new policy to hold", "trusted", "boot@2");

    let Scene { author, approver, .. } = &scene;
    let asked = author.ok(&["policy", "rollback", "boot", "--confirm", "boot"]).unwrap();
    assert!(asked.stdout.contains("boot@1 is retired; its rollback is asked for by operator/sara"), "{}", asked.stdout);
    approver.ok(&["policy", "approve", "boot@1", "--yes"]).unwrap();
    scene.wait_for("the former policy to hold again", "drifted", "boot@1");
    scene.fleet.admin.ok(&["audit", "verify"]).unwrap();
}

#[test]
fn what_asks_less_of_hosts_is_done_when_two_people_want_it() {
    let dir = tempfile::tempdir().unwrap();
    let scene = scene(dir.path());
    let Scene { author, approver, .. } = &scene;
    author.ok(&["policy", "propose", "boot", "--from", HOST, "--by-events"]).unwrap();
    approver.ok(&["policy", "approve", "boot@1", "--yes"]).unwrap();
    author.ok(&["policy", "activate", "boot@1", "--confirm", "boot"]).unwrap();
    let state = || -> Value {
        let shown = author.ok(&["policy", "show", "boot@1", "-o", "json"]).unwrap().stdout;
        serde_json::from_str::<Value>(&shown).unwrap()["policy"].clone()
    };

    author.ok(&["policy", "retire", "boot@1", "--confirm", "boot", "--reason", "OPS-7"]).unwrap();
    assert_eq!(state()["state"], "active", "one person is not enough");
    let alone = author.run(&["policy", "approve", "boot@1", "--yes"]).unwrap();
    assert!(alone.stderr.contains("FLT-0412") && alone.stderr.contains("asked for the retirement"), "{}", alone.stderr);
    let denied = approver.run(&["policy", "retire", "boot@1", "--confirm", "boot"]).unwrap();
    assert!(denied.stderr.contains("FLT-0202"), "to agree is not to ask: {}", denied.stderr);
    let seen = approver.ok(&["policy", "approve", "boot@1", "--yes"]).unwrap();
    assert!(seen.stderr.contains("operator/sara asks for the retirement: OPS-7"), "{}", seen.stderr);
    assert_eq!(state()["state"], "retired");
    let log = author.ok(&["audit", "list", "--object", "policy/boot@1", "-o", "json"]).unwrap().stdout;
    for action in ["policy.ask", "policy.approve", "policy.retire"] {
        assert!(log.contains(action), "{action}: {log}");
    }
    // What only tightens takes one: a draft that nobody is held to.
    author.ok(&["policy", "propose", "other", "--from", HOST]).unwrap();
    author.ok(&["policy", "retire", "other@1"]).unwrap();
}

#[test]
fn case_69_an_empty_policy_and_one_that_skips_a_pcr_are_refused_at_the_door() {
    let dir = tempfile::tempdir().unwrap();
    let scene = scene(dir.path());
    let file = dir.path().join("policy.json");
    let document = |pcrs: &str| {
        format!(r#"{{"schema":"flota.attest.policy/1","name":"thin","bank":"sha256","applies_to":"","pcrs":{pcrs}}}"#)
    };
    for (pcrs, why) in [("{}", "PCR"), (r#"{"7":{"ignore":"no reason is too thin"}}"#, "PCR")] {
        std::fs::write(&file, document(pcrs)).unwrap();
        let answer = scene.author.run(&["policy", "propose", "thin", "--file", &file.display().to_string()]).unwrap();
        assert!(
            answer.code != 0 && answer.stderr.contains("FLT-0101") && answer.stderr.contains(why),
            "{}",
            answer.stderr
        );
    }
    assert!(scene.fleet.admin.items(&["policy", "list"]).unwrap().is_empty());
}

#[test]
fn a_host_without_a_policy_fails_where_one_is_required() {
    let dir = tempfile::tempdir().unwrap();
    let mut scene = scene(dir.path());
    scene.fleet.controller.configure("attestation_policy_required = true").unwrap();
    scene.wait_for("the host to fail", "drifted", "");
    assert!(scene.fleet.listed(HOST).unwrap()["trust_reason"].as_str().unwrap().contains("no_policy"));
}
