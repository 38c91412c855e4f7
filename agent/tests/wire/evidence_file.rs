//! Evidence that a host makes of itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_seal::binding::evidence_qualifying;
use flota_seal::json::Json;
use serde_json::Value;

use super::controller::Controller;
use super::host::{Host, mode};
use super::judge::Keys;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_host_says_of_itself_is_ok_and_its_quote_is_genuine() {
    let host = Host::with_tpm();
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, "", "");
    let config = ["--config", "agent.toml"];
    let export =
        [&["export-tpm-evidence", "--output", "evidence.json", "--nonce", "00FF", "--expires-in", "2h"], &config[..]];
    let written = host.run(&export.concat());
    assert_eq!(written.code, 0, "{}", written.stderr);
    let answer = written.json();
    assert_eq!((&answer["status"], &answer["nonce"]), (&"ok".into(), &"00ff".into()));
    assert_eq!((mode(&host.state("evidence-key")), mode(&host.root().join("evidence.json"))), (0o600, 0o644));

    let entry = host.run(&[&["export-tpm-evidence", "--public-key"], &config[..]].concat());
    assert_eq!(
        entry.json().as_object().unwrap().keys().collect::<Vec<_>>(),
        [answer["signature_key"].as_str().unwrap()]
    );
    std::fs::write(host.root().join("keyring.json"), &entry.stdout).unwrap();

    let fingerprint = answer["fingerprint"].as_str().unwrap();
    let check = |expected: &str| {
        let keyring = ["--keyring", "keyring.json", "--expected-fingerprint", expected];
        host.run(&[&["check-tpm-status", "evidence.json"], &keyring[..]].concat())
    };
    let checked = check(fingerprint);
    assert_eq!((checked.code, &checked.json()["status"]), (0, &Value::from("ok")), "{}", checked.stdout);
    assert_eq!(checked.json()["secure_enclave"], "tpm2");
    assert_eq!(check(&fingerprint[..16]).code, 1, "the whole fingerprint");

    // Whoever knows the host's keys checks the quote as well.
    let file = Json::parse(&std::fs::read(host.root().join("evidence.json")).unwrap()).unwrap();
    let mut payload = file.member("payload").unwrap().as_object().unwrap().clone();
    let proof = payload.remove("tpm").unwrap();
    let bytes = |value: &Json| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let member = |name: &str| bytes(proof.member(name).unwrap());
    let values = proof.member("pcr_values").unwrap().as_object().unwrap();
    let mut values: Vec<(u8, [u8; 32])> =
        values.iter().map(|(index, value)| (index.parse().unwrap(), bytes(value).try_into().unwrap())).collect();
    values.sort_unstable();
    assert_eq!(values.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
    let keys = Keys::parse(&member("ek_public"), &member("ak_public"), None);
    let qualifying = evidence_qualifying(&Json::from(payload).canonical());
    keys.quotes((&member("attest"), &member("signature")), &values, qualifying);
    assert_eq!(fingerprint, flota_model::Digest::of(keys.ek.spki_der()).to_string(), "as the controller computes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_kind_of_endorsement_key_has_its_own_fingerprint() {
    let host = Host::with_tpm();
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, "endorsement_key = \"p384\"", "");
    let written = host.run(&["tpm-evidence", "--config", "agent.toml", "--output", "evidence.json"]);
    assert_eq!(written.code, 0, "{}", written.stderr);
    let file: Value = serde_json::from_slice(&std::fs::read(host.root().join("evidence.json")).unwrap()).unwrap();
    let member = |name: &str| STANDARD.decode(file["payload"]["tpm"][name].as_str().unwrap()).unwrap();
    let keys = Keys::parse(&member("ek_public"), &member("ak_public"), None);
    assert_eq!(written.json()["fingerprint"], flota_model::Digest::of(keys.ek.spki_der()).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_without_a_tpm_makes_no_evidence() {
    let host = Host::without_tpm();
    let controller = Controller::start(String::new()).await;
    host.set_up(&controller, "mode = \"none\"", "");
    for arguments in [["--output", "evidence.json"].as_slice(), &["--public-key"]] {
        let refused = host.run(&[&["export-tpm-evidence", "--config", "agent.toml"], arguments].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
        assert!(refused.stderr.contains("this host has no TPM"), "{}", refused.stderr);
    }
}
