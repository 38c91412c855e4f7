//! Evidence for another challenge, another host or another connection: cases 31 to 35, 57 and 58.

use flota_proto::v1;
use flota_proto::v1::agent_message::Body as Up;
use flota_proto::v1::controller_message::Body as Down;
use flota_tests::client::evidence;

use super::{assert_fails, assert_passes, enrolled, ground};

const CHANNEL: &str = "quote_qualifying_data";

#[tokio::test(flavor = "multi_thread")]
async fn case_31_a_quote_over_an_earlier_nonce_fails() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    let earlier = session.challenge().await.unwrap();
    assert_passes(&session.judge(evidence(&host.tpm, &session.bound, &earlier).unwrap()).await.unwrap());

    let challenge = session.challenge().await.unwrap();
    assert_ne!(challenge.nonce, earlier.nonce);
    let stale = v1::Challenge { nonce: earlier.nonce, ..challenge };
    let verdict = session.judge(evidence(&host.tpm, &session.bound, &stale).unwrap()).await.unwrap();
    assert_fails(&ground, &host, &verdict, CHANNEL);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_32_a_quote_over_another_hosts_nonce_fails() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (host, other) = (enrolled(&ground, 0).await, enrolled(&ground, 1).await);
    let (mut session, mut others) = (host.connect(&ground).await, other.connect(&ground).await);
    let (mine, theirs) = (session.challenge().await.unwrap(), others.challenge().await.unwrap());
    let crossed = v1::Challenge { nonce: theirs.nonce.clone(), ..mine };
    let verdict = session.judge(evidence(&host.tpm, &session.bound, &crossed).unwrap()).await.unwrap();
    assert_fails(&ground, &host, &verdict, CHANNEL);
    assert_passes(&others.judge(evidence(&other.tpm, &others.bound, &theirs).unwrap()).await.unwrap());
}

/// Under the id of another host's challenge, evidence is for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn case_32_another_hosts_challenge_is_not_answered_by_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (host, other) = (enrolled(&ground, 0).await, enrolled(&ground, 1).await);
    let (mut session, mut others) = (host.connect(&ground).await, other.connect(&ground).await);
    let (mine, theirs) = (session.challenge().await.unwrap(), others.challenge().await.unwrap());
    let astray = evidence(&host.tpm, &session.bound, &theirs).unwrap();
    session.send(Up::Evidence(astray)).await.unwrap();
    assert_passes(&session.judge(evidence(&host.tpm, &session.bound, &mine).unwrap()).await.unwrap());
    assert_passes(&others.judge(evidence(&other.tpm, &others.bound, &theirs).unwrap()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn case_33_a_quote_over_an_empty_nonce_fails() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    let empty = v1::Challenge { nonce: Vec::new(), ..session.challenge().await.unwrap() };
    let verdict = session.judge(evidence(&host.tpm, &session.bound, &empty).unwrap()).await.unwrap();
    assert_fails(&ground, &host, &verdict, CHANNEL);
}

/// Genuine, signed, of this host, of this connection: and of yesterday.
#[tokio::test(flavor = "multi_thread")]
async fn case_34_yesterdays_evidence_under_todays_challenge_fails() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    let yesterday = session.challenge().await.unwrap();
    let passed = evidence(&host.tpm, &session.bound, &yesterday).unwrap();
    assert_passes(&session.judge(passed.clone()).await.unwrap());

    let today = session.challenge().await.unwrap();
    let replayed = v1::Evidence { challenge_id: today.id, ..passed };
    let verdict = session.judge(replayed).await.unwrap();
    assert_fails(&ground, &host, &verdict, CHANNEL);
    let still = verdict.reasons.iter().any(|reason| reason.starts_with("quote_clock_not_advanced"));
    assert!(still, "the clock gives it away as well: {verdict:?}");
}

/// A challenge is answered once; what comes after is ignored, and does not harm the host whose evidence was copied.
#[tokio::test(flavor = "multi_thread")]
async fn case_35_evidence_that_is_submitted_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    let challenge = session.challenge().await.unwrap();
    let passed = evidence(&host.tpm, &session.bound, &challenge).unwrap();
    session.send(Up::Evidence(passed.clone())).await.unwrap();
    session.send(Up::Evidence(passed.clone())).await.unwrap();
    // Answered after both.
    let report = v1::UpdateReport { sequence: 1, phase: "offered".to_owned(), ..v1::UpdateReport::default() };
    session.send(Up::Update(report)).await.unwrap();
    let mut verdicts = 0;
    loop {
        match session.next().await.unwrap() {
            Down::Verdict(verdict) => {
                assert_passes(&verdict);
                verdicts += 1;
            }
            Down::Ack(v1::Ack { sequence: 1 }) => break,
            _ => {}
        }
    }
    assert_eq!(verdicts, 1);
    assert_eq!(ground.trust(&host.name).unwrap(), "trusted");
    assert_eq!(ground.audit("host.attest").unwrap().len(), 1);
}

/// A relay: the host answers on the connection that it believes to have, and somebody carries the answer over to his own
/// (CVE-2026-33697). The certificate's key is used by the relay as well here, which is the best that it could do.
#[tokio::test(flavor = "multi_thread")]
async fn case_57_evidence_for_one_connection_fails_on_another() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let honest = host.connect(&ground).await;
    let mut relay = host.connect(&ground).await;
    assert_ne!(honest.bound.exporter, relay.bound.exporter);
    assert_eq!(honest.bound.certificate_sha256, relay.bound.certificate_sha256);
    let challenge = relay.challenge().await.unwrap();
    let verdict = relay.judge(evidence(&host.tpm, &honest.bound, &challenge).unwrap()).await.unwrap();
    assert_fails(&ground, &host, &verdict, CHANNEL);
}

/// Whoever holds the certificate and key of one host cannot have another TPM speak for it.
#[tokio::test(flavor = "multi_thread")]
async fn case_58_the_evidence_of_another_host_fails_under_this_ones_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (host, other) = (enrolled(&ground, 0).await, enrolled(&ground, 1).await);
    let mut session = host.connect(&ground).await;
    let challenge = session.challenge().await.unwrap();
    let verdict = session.judge(evidence(&other.tpm, &session.bound, &challenge).unwrap()).await.unwrap();
    assert_fails(&ground, &host, &verdict, "quote_signature:");
    assert_eq!(verdict.reasons.len(), 1, "before the signature holds, no other reason means anything: {verdict:?}");
    assert_ne!(ground.trust(&other.name).unwrap(), "untrusted", "the other host has done nothing");
}
