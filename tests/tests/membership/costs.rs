//! What a host may cost the controller.

use std::time::Duration;

use flota_model::Digest;
use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_tests::client::{FleetSession, certificate_request};
use flota_tests::wait;

use super::{code, enrolled, ground, put};

const BOUND: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_uploads_so_much_a_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 1);
    ground.controller.configure("upload_mib_per_host_and_day = 1").unwrap();
    let host = enrolled(&ground, 0).await;
    let send = |fill: u8, length: usize| {
        let data = vec![fill; length];
        let channel = host.channel.clone();
        async move { put(&channel, &Digest::of(&data).to_string(), u64::try_from(length).unwrap(), &data).await }
    };
    send(1, 700_000).await.unwrap();
    let refused = send(2, 700_000).await.unwrap_err();
    assert_eq!(code(&refused), "FLT-0501", "{refused:?}");
    send(3, 300_000).await.unwrap();
    // More than was announced does not help.
    let data = vec![4; 700_000];
    let sly = put(&host.channel, &Digest::of(&data).to_string(), 10, &data).await.unwrap_err();
    assert_eq!(code(&sly), "FLT-0501", "{sly:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_fills_the_audit_log_is_not_heard() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = FleetSession::connect(&ground.controller, &host.member, &host.tpm).await.unwrap();
    assert_eq!(session.attest(&host.tpm).await.unwrap().verdict, "pass");
    let csr = certificate_request(&host.tpm).unwrap();
    let sender = async {
        // The session ends in the middle of it.
        for _ in 0..1000 {
            if session.send(Up::Renew(v1::RenewRequest { csr: csr.clone() })).await.is_err() {
                break;
            }
        }
        session.end().await.unwrap().unwrap()
    };
    let end = sender.await;
    assert_eq!(code(&end), "FLT-0501", "{end:?}");
    let renewals = ground.admin.items(&["audit", "list", "--action", "host.renew", "--limit", "1000"]).unwrap();
    assert!((200..=240).contains(&renewals.len()), "{}", renewals.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_takes_nothing_of_what_is_sent_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = FleetSession::connect(&ground.controller, &host.member, &host.tpm).await.unwrap();
    assert_eq!(session.attest(&host.tpm).await.unwrap().verdict, "pass");
    // From here on it reads nothing; it says that it is alive, and is given more and more to do.
    let reason = "x".repeat(500);
    let connected = || {
        let hosts = ground.hosts().unwrap();
        hosts[0]["liveness"] == "connected"
    };
    assert!(connected());
    let session = std::sync::Arc::new(session);
    let alive = std::sync::Arc::clone(&session);
    let heart = tokio::spawn(async move {
        while alive.send(Up::Heartbeat(v1::Heartbeat {})).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut given = 0;
    wait::until("the host to be let go", BOUND, || {
        for _ in 0..10 {
            ground.admin.run(&["export", "run", "host-0", "--reason", &reason, "--no-wait"])?;
            given += 1;
        }
        Ok((!connected()).then_some(()))
    })
    .unwrap();
    heart.abort();
    assert!(given < 1000, "{given}");
    let log = ground.controller.process().output();
    assert!(log.contains("the host does not keep up"), "{log}");
}
