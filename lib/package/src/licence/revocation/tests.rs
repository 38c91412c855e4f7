use flota_seal::secret::Secret;
use flota_seal::signature::Algorithm;

use super::super::SignedLicence;
use super::*;

const LIST: &str = r#"{"generated_at":"2026-07-01T00:00:00Z","revoked":["L-1",
    {"license_id":"L-2","reason":"stolen","revoked_at":"2026-06-01"},{"license_id":"L-3"}]}"#;

fn at(text: &str) -> Timestamp {
    iso_time::parse(text).unwrap()
}

fn keys() -> HmacKeys {
    HmacKeys::parse(br#"{"keys": {"rev-1": "hex:01", "rev-2": "hex:02"}}"#, "test").unwrap()
}

fn signature(payload: &Json, secret: &str, key_id: Option<&str>) -> Json {
    let secret = Secret::decode(secret, "test").unwrap();
    Signature::sign(payload, &secret, Algorithm::HmacSha256, key_id).to_json()
}

/// The list with its signature beside its fields.
fn signed(list: &str, secret: &str, key_id: Option<&str>) -> String {
    let payload = Json::parse(list.as_bytes()).unwrap();
    let signature = ("signature".to_owned(), signature(&payload, secret, key_id));
    let members = payload.as_object().unwrap().clone().into_iter().chain([signature]);
    String::from_utf8(Json::object(members).canonical()).unwrap()
}

fn proved(text: &str, keys: Option<&HmacKeys>, demand: SignatureDemand) -> Result<Provenance, &'static str> {
    let proved = UnprovedRevocations::parse(text.as_bytes()).and_then(|list| list.prove(keys, demand));
    proved.map(|(_, provenance)| provenance).map_err(|error| error.code())
}

fn list(text: &str) -> RevocationList {
    UnprovedRevocations::parse(text.as_bytes()).unwrap().prove(None, SignatureDemand::WithKey).unwrap().0
}

fn licence(id: &str) -> Licence {
    let text = format!(
        r#"{{"payload":{{"schema":"core.oem.license","schema_version":"1.0","license_id":"{id}","issued_at":"2026-01-01"}},
        "signature":{{"algorithm":"HMAC-SHA256","value":"{}="}}}}"#,
        "A".repeat(43)
    );
    SignedLicence::parse(text.as_bytes()).unwrap().claims().clone()
}

#[test]
fn both_kinds_of_entries_revoke() {
    let list = list(LIST);
    assert_eq!((list.len(), list.generated_at()), (3, at("2026-07-01")));
    let refusal = |id: &str| licence(id).check_not_revoked(&list).unwrap_err();
    assert_eq!(refusal("L-1").to_string(), "the licence L-1 was revoked");
    assert_eq!(refusal("L-2").to_string(), "the licence L-2 was revoked at 2026-06-01T00:00:00+00:00: stolen");
    assert_eq!(refusal("L-3").code(), "license.revoked");
    assert!(licence("L-4").check_not_revoked(&list).is_ok());
    // Names are compared in full.
    assert!(licence("L-12").check_not_revoked(&list).is_ok());
}

#[test]
fn a_revocation_counts_before_its_date_too() {
    let list = list(r#"{"generated_at":"2026-07-01","revoked":[{"license_id":"L-1","revoked_at":"2099-01-01"}]}"#);
    assert!(licence("L-1").check_not_revoked(&list).is_err());
}

#[test]
fn one_entry_that_cannot_be_read_refuses_the_whole_list() {
    for entry in ["5", "null", "[]", "\" \"", "{}", r#"{"license_id":7}"#, r#"{"license_id":"L","revoked_at":"soon"}"#]
    {
        let text = format!(r#"{{"generated_at":"2026-07-01","revoked":["L-1",{entry}]}}"#);
        assert_eq!(proved(&text, None, SignatureDemand::WithKey), Err("license.revocation.invalid"), "{entry}");
    }
    for text in [
        "{",
        "[]",
        "{}",
        r#"{"generated_at":"2026-07-01"}"#,
        r#"{"revoked":[]}"#,
        r#"{"generated_at":"2026-07-01","revoked":{}}"#,
        r#"{"payload":{"generated_at":"2026-07-01","revoked":["L-1"]},"generated_at":"2026-07-01","revoked":[]}"#,
    ] {
        assert_eq!(proved(text, None, SignatureDemand::WithKey), Err("license.revocation.invalid"), "{text}");
    }
}

#[test]
fn a_signature_beside_the_fields_or_beside_a_payload_proves_the_list() {
    let text = signed(LIST, "hex:01", Some("rev-1"));
    assert_eq!(proved(&text, Some(&keys()), SignatureDemand::Always), Ok(Provenance::Proved));
    let payload = Json::parse(LIST.as_bytes()).unwrap();
    let enclosed = Json::object([("signature", signature(&payload, "hex:02", Some("rev-2"))), ("payload", payload)]);
    let enclosed = String::from_utf8(enclosed.canonical()).unwrap();
    assert_eq!(proved(&enclosed, Some(&keys()), SignatureDemand::Always), Ok(Provenance::Proved));
    assert_eq!(list(&enclosed).len(), 3);
}

#[test]
fn a_list_that_was_changed_is_refused() {
    let text = signed(LIST, "hex:01", Some("rev-1"));
    let demand = SignatureDemand::WithKey;
    let refused = Err("license.revocation.signature_invalid");
    assert_eq!(proved(&text.replace("L-1", "L-9"), Some(&keys()), demand), refused);
    assert_eq!(proved(&signed(LIST, "hex:01", Some("rev-2")), Some(&keys()), demand), refused);
    assert_eq!(proved(&text.replace("HMAC-SHA256", "HMAC-MD5"), Some(&keys()), demand), refused);
}

#[test]
fn a_key_or_the_demand_insists_on_a_signature() {
    use SignatureDemand::{Always, WithKey};
    let text = signed(LIST, "hex:01", Some("rev-1"));
    assert_eq!(proved(LIST, None, WithKey), Ok(Provenance::Unproved));
    assert_eq!(proved(&text, None, WithKey), Ok(Provenance::Unproved));
    assert_eq!(proved(LIST, None, Always), Err("license.revocation.unsigned"));
    assert_eq!(proved(LIST, Some(&keys()), WithKey), Err("license.revocation.unsigned"));
    assert_eq!(proved(&text, None, Always), Err("license.revocation.key_unknown"));
    assert_eq!(proved(&text, Some(&HmacKeys::default()), Always), Err("license.revocation.key_unknown"));
    assert_eq!(
        proved(&signed(LIST, "hex:01", Some("x")), Some(&keys()), WithKey),
        Err("license.revocation.key_unknown")
    );
    assert_eq!(proved(&signed(LIST, "hex:01", None), Some(&keys()), WithKey), Err("license.revocation.key_unknown"));
    // A key that came without a name is tried whatever the signature says.
    let unnamed = HmacKeys::unnamed(Secret::decode("hex:01", "test").unwrap());
    assert_eq!(proved(&text, Some(&unnamed), Always), Ok(Provenance::Proved));
}

#[test]
fn a_list_is_stale_after_thirty_days_and_never_gives_way_to_an_older_one() {
    let list = list(LIST);
    assert!(!list.is_stale(at("2026-07-31T00:00:00Z")));
    assert!(list.is_stale(at("2026-07-31T00:00:01Z")));
    assert!(list.check_not_older(at("2026-07-01")).is_ok());
    assert_eq!(list.check_not_older(at("2026-07-02")).unwrap_err().code(), "license.revocation.older");
}

#[test]
fn a_list_that_cannot_be_read_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoked.json");
    let error = load(&path).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "license.revocation.unreadable");
    assert!(error.to_string().contains("revoked.json"));
    std::fs::write(&path, LIST).unwrap();
    assert!(load(&path).is_ok());
}
