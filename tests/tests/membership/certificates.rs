//! Certificates of members: over which key, by whom they are renewed, and when they end.

use std::time::Duration;

use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::blobs_client::BlobsClient;
use flota_proto::v1::controller_message::Body as Down;
use flota_tests::ShiftedClock;
use flota_tests::client::{FleetSession, certificate_request, enrol, fleet_channel};
use rcgen::{CertificateParams, KeyPair};
use tonic::Status;
use tonic::transport::Channel;

use super::{code, enrolled, ground};

/// Anything that a host may ask.
async fn ask(channel: &Channel) -> Result<(), Status> {
    let digest = "0".repeat(64);
    BlobsClient::new(channel.clone()).stat(v1::StatBlobRequest { digest }).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_over_a_key_that_the_host_had_before_is_worth_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    ask(&host.channel).await.unwrap();
    let mut session = FleetSession::connect(&ground.controller, &host.member, &host.tpm).await.unwrap();
    session.attest(&host.tpm).await.unwrap();
    let (former, open) = (host.member.clone(), host.channel.clone());
    drop(host);

    // The same TPM comes back with new keys, as after an installation anew.
    let tpm = ground.open_set(0, "second").unwrap();
    let member = enrol(&ground.controller, &tpm, "").await.unwrap();
    assert_eq!(member.host_id, former.host_id);
    let end = session.end().await.unwrap().unwrap();
    assert!(end.message().contains("enrolled again"), "{end:?}");
    let refused = ask(&open).await.unwrap_err();
    assert_eq!(code(&refused), "FLT-0201", "on a connection that was open: {refused:?}");
    let channel = fleet_channel(&ground.controller, &member, &tpm).await.unwrap();
    ask(&channel).await.unwrap();
    drop((tpm, channel));
    let tpm = ground.open(0).unwrap();
    let refused = ask(&fleet_channel(&ground.controller, &former, &tpm).await.unwrap()).await.unwrap_err();
    assert_eq!(code(&refused), "FLT-0201", "on a new one: {refused:?}");
}

async fn renewed(session: &mut FleetSession, csr: Vec<u8>) -> v1::RenewResponse {
    session.send(Up::Renew(v1::RenewRequest { csr })).await.unwrap();
    loop {
        if let Down::Renewed(answer) = session.next().await.unwrap() {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_for_the_same_key_after_a_pass() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = FleetSession::connect(&ground.controller, &host.member, &host.tpm).await.unwrap();
    let own = certificate_request(&host.tpm).unwrap();
    let early = renewed(&mut session, own.clone()).await;
    assert!(early.certificate.is_empty() && early.refusal.contains("only after a quote that passed"), "{early:?}");

    drop(session);
    let mut session = FleetSession::connect(&ground.controller, &host.member, &host.tpm).await.unwrap();
    assert_eq!(session.attest(&host.tpm).await.unwrap().verdict, "pass");
    let another = KeyPair::generate().unwrap();
    let foreign = CertificateParams::default().serialize_request(&another).unwrap().der().to_vec();
    let refused = renewed(&mut session, foreign).await;
    assert!(refused.certificate.is_empty() && refused.refusal.contains("keeps the key"), "{refused:?}");
    let nonsense = renewed(&mut session, b"no request".to_vec()).await;
    assert!(nonsense.certificate.is_empty() && !nonsense.refusal.is_empty(), "{nonsense:?}");

    let certificate = renewed(&mut session, own).await.certificate;
    assert_ne!(certificate, host.member.certificate);
    let member = flota_tests::client::Member { certificate, ..host.member };
    ask(&fleet_channel(&ground.controller, &member, &host.tpm).await.unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_ends_on_a_connection_that_is_open() {
    /// Of a host's certificate.
    const LIFETIME: Duration = Duration::from_hours(24);
    /// What is left of it when the session begins.
    const LEFT: Duration = Duration::from_secs(20);
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 1);
    let clock = ShiftedClock::new(&dir.path().join("clock")).unwrap();
    ground.controller.restart_with_clock(&clock).unwrap();
    let host = enrolled(&ground, 0).await;
    ask(&host.channel).await.unwrap();
    clock.set_ahead(LIFETIME.saturating_sub(LEFT)).unwrap();
    let mut session = FleetSession::connect(&ground.controller, &host.member, &host.tpm).await.unwrap();
    session.attest(&host.tpm).await.unwrap();
    let end = loop {
        match session.next().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let end = end.downcast::<Status>().unwrap();
    assert_eq!(code(&end), "FLT-0201", "{end:?}");
    assert!(end.message().contains("the client certificate has ended"), "{end:?}");

    clock.set_ahead(LIFETIME + LEFT).unwrap();
    let refused = ask(&host.channel).await.unwrap_err();
    assert_eq!(code(&refused), "FLT-0201", "{refused:?}");
    assert!(refused.message().contains("has expired on this connection"), "{refused:?}");
}
