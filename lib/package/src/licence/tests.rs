//! `license.json`, and what both formats share; `.lic` is in [`offline`].

mod offline;

use flota_seal::secret::Secret;
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

/// The code of the refusal of a `license.json` with this payload, under the right key.
fn code_of(payload: &Json) -> &'static str {
    let text = sealed(payload, "hex:0101", Some("oem-1"));
    SignedLicence::parse(&text)
        .and_then(|signed| signed.verify(&keys()))
        .map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn every_field_of_an_oem_licence_is_read() {
    let extra = r#","edition":"max","sequence":9,"modules":{"a":true,"b":false},"environments":["live"],
        "maintenance_until":"2026-09-01","unknown":{"kept":"under the signature"}"#;
    let signed = SignedLicence::parse(&sealed(&payload(extra), "hex:0101", Some("oem-1"))).unwrap();
    let licence = signed.verify(&keys()).unwrap();
    assert_eq!(licence.kind().as_str(), "oem");
    assert_eq!((licence.issuer(), licence.edition()), (Some("OEM"), Some("max")));
    assert_eq!((licence.issued_at(), licence.expires_at()), (Some(at("2026-01-01")), Some(at("2027-01-01"))));
    assert_eq!((licence.sequence(), licence.maintenance_until()), (Some(9), Some(at("2026-09-01"))));
    assert_eq!((licence.modules(), licence.environments()), (&["a".to_owned()][..], &["live".to_owned()][..]));
    assert_eq!(licence.term(), Term::Full);
}

#[test]
fn malformed_fields_are_refused_by_name() {
    for (field, value) in [
        ("schema", "\"core.oem.other\""),
        ("schema_version", "\"2.0\""),
        ("license_id", "\" \""),
        ("license_id", "7"),
        ("issuer", "{}"),
        ("profile", "[]"),
        ("issued_at", "\"yesterday\""),
        ("issued_at", "null"),
        ("expires_at", "5"),
        ("fingerprint", "{}"),
        ("fingerprint", "3"),
        ("fingerprint_payload", "\"ABCD\""),
        ("fingerprint_payload", "{}"),
        ("fingerprint_signature", "{}"),
        ("sequence", "-1"),
        ("sequence", "1.0"),
        ("modules", "\"a\""),
        ("environments", "[1]"),
        ("maintenance_until", "true"),
    ] {
        // The last of two members of one name counts.
        let broken = payload(&format!(r#","{field}":{value}"#));
        let error = SignedLicence::parse(&sealed(&broken, "hex:0101", Some("oem-1"))).map(|_| ()).unwrap_err();
        assert!(matches!(&error, LicenceError::Field { field: named, .. } if *named == field), "{field}: {error}");
        assert_eq!(error.code(), "license.field.invalid");
    }
}

/// `fingerprint_payload` for that host and its signature.
fn bound(fingerprint: &str, secret: &str, key_id: &str) -> String {
    let payload = Json::parse(format!(r#"{{"fingerprint":{fingerprint},"made_by":"tool"}}"#).as_bytes()).unwrap();
    let secret = Secret::decode(secret, "test").unwrap();
    let signature = Signature::sign(&payload, &secret, Algorithm::HmacSha384, Some(key_id));
    let text = |json: &Json| String::from_utf8(json.canonical()).unwrap();
    format!(r#","fingerprint_payload":{},"fingerprint_signature":{}"#, text(&payload), text(&signature.to_json()))
}

#[test]
fn a_signed_fingerprint_must_be_that_of_the_licence_and_prove_itself() {
    assert_eq!(code_of(&payload(&bound(r#"{"value":"ABCD"}"#, "hex:0202", "oem-2"))), "accepted");
    assert_eq!(code_of(&payload(&bound(r#""ABCD""#, "hex:0101", "oem-1"))), "accepted");
    assert_eq!(code_of(&payload(&bound(r#""OTHER""#, "hex:0101", "oem-1"))), "license.fingerprint.mismatch");
    assert_eq!(code_of(&payload(&bound(r#""ABCD""#, "hex:0101", "oem-2"))), "license.fingerprint.signature_invalid");
    assert_eq!(code_of(&payload(&bound(r#""ABCD""#, "hex:0101", "oem-3"))), "license.fingerprint.key_unknown");
    let short = r#","fingerprint_payload":{"fingerprint":"ABCD"},
        "fingerprint_signature":{"algorithm":"HMAC-SHA384","value":"AAAA"}"#;
    assert_eq!(code_of(&payload(short)), "license.fingerprint.signature_invalid");
    // The licence's own signature covers a payload that has none of its own.
    assert_eq!(code_of(&payload(r#","fingerprint_payload":{"fingerprint":"ABCD"}"#)), "accepted");
    let only_bound = payload(r#","fingerprint":null,"fingerprint_payload":{"fingerprint":"EF01"}"#);
    let signed = SignedLicence::parse(&sealed(&only_bound, "hex:0101", Some("oem-1"))).unwrap();
    assert_eq!(signed.claims().fingerprint(), Some("EF01"));
}

#[test]
fn every_refusal_has_its_code() {
    let parse = |text: &[u8]| SignedLicence::parse(text).map(|_| ()).unwrap_err().code();
    assert_eq!(parse(b"{"), "license.not_json");
    assert_eq!(parse(b"[]"), "license.format.unknown");
    assert_eq!(parse(br#"{"payload":{},"payload_b64":""}"#), "license.format.unknown");
    assert_eq!(parse(br#"{"payload_b64":"e30="}"#), "license.format.unknown");
    let text = String::from_utf8(payload("").canonical()).unwrap();
    let with = |signature: &str| format!(r#"{{"payload":{text},"signature":{signature}}}"#).into_bytes();
    assert_eq!(parse(&with("[]")), "license.signature.malformed");
    assert_eq!(parse(&with(r#"{"algorithm":"HMAC-MD5","value":""}"#)), "license.signature.malformed");
    assert_eq!(parse(&with(r#"{"algorithm":"HMAC-SHA384","value":"AAAA"}"#)), "license.signature.malformed");

    let folder = tempfile::tempdir().unwrap();
    assert_eq!(load(&folder.path().join("none")).map(|_| ()).unwrap_err().code(), "license.unreadable");
    let large = folder.path().join("large");
    std::fs::write(&large, vec![b' '; usize::try_from(MAX_LICENCE_BYTES).unwrap() + 1]).unwrap();
    assert_eq!(load(&large).map(|_| ()).unwrap_err().code(), "license.unreadable");

    let licence = Licence::from_oem(&Fields(&payload(""))).unwrap();
    assert_eq!(licence.check_in_force(at("2025-01-01")).unwrap_err().code(), "license.not_yet_valid");
    assert_eq!(licence.check_in_force(at("2028-01-01")).unwrap_err().code(), "license.expired");
}

#[test]
fn clocks_may_differ_by_five_minutes_and_no_more() {
    let licence = Licence::from_oem(&Fields(&payload(""))).unwrap();
    assert!(licence.check_in_force(at("2025-12-31T23:55:00Z")).is_ok());
    assert!(licence.check_in_force(at("2025-12-31T23:54:59Z")).is_err());
    assert!(licence.check_in_force(at("2026-12-31T23:59:59Z")).is_ok());
    assert!(licence.check_in_force(at("2027-01-01T00:00:00Z")).is_err());
}

#[test]
fn an_issuer_can_change_keys() {
    for (secret, id) in [("hex:0101", "oem-1"), ("hex:0202", "oem-2")] {
        let signed = SignedLicence::parse(&sealed(&payload(""), secret, Some(id))).unwrap();
        assert_eq!(signed.verify(&keys()).unwrap().id(), "L-1");
    }
    // Of one key, its name need not be given; a name that is given must be its.
    let one = || LicenceKeys::default().with_oem_keys(br#"{"new": "hex:0101"}"#, "test").unwrap();
    let verify = |id| SignedLicence::parse(&sealed(&payload(""), "hex:0101", id)).unwrap().verify(&one());
    assert!(verify(None).is_ok());
    assert_eq!(verify(Some("old")).unwrap_err().code(), "license.key.unknown");
}

#[test]
fn keys_that_cannot_be_used_are_refused_without_repeating_them() {
    let read = |text: &str| LicenceKeys::default().with_oem_keys(text.as_bytes(), "keys.json").map(|_| ()).unwrap_err();
    assert!(matches!(read("{"), LicenceKeysError::NotJson(_)));
    assert!(matches!(read("[]"), LicenceKeysError::WrongShape));
    assert!(matches!(read(r#"{"keys": {"a": 5}}"#), LicenceKeysError::WrongShape));
    assert!(matches!(read(r#"{"keys": {"a": "x", "a": "y"}}"#), LicenceKeysError::Repeated(id) if id == "a"));
    let error = read(r#"{"keys": {"oem": "hex:5ecre7"}}"#);
    let text = crate::causes::on_one_line(&error);
    assert!(text.contains("oem in keys.json") && !text.contains("5ecre7"), "{text}");
}

#[test]
fn another_schema_is_refused() {
    let text = String::from_utf8(payload("").canonical()).unwrap().replace("core.oem.license", "core.oem.other");
    let other = Json::parse(text.as_bytes()).unwrap();
    let result = SignedLicence::parse(&sealed(&other, "hex:0101", None));
    assert!(matches!(result, Err(LicenceError::Field { field: "schema", .. })));
}

#[test]
fn an_older_licence_is_not_taken_back() {
    let with = |extra: &str| Licence::from_oem(&Fields(&payload(extra))).unwrap();
    let last = |id: &str, sequence, issued_at: Option<&str>| Standing {
        license_id: id.to_owned(),
        sequence,
        issued_at: issued_at.map(at),
    };
    let seven = with(r#","sequence":7"#);
    assert!(seven.check_not_older(&last("L-1", Some(7), None)).is_ok());
    assert!(seven.check_not_older(&last("L-1", Some(7), Some("2026-01-02"))).is_err());
    // Within one id the sequence decides, whatever the dates say.
    assert!(seven.check_not_older(&last("L-1", Some(6), Some("2026-01-02"))).is_ok());
    let error = seven.check_not_older(&last("L-1", Some(8), Some("2025-01-02"))).unwrap_err();
    assert_eq!(error.code(), "license.older");
    assert!(error.to_string().contains("L-1, sequence 8, issued at 2025-01-02T00:00:00+00:00"), "{error}");
    // Another id counts from one; the date decides.
    assert!(seven.check_not_older(&last("L-0", Some(90), Some("2025-12-31"))).is_ok());
    assert!(seven.check_not_older(&last("L-0", Some(1), Some("2026-01-02"))).is_err());
    assert!(seven.check_not_older(&last("L-0", Some(90), None)).is_err());

    let plain = with("");
    assert!(plain.check_not_older(&last("L-1", None, Some("2026-01-02"))).is_err());
    assert!(plain.check_not_older(&last("L-1", None, Some("2026-01-01"))).is_ok());
    assert!(plain.check_not_older(&last("L-1", None, None)).is_ok());
    // Dropping the sequence must not get an old licence in.
    assert!(plain.check_not_older(&last("L-1", Some(1), None)).is_err());
}
