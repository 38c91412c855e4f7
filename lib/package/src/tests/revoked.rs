//! A package check that holds the licence against the issuer's list.

use flota_seal::signature::Algorithm;

use super::*;
use crate::licence::HmacKeys;
use crate::licence::revocation::{RevocationCheck, SignatureDemand};

/// A good package, a licence in force, and a place for a list.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let ground = Self { folder: tempfile::tempdir().unwrap() };
        builder().build(&sample_folder(ground.folder.path()), &key(), &ground.path("p.tar")).unwrap();
        let licence = r#"{"schema":"core.oem.license","schema_version":"1.0","license_id":"L-1","profile":"pro",
            "issued_at":"2026-01-01","expires_at":"2027-01-01"}"#;
        fs::write(ground.path("license.json"), signed(licence, "hex:01")).unwrap();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, list: &str, demand: SignatureDemand) -> CheckReport {
        fs::write(self.path("revoked.json"), list).unwrap();
        self.check_file("revoked.json", Some(&HmacKeys::unnamed(secret("hex:02"))), demand)
    }

    fn check_file(&self, list: &str, keys: Option<&HmacKeys>, demand: SignatureDemand) -> CheckReport {
        let licence_keys = LicenceKeys::default().with_oem_keys(br#"{"keys": {"oem": "hex:01"}}"#, "test").unwrap();
        let (licence, list) = (self.path("license.json"), self.path(list));
        let revocations = Some(RevocationCheck { list: &list, keys, demand });
        let licence = Some(LicenceProof { path: &licence, keys: &licence_keys, revocations });
        let package = self.path("p.tar");
        check(&CheckRequest { licence, key: Some(&key()), ..CheckRequest::new(&package, now()) }).unwrap()
    }
}

fn secret(text: &str) -> Secret {
    Secret::decode(text, "test").unwrap()
}

/// A payload and its signature, as licences and lists have them.
fn signed(payload: &str, key: &str) -> String {
    let payload = Json::parse(payload.as_bytes()).unwrap();
    let signature = Signature::sign(&payload, &secret(key), Algorithm::HmacSha384, Some("oem")).to_json();
    Json::object([("payload", payload), ("signature", signature)]).pretty()
}

fn list(made: &str, revoked: &str) -> String {
    signed(&format!(r#"{{"generated_at":"{made}","revoked":[{revoked}]}}"#), "hex:02")
}

#[test]
fn a_revoked_licence_fails_the_check_with_its_reason() {
    let ground = Ground::new();
    let revoked = list("2026-07-20", r#"{"license_id":"L-1","reason":"stolen","revoked_at":"2026-07-01"}"#);
    let report = ground.check(&revoked, SignatureDemand::Always);
    assert!(!report.is_ok() && !report.licence_ok() && report.exit_code() == 1);
    assert_eq!(
        report.errors(),
        ["the licence does not allow the package: the licence L-1 was revoked at 2026-07-01T00:00:00+00:00: stolen"]
    );
    assert_eq!(report.to_json().member("status").unwrap().as_str(), Some("failed"));
}

#[test]
fn a_licence_that_the_list_does_not_name_passes() {
    let report = Ground::new().check(&list("2026-07-20", r#""L-2""#), SignatureDemand::Always);
    assert!(report.is_ok() && report.licence_ok() && report.warnings().is_empty(), "{}", report.to_json().pretty());
}

#[test]
fn a_list_that_does_not_count_lets_no_licence_through() {
    let ground = Ground::new();
    let unsigned = r#"{"generated_at":"2026-07-20","revoked":[]}"#;
    let refusal = |report: CheckReport| {
        assert!(!report.is_ok() && !report.licence_ok());
        report.errors().concat()
    };
    let told = |list: &str| refusal(ground.check(list, SignatureDemand::WithKey));
    let begin = "whether the licence was revoked cannot be told: ";
    assert_eq!(told(unsigned), format!("{begin}the revocation list is not signed"));
    assert!(told(&list("2026-07-20", "").replace("2026-07-20", "2026-07-21")).contains("was changed"));
    assert!(told("[]").contains("`document` of the revocation list is not an object"));
    let absent = refusal(ground.check_file("nowhere.json", None, SignatureDemand::WithKey));
    assert!(absent.starts_with(begin) && absent.contains("nowhere.json"), "{absent}");
    fs::write(ground.path("revoked.json"), unsigned).unwrap();
    refusal(ground.check_file("revoked.json", None, SignatureDemand::Always));
}

#[test]
fn what_is_remarkable_about_a_list_is_a_warning() {
    let ground = Ground::new();
    fs::write(ground.path("old.json"), list("2026-06-01", "")).unwrap();
    let report = ground.check_file("old.json", None, SignatureDemand::WithKey);
    assert!(report.is_ok(), "{}", report.to_json().pretty());
    assert_eq!(
        report.warnings(),
        [
            "the signature of the revocation list was not checked: no key was given",
            "the revocation list was made at 2026-06-01T00:00:00+00:00, more than 30 days ago",
        ]
    );
    let future = ground.check(&list("2026-07-24", ""), SignatureDemand::Always);
    assert_eq!(future.warnings(), ["the revocation list was made in the future (2026-07-24T00:00:00+00:00)"]);
}
