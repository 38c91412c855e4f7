//! `.lic`: signed here with real Ed25519 keys.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::super::*;
use super::at;

const FULL: &str = r#"{"license_id":"L-2","edition":"pro","hwid":"HW","issued_at":"2026-01-01","sequence":7,
    "modules":["futures","walk_forward"],"environments":["live"],"maintenance_until":"2027-01-01","trial":{"enabled":false}}"#;

fn issuer(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(issuer: &Ed25519KeyPair) -> String {
    hex::encode(issuer.public_key().as_ref())
}

fn document(payload: &[u8], signature: &[u8]) -> Vec<u8> {
    Json::object([
        ("payload_b64", Json::from(STANDARD.encode(payload).as_str())),
        ("signature_b64", Json::from(STANDARD.encode(signature).as_str())),
    ])
    .canonical()
}

fn signed(payload: &str, issuer: &Ed25519KeyPair) -> Vec<u8> {
    document(payload.as_bytes(), issuer.sign(payload.as_bytes()).as_ref())
}

fn verified(text: &[u8], keys: &str) -> Result<Licence, LicenceError> {
    SignedLicence::parse(text)?.verify(&LicenceKeys::default().with_offline_key(keys).unwrap())
}

fn licence(payload: &str) -> Licence {
    verified(&signed(payload, &issuer(1)), &public(&issuer(1))).unwrap()
}

#[test]
fn every_field_is_read_and_the_signature_holds() {
    let licence = licence(FULL);
    assert_eq!(licence.kind().as_str(), "lic");
    assert_eq!((licence.id(), licence.fingerprint()), ("L-2", Some("HW")));
    assert_eq!((licence.edition(), licence.profile()), (Some("pro"), Some("pro")));
    assert_eq!(licence.modules(), ["futures", "walk_forward"]);
    assert_eq!(licence.environments(), ["live"]);
    assert_eq!((licence.issued_at(), licence.maintenance_until()), (Some(at("2026-01-01")), Some(at("2027-01-01"))));
    assert_eq!((licence.sequence(), licence.expires_at(), licence.term()), (Some(7), None, Term::Full));
    licence.check_in_force(at("2099-01-01")).unwrap();
}

#[test]
fn a_trial_ends() {
    let with = |trial: &str| licence(&format!(r#"{{"license_id":"L","trial":{trial},"expires_at":"2026-06-01"}}"#));
    let trial = with(r#"{"enabled":true,"expires_at":"2026-02-01"}"#);
    assert_eq!((trial.term(), trial.expires_at()), (Term::Trial, Some(at("2026-02-01"))));
    assert_eq!(trial.check_in_force(at("2026-02-01")).unwrap_err().code(), "license.expired");
    assert_eq!(with(r#"{"expires_at":"2026-07-01"}"#).expires_at(), Some(at("2026-06-01")));
    assert_eq!(with(r#"{"enabled":false,"expires_at":"2026-02-01"}"#).expires_at(), Some(at("2026-06-01")));
    assert_eq!((with("true").term(), with("false").term(), with("null").term()), (Term::Trial, Term::Full, Term::Full));
    for broken in ["5", r#"{"enabled":"yes"}"#, r#"{"expires_at":"soon"}"#] {
        let text = signed(&format!(r#"{{"license_id":"L","trial":{broken}}}"#), &issuer(1));
        assert_eq!(SignedLicence::parse(&text).map(|_| ()).unwrap_err().code(), "license.field.invalid", "{broken}");
    }
}

#[test]
fn a_licence_that_was_changed_or_is_by_another_issuer_is_refused() {
    let genuine = issuer(1);
    let signature = genuine.sign(FULL.as_bytes());
    let changed = FULL.replace("pro", "max");
    let code = |text: &[u8], keys: &str| verified(text, keys).map(|_| ()).unwrap_err().code();
    assert_eq!(code(&document(changed.as_bytes(), signature.as_ref()), &public(&genuine)), "license.signature.invalid");
    assert_eq!(code(&signed(FULL, &issuer(2)), &public(&genuine)), "license.signature.invalid");
    // The signature covers the bytes, not what they mean.
    let spaced = FULL.replace(',', ", ");
    assert_eq!(code(&document(spaced.as_bytes(), signature.as_ref()), &public(&genuine)), "license.signature.invalid");
    let signed = SignedLicence::parse(&signed(FULL, &genuine)).unwrap();
    assert_eq!(signed.verify(&LicenceKeys::default()).unwrap_err().code(), "license.key.unknown");
}

#[test]
fn what_is_malformed_is_refused_by_code() {
    let code = |text: &[u8]| SignedLicence::parse(text).map(|_| ()).unwrap_err().code();
    assert_eq!(code(&document(FULL.as_bytes(), &[0; 63])), "license.signature.malformed");
    assert_eq!(code(&document(FULL.as_bytes(), &[])), "license.signature.malformed");
    assert_eq!(code(&document(b"not JSON", &[0; 64])), "license.not_json");
    assert_eq!(code(&document(b"[]", &[0; 64])), "license.field.invalid");
    assert_eq!(code(br#"{"payload_b64":"%","signature_b64":""}"#), "license.field.invalid");
    for payload in [
        r#"{"license_id":""}"#,
        r#"{"license_id":"L","sequence":"7"}"#,
        r#"{"license_id":"L","hwid":5}"#,
        r#"{"license_id":"L","edition":["pro"]}"#,
        r#"{"license_id":"L","modules":[null]}"#,
        r#"{"license_id":"L","issued_at":"2026-01-01T00:00:00[Europe/Warsaw]"}"#,
    ] {
        assert_eq!(code(&signed(payload, &issuer(1))), "license.field.invalid", "{payload}");
    }
}

#[test]
fn an_issuer_can_change_keys() {
    let both = format!(" {}, {}\n", public(&issuer(1)), public(&issuer(2)));
    for seed in [1, 2] {
        assert!(verified(&signed(FULL, &issuer(seed)), &both).is_ok());
    }
    assert!(verified(&signed(FULL, &issuer(3)), &both).is_err());
}

#[test]
fn keys_of_the_wrong_length_are_refused() {
    let good = public(&issuer(1));
    for wrong in ["", " , ", &good[..62], &format!("{good}00"), &good.replace(&good[..1], "x"), &format!("{good},aabb")]
    {
        let result = LicenceKeys::default().with_offline_key(wrong);
        assert!(matches!(result.map(|_| ()), Err(LicenceKeysError::PublicKey)), "{wrong}");
    }
}
