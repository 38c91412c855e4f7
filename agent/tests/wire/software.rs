//! Hosts without a TPM.

use flota_proto::v1;
use flota_proto::v1::controller_message::Body as Down;
use flota_seal::binding;

use super::ca::Life;
use super::controller::{Controller, Fate};
use super::host::{Host, TOKEN, mode};

async fn without_tpm() -> (Host, Controller) {
    let host = Host::without_tpm();
    let controller = Controller::start(String::new()).await;
    host.set_up(&controller, "mode = \"none\"", "");
    (host, controller)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_without_a_tpm_enrols_with_a_key_in_a_file() {
    let (host, controller) = without_tpm().await;
    let enrolled = host.enroll();
    assert_eq!((enrolled.code, &enrolled.json()["status"]), (0, &"enrolled".into()), "{}", enrolled.stderr);
    let key = std::fs::read_to_string(host.state("tls-key.pem")).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8");
    assert_eq!(mode(&host.state("tls-key.pem")), 0o600);
    let (request, exporter) = controller.script().software[0].clone();
    assert_eq!((request.protocol, request.token_id.as_str()), (1, "0123456789ab"));
    let token_key = binding::token_key(TOKEN);
    let mac = binding::software_enrol_mac(&token_key, "0123456789ab", &request.csr, &request.agent_version, &exporter);
    assert_eq!(request.token_mac, mac);
    assert!(controller.script().begins.is_empty());

    // A second token is for the same key: the host keeps its id.
    assert_eq!(host.enroll().code, 0);
    assert_eq!(std::fs::read_to_string(host.state("tls-key.pem")).unwrap(), key);
    let status = host.run(&["status", "--config", "agent.toml"]);
    assert!(
        status.stdout.lines().any(|line| line.starts_with("key ") && line.ends_with("file (no TPM)")),
        "{}",
        status.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_session_uses_that_key_and_a_challenge_is_answered_with_the_reason() {
    let (host, controller) = without_tpm().await;
    assert_eq!(host.enroll().code, 0);
    let mut daemon = host.start();
    let mut session = controller.welcomed().await;
    daemon.says("key: file (no TPM)");
    let (evidence, _) = session.challenge(&[]).await;
    assert_eq!(
        evidence,
        v1::Evidence {
            challenge_id: "challenge-1".into(),
            failure: "this host has no TPM".into(),
            ..v1::Evidence::default()
        }
    );
    let csr = controller.script().software[0].0.csr.clone();
    let certificate = controller.ca.client(&csr, Life::Day);
    session.send(Down::Renewed(v1::RenewResponse { certificate: certificate.clone(), refusal: String::new() })).await;
    session.challenge(&[]).await;
    drop(session);
    assert_eq!(controller.welcomed().await.peer.certificate.unwrap().as_ref(), certificate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_comes_back_with_a_token_alone() {
    let (host, controller) = without_tpm().await;
    let refused = host.run(&["enroll", "--config", "agent.toml"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.contains("comes back with a new token alone"), "{}", refused.stderr);

    controller.script().life = Life::Over;
    assert_eq!(host.enroll().code, 0);
    let mut daemon = host.start();
    daemon.says("this host cannot come back by itself");
    assert_eq!(controller.script().software.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_that_is_gone_or_open_to_others_is_neither_replaced_nor_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let (host, controller) = without_tpm().await;
    assert_eq!(host.enroll().code, 0);
    let path = host.state("tls-key.pem");
    let says = |part: &str| {
        let ended = host.run(&["run", "--config", "agent.toml"]);
        assert!(ended.code == 1 && ended.stderr.contains(part), "{}", ended.stderr);
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    says("is open to other users");
    std::fs::remove_file(&path).unwrap();
    says("there is no TLS key");
    std::fs::write(&path, "no key").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    says("is not a P-256 key");
    assert_eq!(controller.script().connects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_answer_is_not_asked_for_again() {
    let (host, controller) = without_tpm().await;
    controller.script().finish_fate.push_back(Fate::Lost);
    let lost = host.enroll();
    assert!(lost.code == 1 && lost.stderr.contains("with a new token if this one was used"), "{}", lost.stderr);
    assert_eq!(controller.script().software.len(), 1);
}
