//! Hosts whose certificate is worth nothing any more.

use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::controller_message::Body as Down;

use super::ca::Life;
use super::controller::{Controller, Fate};
use super::host::Host;

async fn enrolled(life: Life) -> (Host, Controller) {
    let host = Host::with_tpm();
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, "", "");
    controller.script().life = life;
    let enrolled = host.enroll();
    assert_eq!(enrolled.code, 0, "{}", enrolled.stderr);
    controller.script().life = Life::Day;
    (host, controller)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_that_was_away_for_too_long_comes_back_by_itself() {
    let (host, controller) = enrolled(Life::Over).await;
    let mut daemon = host.start();
    let mut session = controller.welcomed().await;
    daemon.says("enrolling again with its TPM, without a token");
    daemon.says("this host has come back and has a new certificate");
    let begins = controller.script().begins.clone();
    assert_eq!(begins.len(), 2);
    assert_eq!((begins[1].token_id.as_str(), &begins[1].token_mac[..]), ("", &[][..]));
    assert_eq!((&begins[1].ak_public, &begins[1].tls_public), (&begins[0].ak_public, &begins[0].tls_public));
    session.quote(&controller.keys(), &[]).await;

    // It is kept: the next start needs no more than that.
    drop(daemon);
    let _daemon = host.start();
    controller.welcomed().await;
    assert_eq!(controller.script().begins.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_whose_certificate_is_not_known_comes_back_and_not_again_at_once() {
    let (host, controller) = enrolled(Life::Day).await;
    controller.script().connect_fate.extend([Fate::Refused("FLT-0201"); 3]);
    let mut daemon = host.start();
    controller.welcomed().await;
    for _ in 0..3 {
        daemon.says("no session with the controller");
    }
    assert_eq!(daemon.said("has come back"), 1, "{:#?}", daemon.seen);
    let script = controller.script();
    assert_eq!((script.begins.len(), script.connects), (2, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_that_may_not_come_back_says_so_and_goes_on_trying_to_connect() {
    let (host, controller) = enrolled(Life::Day).await;
    controller.script().connect_fate.extend([Fate::Refused("FLT-0201"); 2]);
    controller.script().begin_fate.push_back(Fate::Refused("FLT-0401"));
    let mut daemon = host.start();
    daemon.says("this host cannot come back by itself");
    assert!(daemon.seen.last().unwrap().contains("FLT-0401"), "{:?}", daemon.seen);
    // A person has let it in again.
    controller.welcomed().await;
    daemon.says("session with the controller");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_refusals_and_sessions_that_end_are_no_reason_to_enrol() {
    let (host, controller) = enrolled(Life::Day).await;
    controller.script().connect_fate.extend([Fate::Refused("FLT-0601"), Fate::Lost]);
    let mut daemon = host.start();
    controller.welcomed().await.refuse("FLT-0201").await;
    drop(controller.welcomed().await);
    controller.welcomed().await;
    daemon.says("no session with the controller");
    assert_eq!(controller.script().begins.len(), 1);
    assert_eq!(daemon.said("enrolling again"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_that_lost_its_keys_comes_back_with_new_ones_of_the_same_tpm() {
    let (host, controller) = enrolled(Life::Day).await;
    std::fs::remove_file(host.state("tpm-keys.json")).unwrap();
    let mut daemon = host.start();
    let mut session = controller.welcomed().await;
    daemon.says("the certificate of this host is not of its key");
    daemon.says("this host has come back");
    session.quote(&controller.keys(), &[]).await;
    let begins = controller.script().begins.clone();
    assert_eq!(begins[1].ek_public, begins[0].ek_public);
    assert_ne!(begins[1].tls_public, begins[0].tls_public);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_renewed_certificate_is_over_the_same_key_and_used_for_the_next_session() {
    let (host, controller) = enrolled(Life::Day).await;
    let _daemon = host.start();
    let mut session = controller.welcomed().await;
    let first = session.peer.certificate.clone().unwrap();
    // As if the agent had asked: what comes is taken whenever it comes.
    let csr = controller.script().begins[0].csr.clone();
    let certificate = controller.ca.client(&csr, Life::Day);
    session.send(Down::Renewed(v1::RenewResponse { certificate: certificate.clone(), refusal: String::new() })).await;
    session.send(Down::Ping(v1::Ping { id: "p".into() })).await;
    assert!(matches!(session.next().await, Up::Pong(_)));
    drop(session);
    let next = controller.welcomed().await.peer.certificate.unwrap();
    assert!(next.as_ref() == certificate && next != first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_whose_certificate_is_refused_in_the_handshake_comes_back() {
    let (host, _) = enrolled(Life::Day).await;
    // The controller with another CA, as after a disaster.
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, "", "");
    let mut daemon = host.start();
    daemon.says("this host has come back");
    controller.welcomed().await;
}
