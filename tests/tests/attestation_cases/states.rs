//! Power cuts and rollbacks, as a controller lives through them: cases 51, 53 and 54.

use flota_tests::Ground;
use flota_tests::client::{FleetSession, evidence};

use super::{Host, USUAL, assert_fails, assert_passes, enrolled, ground, ground_asking};

/// After a power cut a TPM vouches for its clock again in six seconds, and the controller asks every three.
const MOST_RETRIES: usize = 30;

/// Answers challenges until the verdict is no longer to ask again; says how often it was.
async fn attest_until_sure(session: &mut FleetSession, host: &Host, ground: &Ground) -> usize {
    for retries in 0..MOST_RETRIES {
        let verdict = session.attest(&host.tpm).await.unwrap();
        if verdict.verdict != "retry" {
            assert_passes(&verdict);
            return retries;
        }
        assert!(verdict.reasons[0].starts_with("quote_clock_unsafe"), "{verdict:?}");
        assert_eq!(ground.trust(&host.name).unwrap(), "trusted", "to ask again is no alarm");
    }
    panic!("still not sure after {MOST_RETRIES} questions");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_54_after_a_power_loss_the_host_is_asked_again_and_stays_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground_asking(dir.path(), 1, USUAL);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    assert_passes(&session.attest(&host.tpm).await.unwrap());
    assert_eq!(ground.trust(&host.name).unwrap(), "trusted");

    // SIGKILL, and started again on the same state. The host comes back as after any reboot, and is challenged at once.
    ground.tpms[0].restart().unwrap();
    let mut session = host.connect(&ground).await;
    let retries = attest_until_sure(&mut session, &host, &ground).await;
    assert!(retries > 0, "the first quotes are too early");
    assert_eq!(ground.trust(&host.name).unwrap(), "trusted");
    let verdicts = ground.audit("host.attest").unwrap();
    assert!(verdicts.iter().all(|entry| entry["outcome"] != "fail"), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_54_a_host_that_enrols_right_after_a_power_loss_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 1);
    ground.tpms[0].restart().unwrap();
    ground.tpms[0].read_pcr(0).unwrap();
    ground.tpms[0].restart().unwrap();
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    loop {
        let challenge = session.challenge().await.unwrap();
        let verdict = session.judge(evidence(&host.tpm, &session.bound, &challenge).unwrap()).await.unwrap();
        if verdict.verdict == "pass" {
            break;
        }
        assert_eq!(verdict.verdict, "retry", "{verdict:?}");
    }
    assert_eq!(ground.trust(&host.name).unwrap(), "trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_51_a_tpm_that_was_put_back_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut ground = ground(dir.path(), 1);
    let host = enrolled(&ground, 0).await;
    let mut session = host.connect(&ground).await;
    let (state, copy) = (dir.path().join("tpm-0/state"), dir.path().join("copy"));
    ground.tpms[0].kill().unwrap();
    copy_files(&state, &copy);
    for _ in 0..2 {
        ground.tpms[0].restart().unwrap();
        ground.tpms[0].read_pcr(0).unwrap();
    }
    assert_passes_after_retries(&mut session, &host).await;

    ground.tpms[0].kill().unwrap();
    std::fs::remove_dir_all(&state).unwrap();
    copy_files(&copy, &state);
    ground.tpms[0].restart().unwrap();
    let verdict = session.attest(&host.tpm).await.unwrap();
    assert_fails(&ground, &host, &verdict, "quote_reset_rollback");
}

async fn assert_passes_after_retries(session: &mut FleetSession, host: &Host) {
    for _ in 0..MOST_RETRIES {
        let verdict = session.attest(&host.tpm).await.unwrap();
        if verdict.verdict != "retry" {
            return assert_passes(&verdict);
        }
    }
    panic!("still not sure after {MOST_RETRIES} questions");
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
