//! M1 to M4, and what becomes of a lost answer.

use flota_seal::binding;
use serde_json::Value;

use super::controller::{Controller, Fate, begin_fields};
use super::host::{Host, TOKEN, mode};

async fn with_tpm(tpm: &str) -> (Host, Controller) {
    let host = Host::with_tpm();
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, tpm, "");
    (host, controller)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_with_a_token_becomes_a_member() {
    let (host, controller) = with_tpm("").await;
    let enrolled = host.enroll();
    assert_eq!(enrolled.code, 0, "{}", enrolled.stderr);
    let answer = enrolled.json();
    assert_eq!((&answer["status"], &answer["host_name"]), (&"enrolled".into(), &"fra-bot-07".into()));
    assert_eq!(answer.get("hint"), None);
    assert_eq!(mode(&host.state("identity.json")), 0o600);

    let script = controller.script();
    let [begin] = &script.begins[..] else { panic!("{} begins", script.begins.len()) };
    assert_eq!((begin.protocol, begin.token_id.as_str()), (1, "0123456789ab"));
    assert_eq!(begin.token_mac, begin_fields(begin).mac(&binding::token_key(TOKEN)));
    // The verification of everything else is in the controller's part. This TPM keeps no chain.
    assert!(begin.ek_chain.is_empty());
    assert_eq!(script.finishes.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_kinds_of_keys_can_be_chosen() {
    let (host, controller) = with_tpm("endorsement_key = \"p384\"\nattestation_key = \"rsa2048\"").await;
    let enrolled = host.enroll();
    assert_eq!(enrolled.code, 0, "{}", enrolled.stderr);
    // TPM2B_PUBLIC: size, then TPMI_ALG_PUBLIC, ECC or RSA.
    let begin = controller.script().begins[0].clone();
    assert_eq!((&begin.ek_public[2..4], &begin.ak_public[2..4]), (&[0, 0x23][..], &[0, 0x01][..]));

    host.set_up(&controller, "endorsement_key = \"rsa2048\"", "");
    let other = host.enroll();
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("the settings choose"), "{}", other.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_answer_is_asked_for_again_by_the_same_request_on_the_same_connection() {
    let (host, controller) = with_tpm("").await;
    controller.script().finish_fate.push_back(Fate::Lost);
    let enrolled = host.enroll();
    assert_eq!((enrolled.code, &enrolled.json()["status"]), (0, &"enrolled".into()), "{}", enrolled.stderr);
    let script = controller.script();
    assert_eq!((script.begins.len(), script.finishes.len()), (1, 2));
    assert_eq!(script.finishes[0], script.finishes[1], "request and exporter");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_lost_answer_is_left_to_a_person() {
    let (host, controller) = with_tpm("").await;
    controller.script().finish_fate.extend([Fate::Lost, Fate::Lost]);
    let failed = host.enroll();
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
    assert!(failed.stderr.contains("run flota-agent enroll without it"), "{}", failed.stderr);
    assert_eq!(controller.script().finishes.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_is_an_answer_and_shows_no_token() {
    let (host, controller) = with_tpm("").await;
    controller.script().finish_fate.push_back(Fate::Refused("FLT-0402"));
    let refused = host.enroll();
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("FLT-0402") && !refused.stderr.contains("5ecre7"), "{}", refused.stderr);
    assert_eq!(controller.script().finishes.len(), 1);
    assert!(!host.state("identity.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_known_host_comes_back_without_a_token_and_with_the_same_keys() {
    let (host, controller) = with_tpm("").await;
    assert_eq!(host.enroll().code, 0);
    std::fs::remove_file(host.state("identity.json")).unwrap();
    let back = host.run(&["enroll", "--config", "agent.toml"]);
    assert_eq!((back.code, &back.json()["status"]), (0, &Value::from("enrolled")), "{}", back.stderr);
    assert!(host.state("identity.json").exists());

    controller.script().begin_fate.push_back(Fate::Refused("FLT-0401"));
    let unknown = host.run(&["enroll", "--config", "agent.toml"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stderr.contains("FLT-0401"), "{}", unknown.stderr);

    let begins = controller.script().begins.clone();
    for begin in &begins[1..] {
        assert_eq!((begin.token_id.as_str(), &begin.token_mac[..]), ("", &[][..]));
        assert_eq!((&begin.ak_public, &begin.tls_public), (&begins[0].ak_public, &begins[0].tls_public));
    }
}
