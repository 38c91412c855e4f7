use flota_seal::signature::Algorithm;

use super::*;

const KEYS: &str = r#"{"keys": {"oem-1": "hex:0101", "oem-2": "hex:0202"}}"#;

fn at(text: &str) -> Timestamp {
    crate::iso_time::parse(text).unwrap()
}

fn keys() -> LicenceKeys {
    LicenceKeys::default().with_oem_keys(KEYS.as_bytes(), "test").unwrap()
}

fn payload(extra: &str) -> Json {
    let text = format!(
        r#"{{"schema":"core.oem.license","schema_version":"1.0","license_id":"L-1","issuer":"OEM","profile":"pro",
        "issued_at":"2026-01-01T00:00:00Z","expires_at":"2027-01-01T00:00:00Z","fingerprint":{{"value":"ABCD"}}{extra}}}"#
    );
    Json::parse(text.as_bytes()).unwrap()
}

fn sealed(payload: &Json, secret: &str, key_id: Option<&str>) -> Vec<u8> {
    let secret = Secret::decode(secret, "test").unwrap();
    let signature = Signature::sign(payload, &secret, Algorithm::HmacSha384, key_id);
    Json::object([("payload", payload.clone()), ("signature", signature.to_json())]).canonical()
}

#[test]
fn an_oem_licence_is_read_and_proved() {
    let licence =
        SignedLicence::parse(&sealed(&payload(""), "hex:0101", Some("oem-1"))).unwrap().verify(&keys()).unwrap();
    assert_eq!((licence.id(), licence.profile(), licence.fingerprint()), ("L-1", Some("pro"), Some("ABCD")));
    licence.check_in_force(at("2026-06-01")).unwrap();
    assert!(matches!(licence.check_in_force(at("2027-01-01")), Err(LicenceError::Expired(_))));
    assert!(matches!(licence.check_in_force(at("2025-12-31T23:00:00")), Err(LicenceError::NotYetValid(_))));
    licence.check_in_force(at("2025-12-31T23:56:00")).unwrap();
}

#[test]
fn a_licence_of_another_key_or_of_no_known_key_is_refused() {
    let verify = |text: Vec<u8>| SignedLicence::parse(&text).unwrap().verify(&keys());
    assert!(matches!(verify(sealed(&payload(""), "hex:0101", Some("oem-2"))), Err(LicenceError::WrongSignature)));
    assert!(matches!(verify(sealed(&payload(""), "hex:0101", Some("oem-9"))), Err(LicenceError::NoKey(_))));
    // Two keys, and nothing says which.
    assert!(matches!(verify(sealed(&payload(""), "hex:0101", None)), Err(LicenceError::NoKey(_))));
    let changed =
        String::from_utf8(sealed(&payload(""), "hex:0101", Some("oem-1"))).unwrap().replace("\"pro\"", "\"max\"");
    assert!(matches!(verify(changed.into_bytes()), Err(LicenceError::WrongSignature)));
}

#[test]
fn another_schema_is_refused() {
    let text = String::from_utf8(payload("").canonical()).unwrap().replace("core.oem.license", "core.oem.other");
    let other = Json::parse(text.as_bytes()).unwrap();
    let result = SignedLicence::parse(&sealed(&other, "hex:0101", None));
    assert!(matches!(result, Err(LicenceError::Field { field: "schema", .. })));
}

#[test]
fn an_offline_licence_is_read_and_its_signature_insisted_on() {
    let payload = r#"{"license_id":"L-2","edition":"pro","hwid":"HW","issued_at":"2026-01-01","sequence":7,
        "modules":["a"],"environments":["live"],"maintenance_until":"2027-01-01","trial":{"expires_at":"2026-02-01"}}"#;
    let text = Json::object([
        ("payload_b64", Json::from(STANDARD.encode(payload).as_str())),
        ("signature_b64", Json::from(STANDARD.encode([0; 64]).as_str())),
    ]);
    let read = || SignedLicence::parse(&text.canonical()).unwrap();
    let signed = read();
    let licence = signed.claims();
    assert_eq!((licence.profile(), licence.fingerprint()), (Some("pro"), Some("HW")));
    assert_eq!(licence.expires_at(), Some(at("2026-02-01")));
    assert_eq!(licence.standing().sequence, Some(7));
    assert!(matches!(read().verify(&keys()), Err(LicenceError::NoKey(_))));
    let public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
    assert!(matches!(read().verify(&keys().with_offline_key(public).unwrap()), Err(LicenceError::WrongSignature)));
}

#[test]
fn an_older_licence_is_not_taken_back() {
    let with = |extra: &str| Licence::from_oem(&Fields(&payload(extra))).unwrap();
    let seven = with(r#","sequence":7"#);
    assert!(seven.check_not_older(Standing { sequence: Some(7), issued_at: None }).is_ok());
    assert!(seven.check_not_older(Standing { sequence: Some(8), issued_at: None }).is_err());
    let plain = with("");
    assert!(plain.check_not_older(Standing { sequence: None, issued_at: Some(at("2026-01-02")) }).is_err());
    assert!(plain.check_not_older(Standing::default()).is_ok());
    // Dropping the sequence must not get an old licence in.
    assert!(plain.check_not_older(Standing { sequence: Some(1), issued_at: None }).is_err());
}
