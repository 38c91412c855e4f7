//! Sessions that are tried again, too late, from elsewhere, or all at once.

use std::collections::HashSet;
use std::time::Duration;

use flota_tests::ShiftedClock;
use flota_tests::client::{EnrolmentConnection, enrol};
use tokio::task::JoinSet;

use super::{Begun, assert_answer, assert_refused, ground, guess};

/// Time between the two calls of an enrolment.
const TTL: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn case_15_a_wrong_proof_is_not_followed_by_a_better_one() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let mut begun = Begun::honest(&ground, &tpm, "a").await;
    let right = begun.prove(&tpm);
    let mut wrong = right.clone();
    wrong.proof[0] ^= 1;

    let refused = begun.finish(wrong).await.unwrap_err();
    let (secret, proof) = (begun.secret(&tpm), right.proof.clone());
    let said = format!("{refused:?}").to_lowercase();
    for hidden in [hex::encode(secret), hex::encode(&proof), format!("{proof:?}")] {
        assert!(!said.contains(&hidden), "CVE-2023-38201: {said}");
    }
    assert_refused(&ground, Err::<(), _>(refused), "FLT-0402", "proof: the credential was not activated by this TPM");
    let outcome = begun.finish(right).await;
    assert_refused(&ground, outcome, "FLT-0402", "this enrolment is unknown, over, or took too long");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_15_a_proof_of_the_wrong_length_or_of_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    for (name, proof) in [("a", vec![]), ("b", vec![0; 31]), ("c", vec![0; 33])] {
        let mut begun = Begun::honest(&ground, &tpm, name).await;
        let mut finish = begun.prove(&tpm);
        finish.proof = proof;
        let outcome = begun.finish(finish).await;
        assert_refused(&ground, outcome, "FLT-0402", "proof");
    }
    let mut begun = Begun::honest(&ground, &tpm, "d").await;
    let mut finish = begun.prove(&tpm);
    finish.session_id.pop();
    let outcome = begun.finish(finish).await;
    assert_refused(&ground, outcome, "FLT-0402", "this enrolment is unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_18_a_session_ends_after_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 1);
    let clock = ShiftedClock::new(&dir.path().join("clock")).unwrap();
    ground.controller.restart_with_clock(&clock).unwrap();
    let tpm = ground.open(0).unwrap();

    let mut late = Begun::honest(&ground, &tpm, "late").await;
    let proof = late.prove(&tpm);
    clock.set_ahead(TTL).unwrap();
    let outcome = late.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "this enrolment is unknown, over, or took too long");

    // A few seconds are left for a machine that compiles beside it.
    let mut in_time = Begun::honest(&ground, &tpm, "in-time").await;
    let proof = in_time.prove(&tpm);
    clock.set_ahead(TTL + TTL / 2).unwrap();
    in_time.finish(proof).await.unwrap();
}

/// What was proven on one connection is worth nothing on another, whoever has come by it.
#[tokio::test(flavor = "multi_thread")]
async fn case_19_a_session_is_not_continued_from_another_connection() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let begun = Begun::honest(&ground, &tpm, "a").await;
    let proof = begun.prove(&tpm);
    let mut elsewhere = EnrolmentConnection::dial(&ground.controller).await.unwrap();
    assert_ne!(elsewhere.exporter, begun.connection.exporter);
    let outcome = elsewhere.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "certify_qualifying_data");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_19_the_quote_of_another_connection_is_refused_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let mut begun = Begun::honest(&ground, &tpm, "a").await;
    let mut proof = begun.prove(&tpm);
    let mut exporter = begun.connection.exporter;
    exporter[31] ^= 1;
    let stolen = flota_tests::client::prove(&tpm, &begun.request, &begun.challenge, &exporter).unwrap();
    (proof.quote_attest, proof.quote_signature) = (stolen.quote_attest, stolen.quote_signature);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "quote_qualifying_data");
}

/// Fifty proofs, all good and no two the same: the session is taken by one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn case_26_of_fifty_proofs_at_once_exactly_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let begun = Begun::honest(&ground, &tpm, "a").await;
    let proofs: Vec<_> = (0..50).map(|_| begun.prove(&tpm)).collect();
    let distinct: HashSet<_> = proofs.iter().map(|proof| proof.quote_signature.clone()).collect();
    assert_eq!(distinct.len(), 50);

    let mut racing = JoinSet::new();
    for proof in proofs {
        let mut connection = begun.connection.clone();
        racing.spawn(async move { connection.finish(proof).await });
    }
    let (successes, refusals): (Vec<_>, Vec<_>) = racing.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((successes.len(), refusals.len()), (1, 49));
    for refusal in refusals {
        assert_answer(refusal, "FLT-0402", "this enrolment is unknown, over, or took too long");
    }
    assert_eq!(ground.hosts().unwrap().len(), 1);
    assert_eq!(ground.audit("host.enrol").unwrap().len(), 1);
}

/// The same proof fifty times: those that are answered have the one answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn case_26_one_proof_sent_fifty_times_enrols_once() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let begun = Begun::honest(&ground, &tpm, "a").await;
    let proof = begun.prove(&tpm);
    let mut racing = JoinSet::new();
    for _ in 0..50 {
        let (mut connection, proof) = (begun.connection.clone(), proof.clone());
        racing.spawn(async move { connection.finish(proof).await });
    }
    let answers = racing.join_all().await;
    let certificates: HashSet<_> = answers.iter().flatten().map(|member| member.certificate.clone()).collect();
    assert_eq!(certificates.len(), 1, "one certificate, however often it is handed out");
    assert_eq!(ground.audit("host.enrol").unwrap().len(), 1);
}

/// A proof is good for its session, not for the next one of the same host.
#[tokio::test(flavor = "multi_thread")]
async fn case_19_a_proof_of_an_earlier_session_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let earlier = Begun::honest(&ground, &tpm, "a").await;
    let secret = earlier.secret(&tpm);
    let mut begun = Begun::honest(&ground, &tpm, "b").await;
    let mut proof = earlier.prove(&tpm);
    proof.session_id = begun.challenge.session_id.clone();
    proof.proof = guess(&begun, &secret);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "proof");
    enrol(&ground.controller, &tpm, &ground.token("c").unwrap()).await.unwrap();
}
