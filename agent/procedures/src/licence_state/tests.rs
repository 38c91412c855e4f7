use std::fs;

use super::*;
use crate::licence::SignedLicence;
use crate::licence::revocation::{SignatureDemand, UnprovedRevocations};

fn now() -> Timestamp {
    "2026-07-23T12:00:00Z".parse().unwrap()
}

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(FOLDER)).unwrap();
    root
}

fn oem(issued_at: &str) -> Licence {
    let text = format!(
        r#"{{"payload":{{"schema":"core.oem.license","schema_version":"1.0","license_id":"L","issued_at":"{issued_at}"}},
        "signature":{{"algorithm":"HMAC-SHA256","value":"{}="}}}}"#,
        "A".repeat(43)
    );
    SignedLicence::parse(text.as_bytes()).unwrap().claims().clone()
}

fn offline(sequence: u64) -> Licence {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let payload = STANDARD.encode(format!(r#"{{"license_id":"L","sequence":{sequence}}}"#));
    let text = format!(r#"{{"payload_b64":"{payload}","signature_b64":"{}"}}"#, STANDARD.encode([0; 64]));
    SignedLicence::parse(text.as_bytes()).unwrap().claims().clone()
}

fn list(generated_at: &str) -> RevocationList {
    let text = format!(r#"{{"generated_at":"{generated_at}","revoked":[]}}"#);
    UnprovedRevocations::parse(text.as_bytes()).unwrap().prove(None, SignatureDemand::WithKey).unwrap().0
}

#[test]
fn an_older_licence_does_not_come_back() {
    let root = root();
    admit(root.path(), &oem("2026-02-01"), None, now()).unwrap();
    admit(root.path(), &offline(7), None, now()).unwrap();
    for older in [oem("2026-01-31"), offline(6)] {
        let error = admit(root.path(), &older, None, now()).unwrap_err();
        assert!(matches!(error, AdmitError::Licence(LicenceError::Older(_))), "{error}");
        assert!(load(root.path()).unwrap().check(&older).is_err());
    }
    // The formats are counted apart.
    let state = load(root.path()).unwrap();
    assert_eq!(state.last(LicenceKind::Offline).unwrap().standing.sequence, Some(7));
    assert_eq!(state.last(LicenceKind::Oem).unwrap().at, now());
}

#[test]
fn the_same_licence_again_writes_nothing() {
    let root = root();
    admit(root.path(), &oem("2026-02-01"), None, now()).unwrap();
    let path = root.path().join(STATE_PATH);
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let later = now() + jiff::SignedDuration::from_hours(1);
    admit(root.path(), &oem("2026-02-01"), None, later).unwrap();
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()), before);
}

#[test]
fn an_older_revocation_list_does_not_come_back_and_takes_no_licence_with_it() {
    let root = root();
    admit(root.path(), &offline(7), Some(&list("2026-07-02")), now()).unwrap();
    let error = admit(root.path(), &offline(8), Some(&list("2026-07-01")), now()).unwrap_err();
    assert!(matches!(error, AdmitError::Revocation(RevocationError::Older { .. })), "{error}");
    let state = load(root.path()).unwrap();
    assert_eq!(state.last(LicenceKind::Offline).unwrap().standing.sequence, Some(7));
    assert!(state.check_revocations(&list("2026-07-02")).is_ok());
}

#[test]
fn a_damaged_state_is_refused_with_the_mend_and_left_as_it_is() {
    let root = root();
    let path = root.path().join(STATE_PATH);
    for damaged in [
        "",
        "{",
        "[]",
        r#"{"version":2,"accepted":{},"revocations_of":null}"#,
        r#"{"version":1,"accepted":{}}"#,
        r#"{"version":1,"accepted":{"other":{}},"revocations_of":null}"#,
        r#"{"version":1,"accepted":{"lic":{"license_id":"L","sequence":-1,"issued_at":null,"accepted_at":"2026-01-01"}},
            "revocations_of":null}"#,
        r#"{"version":1,"accepted":{"lic":{"license_id":"L","sequence":1,"issued_at":null,"accepted_at":null}},
            "revocations_of":null}"#,
    ] {
        fs::write(&path, damaged).unwrap();
        let error = load(root.path()).unwrap_err();
        assert_eq!(error.code(), "license.state.invalid", "{damaged}");
        assert!(error.to_string().contains("restore it from the backup"), "{error}");
        let error = admit(root.path(), &offline(9), None, now()).unwrap_err();
        assert!(matches!(error, AdmitError::State(_)), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[test]
fn a_state_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let root = root();
    fs::create_dir(root.path().join(STATE_PATH)).unwrap();
    assert_eq!(load(root.path()).unwrap_err().code(), "license.state.unreadable");
}

#[test]
fn without_the_folder_nothing_is_kept() {
    let root = tempfile::tempdir().unwrap();
    assert!(!is_kept(root.path()));
    let Err(AdmitError::State(error)) = admit(root.path(), &offline(1), None, now()) else { panic!("it was kept") };
    assert_eq!(error.code(), "license.state.not_kept");
    assert_eq!(load(root.path()).unwrap(), LicenceState::default());
}

#[test]
fn of_many_at_once_the_newest_stays() {
    let root = root();
    std::thread::scope(|scope| {
        for sequence in 1..=16 {
            let root = root.path();
            // Those that come after a newer one are refused, which is the point.
            scope.spawn(move || admit(root, &offline(sequence), None, now()).is_ok());
        }
    });
    assert_eq!(load(root.path()).unwrap().last(LicenceKind::Offline).unwrap().standing.sequence, Some(16));
    assert_eq!(fs::read_dir(root.path().join(FOLDER)).unwrap().count(), 2, "the state and its lock");
}
