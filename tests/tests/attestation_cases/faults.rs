//! What fails around an attestation: the database, the clock, the agent. Nobody becomes trusted by it, nobody is accused.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flota_tests::{Bins, Fleet, FleetOptions, ShiftedClock, wait};
use serde_json::Value;

const BOUND: Duration = Duration::from_mins(1);
const HOST: &str = "fra-bot-01";

fn fleet(dir: &Path, attest_seconds: u64) -> Fleet {
    let bins = Bins::beside_this_program().unwrap();
    Fleet::start(&bins, dir, FleetOptions { hosts: 1, attest_seconds }).unwrap()
}

fn wait_for(fleet: &Fleet, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    fleet.wait_for(HOST, what, holds).unwrap_or_else(|error| panic!("{error:?}"))
}

fn lease(host: &Value) -> jiff::Timestamp {
    host["lease_until"].as_str().unwrap().parse().unwrap()
}

fn trusted(host: &Value) -> bool {
    host["trust"] == "trusted" && host["liveness"] == "connected"
}

/// Verdicts that were not passes.
fn accusations(fleet: &Fleet) -> Vec<Value> {
    let entries = fleet.admin.items(&["audit", "list", "--limit", "0"]).unwrap();
    entries.into_iter().filter(|entry| entry["action"] == "host.attest" && entry["outcome"] == "fail").collect()
}

/// The write lock of a database, held by another process until this is dropped.
struct WriteLock(Child);

impl WriteLock {
    fn take(database: &Path) -> Self {
        let script = "import sqlite3, sys\n\
                      c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n\
                      c.execute('begin immediate')\n\
                      print('held', flush=True)\n\
                      sys.stdin.readline()\n";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn release(mut self) {
        writeln!(self.0.stdin.take().unwrap()).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn case_71_while_the_database_does_not_answer_nobody_is_trusted_anew() {
    let dir = tempfile::tempdir().unwrap();
    let fleet = fleet(dir.path(), 1);
    let lock = WriteLock::take(&fleet.controller.dir().join("flota.db"));
    let ends = lease(&fleet.listed(HOST).unwrap());
    wait::until("its lease to end", BOUND, || Ok((jiff::Timestamp::now() > ends).then_some(()))).unwrap();
    assert_eq!(lease(&fleet.listed(HOST).unwrap()), ends, "a pass that could not be stored gave no lease");
    let answer = fleet.admin.run(&["attest", "challenge", HOST]).unwrap();
    assert_eq!(answer.code, 7, "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stderr.contains("FLT-0601"), "{}", answer.stderr);
    lock.release();
    wait_for(&fleet, "a pass that is stored", |host| trusted(host) && lease(host) > ends);
    assert_eq!(accusations(&fleet), Vec::<Value>::new());
    fleet.admin.ok(&["audit", "verify"]).unwrap();
}

#[test]
fn case_72_a_jump_of_the_controllers_clock_accuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), 60);
    let clock = ShiftedClock::new(&dir.path().join("clock")).unwrap();
    fleet.controller.restart_with_clock(&clock).unwrap();
    wait_for(&fleet, "its session", trusted);
    let jump = Duration::from_hours(5);
    for (ahead, what) in [(jump, "forward"), (Duration::ZERO, "back")] {
        clock.set_ahead(ahead).unwrap();
        let answer = fleet.admin.run(&["attest", "challenge", HOST]).unwrap();
        assert_eq!(answer.code, 0, "{what}: {}{}", answer.stdout, answer.stderr);
        let host = wait_for(&fleet, "its pass", trusted);
        let present = jiff::Timestamp::now() + jiff::SignedDuration::try_from(ahead).unwrap();
        let lease = lease(&host).duration_since(present);
        assert!(
            lease.is_positive() && lease.as_mins() < 10,
            "{what}: a lease of {lease:#}, by the clock of the verdict"
        );
    }
    assert_eq!(accusations(&fleet), Vec::<Value>::new());
}

#[test]
fn case_73_an_agent_killed_between_challenge_and_evidence_is_asked_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut fleet = fleet(dir.path(), 60);
    fleet.hosts[0].agent().unwrap().freeze().unwrap();
    let answer = std::thread::scope(|scope| {
        let asking = scope.spawn(|| fleet.admin.run(&["attest", "challenge", HOST]).unwrap());
        wait::until("the challenge to be on its way", BOUND, || {
            let entries = fleet.admin.items(&["audit", "list", "--limit", "0"])?;
            Ok(entries.iter().any(|entry| entry["action"] == "attest.challenge").then_some(()))
        })
        .unwrap();
        // SIGKILL reaches a frozen process too.
        fleet.hosts[0].kill_agent().unwrap();
        asking.join().unwrap()
    });
    assert_ne!(answer.code, 0, "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stdout.contains("silent"), "{}", answer.stdout);
    fleet.start_agents().unwrap();
    wait_for(&fleet, "its session", trusted);
    fleet.admin.ok(&["attest", "challenge", HOST]).unwrap();
    assert_eq!(accusations(&fleet), Vec::<Value>::new());
}
