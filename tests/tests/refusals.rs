//! Bad input is refused with a clear message and nothing half-done.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, wait};

const BOUND: Duration = Duration::from_mins(1);

fn bins() -> Bins {
    Bins::beside_this_program().unwrap()
}

fn enrolled(dir: &Path, hosts: usize) -> Fleet {
    Fleet::start(&bins(), dir, FleetOptions { hosts, ..FleetOptions::default() }).unwrap()
}

fn installed(dir: &Path, hosts: usize) -> Fleet {
    Fleet::install(&bins(), dir, FleetOptions { hosts, ..FleetOptions::default() }).unwrap()
}

#[test]
fn case_25_a_token_works_once_in_time_and_only_whole() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = installed(dir.path(), 2);
    let (first, second) = (&fleet.hosts[0], &fleet.hosts[1]);
    let refusal = |token: &str| {
        let output = second.enroll(token).unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };

    let token = fleet.token("fra-bot-01").unwrap();
    assert!(first.enroll(&token).unwrap().status.success());
    assert!(refusal(&token).contains("FLT-0401: the enrolment token cannot be used: it was used"));

    let brief = fleet.admin.json(&["token", "create", "brief", "--ttl", "1s"]).unwrap();
    let brief = brief["token"].as_str().unwrap();
    wait::until("the token's end", BOUND, || {
        let tokens = fleet.admin.items(&["token", "list"])?;
        Ok(tokens.iter().any(|token| token["host_name"] == "brief" && token["state"] == "expired").then_some(()))
    })
    .unwrap();
    assert!(refusal(brief).contains("it has expired"));

    let revoked = fleet.admin.json(&["token", "create", "revoked"]).unwrap();
    fleet.admin.ok(&["token", "revoke", revoked["id"].as_str().unwrap()]).unwrap();
    assert!(refusal(revoked["token"].as_str().unwrap()).contains("it was revoked"));

    let good = fleet.token("fra-bot-02").unwrap();
    let (head, last) = good.split_at(good.len() - 1);
    let another = if last == "0" { '1' } else { '0' };
    assert!(refusal(&format!("{head}{another}")).contains("FLT-0401"));
    assert!(refusal("not a token").contains("not an enrolment token"));
    assert_eq!(fleet.admin.items(&["host", "list"]).unwrap().len(), 1, "nobody slipped in");
    assert!(second.enroll(&good).unwrap().status.success(), "and the right token still works");
}

#[test]
fn a_name_that_is_taken_gets_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = enrolled(dir.path(), 1);
    let answer = fleet.admin.run(&["token", "create", "fra-bot-01"]).unwrap();
    assert_eq!(answer.code, 6, "{}", answer.stderr);
    assert!(answer.stderr.contains("FLT-0403"), "{}", answer.stderr);
}

#[test]
fn case_02_a_tpm_of_an_unknown_vendor_does_not_enrol() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = installed(dir.path(), 1);
    let other = tempfile::tempdir().unwrap();
    let stranger = flota_swtpm_stranger(other.path(), &fleet);
    let output = stranger.enroll(&fleet.token("stranger").unwrap()).unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("FLT-0402"), "{words}");
    assert!(fleet.admin.items(&["host", "list"]).unwrap().is_empty());
}

/// A host whose TPM comes from a CA that the controller does not trust.
fn flota_swtpm_stranger(dir: &Path, fleet: &Fleet) -> flota_tests::BotHost {
    std::fs::create_dir_all(dir.join("tpm")).unwrap();
    let tpm = flota_swtpm::Swtpm::start(&dir.join("tpm")).unwrap();
    let (controller, exchange) = (&fleet.controller, &fleet.exchange);
    flota_tests::BotHost::install(&fleet.bins, dir, "stranger", tpm, controller, exchange, &fleet.first_release)
        .unwrap()
}

#[test]
fn a_copied_identity_is_worth_nothing_without_its_tpm() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = enrolled(dir.path(), 2);
    let (thief, victim) = (1, 0);
    fleet.hosts[thief].kill_agent().unwrap();
    let identity = "var/flota/agent/identity.json";
    std::fs::copy(fleet.hosts[victim].root().join(identity), fleet.hosts[thief].root().join(identity)).unwrap();
    fleet.hosts[thief].start_agent().unwrap();
    wait::until("the thief to be turned away", BOUND, || {
        Ok(fleet.hosts[thief].log().contains("no session with the controller").then_some(()))
    })
    .unwrap();
    let listed = fleet.listed("fra-bot-01").unwrap();
    assert_eq!(listed["liveness"], "connected", "the rightful host keeps its session");
    assert_eq!(listed["trust"], "trusted");
    let log = std::fs::read_to_string(fleet.controller.dir().join("controller.log")).unwrap();
    let id = listed["id"].as_str().unwrap();
    let sessions = log.lines().filter(|line| line.contains("session began") && line.contains(id)).count();
    assert_eq!(sessions, 1, "nobody else had a session as fra-bot-01:\n{log}");
}

#[test]
fn a_role_admits_what_it_admits_and_denials_are_audited() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = installed(dir.path(), 0);
    let viewer = fleet.controller.operator("vera", "viewer").unwrap();
    viewer.ok(&["host", "list"]).unwrap();
    let answer = viewer.run(&["token", "create", "x"]).unwrap();
    assert_eq!(answer.code, 4, "{}", answer.stderr);
    assert!(answer.stderr.contains("FLT-0202") && answer.stderr.contains("vera is viewer"), "{}", answer.stderr);
    let denied = fleet.admin.items(&["audit", "list", "--action", "access", "--limit", "10"]).unwrap();
    assert_eq!(denied[0]["actor"], "operator/vera");
    assert_eq!(denied[0]["outcome"], "denied");
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = installed(dir.path(), 0);
    fleet.controller.stop().unwrap();
    let database = fleet.controller.dir().join("flota.db");
    let statement = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"insert into _sqlx_migrations \
                     (version, description, success, checksum, execution_time) values (9999, 'future', 1, x'00', 0)\"); \
                     c.commit()";
    let inserted = Command::new("python3").args(["-c", statement]).arg(&database).output().unwrap();
    assert!(inserted.status.success(), "{}", String::from_utf8_lossy(&inserted.stderr));
    let error = fleet.controller.restart().unwrap_err().to_string();
    assert!(error.contains("schema 9999") && error.contains("run the newer version"), "{error}");
}

#[test]
fn adding_an_operator_of_a_known_name_leaves_its_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = installed(dir.path(), 0);
    let key = fleet.controller.dir().join("operators/admin/key.pem");
    let before = std::fs::read(&key).unwrap();
    let error = fleet.controller.operator("admin", "viewer").unwrap_err().to_string();
    assert!(error.contains("there is an operator `admin` already"), "{error}");
    assert_eq!(std::fs::read(&key).unwrap(), before);
    fleet.admin.ok(&["token", "list"]).unwrap();
}

#[test]
fn init_does_not_touch_a_folder_that_holds_a_controller() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = installed(dir.path(), 0);
    let key = std::fs::read(fleet.controller.dir().join("ca-key.pem")).unwrap();
    let output = Command::new(bins().path("flota-controller"))
        .args(["init", "--name", "x", "--ek-roots", "/dev/null", "--data-dir"])
        .arg(fleet.controller.dir())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds a controller already"));
    assert_eq!(std::fs::read(fleet.controller.dir().join("ca-key.pem")).unwrap(), key);
}
