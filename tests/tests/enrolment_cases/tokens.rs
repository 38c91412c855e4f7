//! Tokens that are used twice, or for another than they were made for; names and hosts that are taken.

use std::process::Command;

use flota_model::{Digest, HostId};
use flota_tests::Ground;
use flota_tests::client::{EnrolmentConnection, begin_request, enrol};
use flota_tpm::Tpm;
use tonic::Status;

use super::{Begun, assert_answer, ground};

fn status(error: &anyhow::Error) -> Status {
    error.downcast_ref::<Status>().cloned().unwrap()
}

/// Two of the same id cannot be had: it is a digest of the endorsement key. So the record of one host is moved to the id
/// that the next one will have.
#[tokio::test(flavor = "multi_thread")]
async fn case_24_another_endorsement_key_does_not_take_over_an_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 2);
    let rightful = enrol(&ground.controller, &ground.open(0).unwrap(), &ground.token("a").unwrap()).await.unwrap();
    let intruder = ground.open(1).unwrap();
    move_record(&mut ground, &rightful.host_id, &id_of(&intruder));
    let before = ground.hosts().unwrap();
    assert_eq!(before[0]["id"], id_of(&intruder));

    let refused = enrol(&ground.controller, &intruder, &ground.token("b").unwrap()).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0403", "this TPM or the token's name belongs to `a`");
    let unnamed = ground.admin.json(&["token", "create"]).unwrap()["token"].as_str().unwrap().to_owned();
    let refused = enrol(&ground.controller, &intruder, &unnamed).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0403", "this TPM or the token's name belongs to `a`");
    assert_eq!(ground.hosts().unwrap(), before, "the record is as it was");
}

/// A host that nobody named has its id for a name. Another one may have been given that name before.
#[tokio::test(flavor = "multi_thread")]
async fn case_24_another_endorsement_key_does_not_take_over_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let intruder = ground.open(1).unwrap();
    let name = id_of(&intruder);
    enrol(&ground.controller, &ground.open(0).unwrap(), &ground.token(&name).unwrap()).await.unwrap();
    let before = ground.hosts().unwrap();
    let unnamed = ground.admin.json(&["token", "create"]).unwrap()["token"].as_str().unwrap().to_owned();
    let refused = enrol(&ground.controller, &intruder, &unnamed).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0403", "this TPM or the token's name belongs to");
    assert_eq!(ground.hosts().unwrap(), before, "the record is as it was");

    // In a name of its own it is another host.
    let other = enrol(&ground.controller, &intruder, &ground.token("b").unwrap()).await.unwrap();
    assert_eq!(other.host_id, name);
    assert_eq!(ground.hosts().unwrap().len(), 2);
}

/// The id that a TPM's host gets.
fn id_of(tpm: &Tpm) -> String {
    let ek = flota_attest::public::Public::parse_2b(&tpm.identity().ek_public).unwrap();
    HostId::of_endorsement_key(&Digest::of(ek.spki_der())).to_string()
}

/// Gives a host another id, in every table that has one.
fn move_record(ground: &mut Ground, from: &str, to: &str) {
    let script = "import sqlite3, sys\n\
                  c = sqlite3.connect(sys.argv[1])\n\
                  tables = [t for (t,) in c.execute(\"select name from sqlite_master where type = 'table'\")]\n\
                  for t in tables:\n    \
                      columns = [row[1] for row in c.execute(f'pragma table_info({t})')]\n    \
                      column = 'id' if t == 'hosts' else 'host'\n    \
                      if column in columns: c.execute(f'update {t} set {column} = ? where {column} = ?', \
                          (sys.argv[3], sys.argv[2]))\n\
                  c.commit()\n";
    ground.controller.stop().unwrap();
    let database = ground.controller.dir().join("flota.db");
    let output = Command::new("python3").args(["-c", script]).arg(&database).args([from, to]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ground.controller.restart().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn case_25_a_token_is_not_used_twice() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (one, other) = (ground.open(0).unwrap(), ground.open(1).unwrap());
    let token = ground.token("a").unwrap();
    // Two begin with it while nobody has used it.
    let mut first = Begun::new(&ground, begin_request(&one, &token).unwrap()).await;
    let mut second = Begun::new(&ground, begin_request(&other, &token).unwrap()).await;
    let (proof, later) = (first.prove(&one), second.prove(&other));
    first.finish(proof).await.unwrap();
    let outcome = second.finish(later).await;
    assert_answer(outcome, "FLT-0401", "the enrolment token cannot be used: it was used");

    let again = enrol(&ground.controller, &other, &token).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&again)), "FLT-0401", "the enrolment token cannot be used: it was used");
    assert_eq!(ground.hosts().unwrap().len(), 1);
}

/// A token is for one host by its name; it moves no other host there.
#[tokio::test(flavor = "multi_thread")]
async fn case_25_a_token_for_another_name_does_not_rename_a_host() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    enrol(&ground.controller, &tpm, &ground.token("a").unwrap()).await.unwrap();
    let before = ground.hosts().unwrap();
    let refused = enrol(&ground.controller, &tpm, &ground.token("b").unwrap()).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0403", "this TPM or the token's name belongs to `a`");
    assert_eq!(ground.hosts().unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn case_25_a_token_that_nobody_made_or_that_was_guessed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let token = ground.token("a").unwrap();
    let mut connection = EnrolmentConnection::dial(&ground.controller).await.unwrap();
    let mut guessed = begin_request(&tpm, &token).unwrap();
    guessed.token_mac[0] ^= 1;
    let mut moved = begin_request(&tpm, &token).unwrap();
    moved.agent_version = "1".to_owned();
    let mut unknown = begin_request(&tpm, &token).unwrap();
    unknown.token_id = "0000000000000000".to_owned();
    for request in [guessed, moved, unknown] {
        let outcome = connection.begin(request).await;
        assert_answer(outcome, "FLT-0401", "the enrolment token cannot be used: it is unknown");
    }
}

/// Who holds a token and comes in by none of five attempts does not have the TPM that goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_five_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (tpm, other) = (ground.open(0).unwrap(), ground.open(1).unwrap());
    let token = ground.token("a").unwrap();
    for _ in 0..5 {
        let mut begun = Begun::new(&ground, begin_request(&tpm, &token).unwrap()).await;
        let mut proof = begun.prove(&tpm);
        proof.proof[0] ^= 1;
        assert_answer(begun.finish(proof).await, "FLT-0402", "proof: ");
    }
    let refused = enrol(&ground.controller, &other, &token).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0401", "5 enrolments were begun with this token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tpm_that_the_settings_do_not_allow_is_refused_and_a_revoked_one_is_shut_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 2);
    let (tpm, other) = (ground.open(0).unwrap(), ground.open(1).unwrap());
    enrol(&ground.controller, &tpm, &ground.token("a").unwrap()).await.unwrap();
    let ek = flota_attest::public::Public::parse_2b(&tpm.identity().ek_public).unwrap();
    let revoked = format!("ek_manufacturers = ['id:49465800']\nek_revoked = ['{}']", Digest::of(ek.spki_der()));
    ground.controller.configure(&revoked).unwrap();
    assert_eq!(ground.trust("a").unwrap(), "quarantined");
    let refused = enrol(&ground.controller, &tpm, &ground.token("b").unwrap()).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0402", "ek_revoked: ");
    let refused = enrol(&ground.controller, &other, &ground.token("c").unwrap()).await.unwrap_err();
    assert_answer(Err::<(), _>(status(&refused)), "FLT-0402", "ek_manufacturer: ");
}
