//! Hosts that a person must let in.

use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::controller_message::Body as Down;

use super::controller::Controller;
use super::host::Host;

const WAITS: &str = "flota enrolment approve fra-bot-07";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_host_waits_for_a_person_says_so_and_stays_connected() {
    let host = Host::with_tpm();
    let controller = Controller::start(host.ek_roots()).await;
    host.set_up(&controller, "", "");
    controller.script().status = "pending_approval";
    let enrolled = host.enroll();
    assert_eq!((enrolled.code, &enrolled.json()["status"]), (0, &"pending_approval".into()), "{}", enrolled.stderr);
    assert!(enrolled.json()["hint"].as_str().unwrap().contains(WAITS), "{}", enrolled.stdout);

    let mut daemon = host.start();
    let mut session = controller.welcomed().await;
    daemon.says(WAITS);
    session.send(Down::Ping(v1::Ping { id: "p".into() })).await;
    assert!(matches!(session.next().await, Up::Pong(_)));
    assert_eq!((daemon.said(WAITS), controller.script().connects), (1, 1));

    // Let in, it is asked something.
    session.quote(&controller.keys(), &[]).await;
    daemon.says("a person has let this host in");
    drop(session);
    controller.welcomed().await;
    daemon.says("session with the controller");
    drop(daemon);
    let mut daemon = host.start();
    controller.welcomed().await;
    daemon.says("session with the controller");
    assert_eq!(daemon.said(WAITS), 0);
}
