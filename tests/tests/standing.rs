//! What brings a host into a state, what it may do there, and what brings it out: with real processes and a real TPM.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::time::Duration;

use flota_tests::{Answer, Bins, Fleet, FleetOptions, WebService, wait};
use serde_json::Value;

const BOUND: Duration = Duration::from_mins(1);
const HOST: &str = "fra-bot-01";

fn bins() -> Bins {
    Bins::beside_this_program().unwrap()
}

fn started(dir: &Path, attest_seconds: u64) -> Fleet {
    Fleet::start(&bins(), dir, FleetOptions { hosts: 1, attest_seconds }).unwrap()
}

fn installed(dir: &Path) -> Fleet {
    Fleet::install(&bins(), dir, FleetOptions { hosts: 1, ..FleetOptions::default() }).unwrap()
}

fn wait_for(fleet: &Fleet, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    fleet.wait_for(HOST, what, holds).unwrap_or_else(|error| panic!("{error:?}"))
}

fn trusted(host: &Value) -> bool {
    host["trust"] == "trusted" && host["liveness"] == "connected"
}

fn audit_actions(fleet: &Fleet) -> Vec<String> {
    let entries = fleet.admin.items(&["audit", "list", "--limit", "0"]).unwrap();
    entries.iter().rev().map(|entry| entry["action"].as_str().unwrap_or_default().to_owned()).collect()
}

fn quarantine(fleet: &Fleet) -> Answer {
    fleet.admin.run(&["attest", "quarantine", HOST, "--reason", "looks odd", "--yes"]).unwrap()
}

#[test]
fn a_quarantined_host_is_out_at_once_and_comes_back_by_a_fresh_quote() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = started(dir.path(), 60);
    assert!(!fleet.listed(HOST).unwrap()["lease_until"].as_str().unwrap_or_default().is_empty(), "a pass gave a lease");
    let answer = quarantine(&fleet);
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    let out = wait_for(&fleet, "its session to end", |host| host["liveness"] != "connected");
    assert_eq!((&out["trust"], out["lease_until"].as_str()), (&Value::from("quarantined"), Some("")), "{out:#}");
    let log = dir.path().join("controller/controller.log");
    wait::until("a handshake to be refused", BOUND, || {
        Ok(std::fs::read_to_string(&log)?.contains("was refused in the handshake").then_some(()))
    })
    .unwrap();
    let open = fleet.admin.items(&["escalation", "list"]).unwrap();
    assert_eq!(open[0]["kind"], "quarantined", "{open:#?}");

    fleet.admin.ok(&["attest", "clear", HOST, "--reason", "it was a drill", "--yes"]).unwrap();
    wait_for(&fleet, "a fresh quote to pass", trusted);
    let id = open[0]["id"].as_str().unwrap();
    fleet.admin.ok(&["escalation", "resolve", id, "--resolution", "a drill"]).unwrap();
    assert!(fleet.admin.items(&["escalation", "list"]).unwrap().is_empty());
    fleet.admin.ok(&["audit", "verify"]).unwrap();
}

#[test]
fn a_decommissioned_host_is_out_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = started(dir.path(), 60);
    let answer = fleet.admin.run(&["host", "decommission", HOST, "--reason", "sold", "--confirm", HOST]).unwrap();
    assert_eq!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    wait_for(&fleet, "its session to end", |host| host["liveness"] != "connected" && host["trust"] == "retired");
    let answer = fleet.admin.run(&["attest", "clear", HOST, "--reason", "regret", "--yes"]).unwrap();
    assert!(answer.stderr.contains("FLT-0412"), "{}", answer.stderr);
}

#[test]
fn a_host_that_awaits_approval_is_given_nothing_until_a_person_lets_it_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = installed(dir.path());
    let token = fleet.admin.json(&["token", "create", HOST, "--approval"]).unwrap();
    let output = fleet.hosts[0].enroll(token["token"].as_str().unwrap()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fleet.start_agents().unwrap();
    let waiting = wait_for(&fleet, "its session", |host| host["liveness"] == "connected");
    assert_eq!((&waiting["trust"], &waiting["awaits_approval"]), (&Value::from("pending"), &Value::from(true)));
    let listed = fleet.admin.items(&["enrolment", "list"]).unwrap();
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert!(!audit_actions(&fleet).iter().any(|action| action == "host.attest"), "nobody asked it for a quote");
    fleet.admin.ok(&["enrolment", "approve", HOST, "--yes"]).unwrap();
    wait_for(&fleet, "a quote to pass", trusted);
    assert!(fleet.admin.items(&["enrolment", "list"]).unwrap().is_empty());
}

#[test]
fn a_host_whose_lease_ends_gets_no_new_work_and_heals_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = started(dir.path(), 1);
    // The TPM is gone, the host is not: no quote, no lease, no work.
    fleet.hosts[0].tpm().kill().unwrap();
    wait_for(&fleet, "the host to be stale", |host| host["trust"] == "stale");
    let ends: jiff::Timestamp =
        wait_for(&fleet, "a lease", |host| host["lease_until"] != "")["lease_until"].as_str().unwrap().parse().unwrap();
    wait::until("its lease to end", BOUND, || Ok((jiff::Timestamp::now() > ends).then_some(()))).unwrap();
    fleet.publish(&fleet.packages.bot("4.12.1", "healthy", 100_000).unwrap()).unwrap();
    let created = fleet.admin.json(&["rollout", "create", "--release", "4.12.1", "--all"]).unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    fleet.admin.run(&["rollout", "start", &id, "--yes", "--no-wait"]).unwrap();
    wait::until("the rollout to say that there is no lease", BOUND, || {
        Ok(fleet.admin.run(&["rollout", "explain", &id])?.stdout.contains("it has no lease").then_some(()))
    })
    .unwrap();
    assert_eq!(fleet.hosts[0].current().unwrap(), fleet.first_release.digest);
    fleet.hosts[0].tpm().restart().unwrap();
    wait::until("the update, once a quote has passed", BOUND, || {
        Ok((fleet.hosts[0].bot_version()? == "4.12.1").then_some(()))
    })
    .unwrap();
}

#[test]
fn a_host_without_a_tpm_is_admitted_where_settings_and_token_say_so_and_stays_unattested() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = installed(dir.path());
    let refused = fleet.admin.run(&["token", "create", HOST, "--software-key"]).unwrap();
    assert!(refused.stderr.contains("FLT-0412"), "{}", refused.stderr);
    fleet.controller.configure("allow_software_keys = true").unwrap();
    fleet.hosts[0].configure("tpm", "mode = \"none\"").unwrap();
    let token = fleet.admin.json(&["token", "create", HOST, "--software-key"]).unwrap();
    let output = fleet.hosts[0].enroll(token["token"].as_str().unwrap()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fleet.start_agents().unwrap();
    let host = wait_for(&fleet, "its session", |host| host["liveness"] == "connected");
    assert_eq!((&host["trust"], &host["key_storage"]), (&Value::from("unattested"), &Value::from("file")));
    fleet.admin.ok(&["export", "run", HOST]).unwrap();
    assert_eq!(fleet.listed(HOST).unwrap()["trust"], "unattested");
}

#[test]
fn a_known_tpm_comes_back_without_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = started(dir.path(), 60);
    let id = fleet.listed(HOST).unwrap()["id"].clone();
    fleet.hosts[0].kill_agent().unwrap();
    std::fs::remove_file(fleet.hosts[0].root().join("var/flota/agent/identity.json")).unwrap();
    let output = fleet.hosts[0].enroll_again().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fleet.start_agents().unwrap();
    assert_eq!(wait_for(&fleet, "a quote to pass", trusted)["id"], id);
}

/// Coming back is no way to make what was tampered with the new normal.
#[test]
fn a_drifted_host_that_comes_back_without_a_token_is_still_drifted() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = started(dir.path(), 60);
    fleet.hosts[0].tpm().extend_pcr(7, [0xee; 32]).unwrap();
    fleet.admin.run(&["attest", "challenge", HOST]).unwrap();
    wait_for(&fleet, "drift", |host| host["trust"] == "drifted");
    fleet.hosts[0].kill_agent().unwrap();
    std::fs::remove_file(fleet.hosts[0].root().join("var/flota/agent/identity.json")).unwrap();
    let output = fleet.hosts[0].enroll_again().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fleet.start_agents().unwrap();
    wait_for(&fleet, "its session", |host| host["liveness"] == "connected");
    let answer = fleet.admin.run(&["attest", "challenge", HOST]).unwrap();
    assert_eq!(answer.code, 1, "{}{}", answer.stdout, answer.stderr);
    assert_eq!(fleet.listed(HOST).unwrap()["trust"], "drifted");
}

#[test]
fn missing_oem_evidence_fails_the_host_and_escalates_to_the_security_role_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = installed(dir.path());
    let webhook = WebService::start(|_| (200, String::new())).unwrap();
    let port = webhook.port;
    std::fs::write(dir.path().join("controller/webhook.key"), "a secret of the webhook").unwrap();
    let lines = format!("webhook_url = \"http://127.0.0.1:{port}/flota\"\nwebhook_key_file = \"webhook.key\"");
    fleet.controller.configure(&lines).unwrap();
    fleet.hosts[0].configure("oem", "evidence_file = \"var/evidence.json\"").unwrap();
    fleet.enroll_all().unwrap();
    fleet.start_agents().unwrap();
    let host = wait_for(&fleet, "the host to fail", |host| host["trust"] == "drifted");
    assert_eq!(host["oem_evidence"], "missing", "{host:#}");
    assert!(host["trust_reason"].as_str().unwrap().contains("oem_evidence"), "{host:#}");

    let request = webhook.next(BOUND).unwrap();
    assert!(request.is_signed_with(b"a secret of the webhook"), "{request:?}");
    let document = request.json().unwrap();
    assert_eq!((&document["escalation"], &document["role"]), (&Value::from("oem_evidence"), &Value::from("security")));
    wait::until("the delivery to be noted", BOUND, || {
        let open = fleet.admin.items(&["escalation", "list"])?;
        Ok(open.iter().any(|one| one["delivery"].as_str().unwrap_or_default().starts_with("delivered")).then_some(()))
    })
    .unwrap();
}
