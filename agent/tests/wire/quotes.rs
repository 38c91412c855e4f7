//! What stands beside a quote: the boot log, the claims, the verdict.

use std::fs;

use flota_proto::v1;
use flota_proto::v1::controller_message::Body as Down;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::controller::{BOUND, Controller, Session};
use super::host::{Daemon, Host};
use super::judge::Keys;

async fn member(host: &Host, tpm: &str, more: &str) -> (Controller, Daemon, Session) {
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, tpm, more);
    let enrolled = host.enroll();
    assert_eq!(enrolled.code, 0, "{}", enrolled.stderr);
    let daemon = host.start();
    let session = controller.welcomed().await;
    (controller, daemon, session)
}

fn claims(evidence: &v1::Evidence) -> Value {
    serde_json::from_slice(&evidence.claims).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_boot_log_is_read_once_and_sent_to_whoever_does_not_know_it() {
    let host = Host::with_tpm();
    let log = host.root().join("boot.log");
    fs::write(&log, b"as the firmware left it").unwrap();
    let (controller, mut daemon, mut session) = member(&host, "boot_log = \"boot.log\"", "").await;
    let keys = controller.keys();
    fs::write(&log, b"grown since").unwrap();
    assert_eq!(session.quote(&keys, &[]).await.boot_log, b"as the firmware left it");
    assert_eq!(session.quote(&keys, &[7; 32]).await.boot_log, b"as the firmware left it");
    let known = Sha256::digest(b"as the firmware left it");
    assert_eq!(session.quote(&keys, &known).await.boot_log, b"");
    daemon.says("session with the controller");
    assert!(daemon.said("agent runs; key: TPM") == 1 && daemon.said("boot log") == 0, "{:#?}", daemon.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_longest_boot_log_fits_and_a_longer_one_is_told_once() {
    let host = Host::with_tpm();
    fs::write(host.root().join("boot.log"), vec![1; 1 << 20]).unwrap();
    let (controller, daemon, mut session) = member(&host, "boot_log = \"boot.log\"", "").await;
    assert_eq!(session.quote(&controller.keys(), &[]).await.boot_log.len(), 1 << 20);
    drop((session, daemon));

    fs::write(host.root().join("boot.log"), vec![1; (1 << 20) + 1]).unwrap();
    let mut daemon = host.start();
    let mut session = controller.welcomed().await;
    for _ in 0..2 {
        assert_eq!(session.quote(&controller.keys(), &[]).await.boot_log, b"");
    }
    daemon.says("session with the controller");
    assert_eq!(daemon.said("has more than 1048576 bytes"), 1, "{:#?}", daemon.seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_without_log_and_licence_claims_just_that() {
    let host = Host::with_tpm();
    let (controller, _daemon, mut session) = member(&host, "boot_log = \"no-such-log\"", "").await;
    let evidence = session.quote(&controller.keys(), &[7; 32]).await;
    assert_eq!(evidence.boot_log, b"");
    let text = r#"{"generation":null,"oem":{"evidence":"","licence":""},"phase":"committed","running":null}"#;
    assert_eq!(String::from_utf8(evidence.claims).unwrap(), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_say_how_evidence_and_licence_stand() {
    let host = Host::with_tpm();
    let oem = "[oem]\nevidence_file = \"evidence.json\"\nkeyring = \"keyring.json\"\nlicence_file = \"license.json\"\n\
               check_interval_seconds = 1\n";
    let (controller, mut daemon, mut session) = member(&host, "", oem).await;
    let keys = controller.keys();
    let both_missing = session.quote(&keys, &[]).await;
    assert_eq!(claims(&both_missing)["oem"], json!({"evidence": "missing", "licence": "missing"}));

    let config = ["--config", "agent.toml"];
    let entry = host.run(&[&["export-tpm-evidence", "--public-key"], &config[..]].concat());
    fs::write(host.root().join("keyring.json"), &entry.stdout).unwrap();
    let written = host.run(&[&["export-tpm-evidence", "--output", "evidence.json"], &config[..]].concat());
    assert_eq!(written.code, 0, "{}", written.stderr);
    until(&mut session, &keys, "evidence", "ok").await;

    fs::write(host.root().join("license.json"), "{}").unwrap();
    until(&mut session, &keys, "licence", "invalid").await;
    fs::remove_file(host.root().join("evidence.json")).unwrap();
    until(&mut session, &keys, "evidence", "missing").await;
    daemon.says("license.format.unknown");
}

/// Asks for quotes until the claims have that word.
async fn until(session: &mut Session, keys: &Keys, part: &str, word: &str) {
    let asking = async { while claims(&session.quote(keys, &[]).await)["oem"][part] != word {} };
    tokio::time::timeout(BOUND, asking).await.unwrap_or_else(|_| panic!("{part} is never {word}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failure_is_told_once_with_its_reasons_and_the_lease_with_each_change() {
    let host = Host::with_tpm();
    let (_controller, mut daemon, mut session) = member(&host, "", "").await;
    let verdict = |kind: &str, trust: &str, reason: &str, lease: &str| {
        Down::Verdict(v1::Verdict {
            verdict: kind.into(),
            trust: trust.into(),
            reasons: Some(reason.to_owned()).filter(|reason| !reason.is_empty()).into_iter().collect(),
            lease_until: lease.into(),
            ..v1::Verdict::default()
        })
    };
    let fail = || verdict("fail", "drifted", "pcr_drift: PCR 7 is another", "");
    for verdict in [fail(), fail(), fail(), verdict("pass", "trusted", "", "2026-07-23T12:00:00Z"), fail()] {
        session.send(verdict).await;
    }
    daemon.says("attestation failed");
    assert!(daemon.seen.last().unwrap().contains("pcr_drift: PCR 7 is another"), "{:?}", daemon.seen);
    daemon.says("2026-07-23T12:00:00Z");
    assert!(daemon.seen.last().unwrap().contains("trusted"), "{:?}", daemon.seen);
    assert_eq!(daemon.said("attestation failed"), 1);
    daemon.says("attestation failed");
}
