//! A licence that its issuer took back, held against the list by the check of a package as by that of evidence.

use flota_procedures::package::PackageBuilder;
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use flota_seal::signature::{Algorithm, Signature};

use super::*;

const LICENCE: &str = r#"{"schema": "core.oem.license", "schema_version": "1.0", "license_id": "L-1", "profile": "pro",
    "issued_at": "2026-01-01", "expires_at": "2046-01-01"}"#;

/// A payload and its signature, as licences and lists have them.
fn signed(payload: &str, key: &str) -> String {
    let (payload, key) = (Json::parse(payload.as_bytes()).unwrap(), Secret::decode(key, "the test").unwrap());
    let signature = Signature::sign(&payload, &key, Algorithm::HmacSha384, Some("oem")).to_json();
    Json::object([("payload", payload), ("signature", signature)]).pretty()
}

/// A list of today: an old one is remarked on.
fn list(revoked: &str) -> String {
    let made = jiff::Timestamp::now();
    format!(r#"{{"generated_at": "{made}", "revoked": [{{"license_id": "{revoked}", "reason": "stolen"}}]}}"#)
}

/// An installation with a good package, a licence that allows it, and lists with and without it.
fn ground() -> tempfile::TempDir {
    let root = installation();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("bot.py"), "bot").unwrap();
    let key = Secret::decode(KEY, "the test").unwrap();
    let package = root.path().join("bot.tar.gz");
    PackageBuilder::new("bot", "1.0", "linux", "python").build(source.path(), &key, &package).unwrap();
    for (name, text) in [
        ("license.json", signed(LICENCE, "hex:01")),
        ("keys.json", r#"{"keys": {"oem": "hex:01"}}"#.to_owned()),
        ("issuer", "hex:02".to_owned()),
        ("revoked.json", signed(&list("L-1"), "hex:02")),
        ("other.json", signed(&list("L-2"), "hex:02")),
        ("unsigned.json", list("L-2")),
    ] {
        fs::write(root.path().join(name), text).unwrap();
    }
    root
}

const LICENSED: [&str; 4] = ["--license-path", "license.json", "--license-keys", "keys.json"];

#[test]
fn a_package_is_refused_under_a_revoked_licence_with_its_reason() {
    let root = ground();
    let check = |variables: &[(&str, &str)], more: &[&str]| {
        let package = ["check-update-integrity", "bot.tar.gz", "--hmac-key", KEY];
        run(root.path(), variables, &[&package[..], &LICENSED, more].concat())
    };
    let good = check(&[], &["--revocation-list", "other.json", "--revocation-key", "issuer"]);
    assert_eq!((good.code, &good.json()["license_ok"]), (0, &true.into()), "{}", good.stdout);
    assert_eq!(good.json()["warnings"], serde_json::json!([]));

    let revoked = check(&[], &["--revocation-list", "revoked.json", "--revocation-key", "issuer"]);
    assert_eq!((revoked.code, &revoked.json()["status"]), (1, &"failed".into()));
    assert_eq!((&revoked.json()["license_ok"], &revoked.json()["signature_valid"]), (&false.into(), &true.into()));
    let why = "the licence does not allow the package: the licence L-1 was revoked: stolen";
    assert_eq!(revoked.json()["errors"], serde_json::json!([why]));

    let variable = [("BOT_CORE_LICENSE_REVOCATION_KEY", "issuer")];
    let unsigned = check(&variable, &["--revocation-list", "unsigned.json"]);
    assert_eq!(unsigned.code, 1);
    assert!(unsigned.stdout.contains("the revocation list is not signed"), "{}", unsigned.stdout);
    let demanded = check(&[], &["--revocation-list", "unsigned.json", "--require-signed-revocations"]);
    assert_eq!(demanded.code, 1, "{}", demanded.stdout);
    let taken = check(&[], &["--revocation-list", "unsigned.json"]);
    assert_eq!(taken.code, 0, "{}", taken.stdout);
    assert!(taken.stdout.contains("the signature of the revocation list was not checked"), "{}", taken.stdout);
}

#[test]
fn a_key_of_the_list_that_cannot_be_used_is_no_verdict_and_not_shown() {
    let root = ground();
    let key = ["--revocation-list", "other.json", "--revocation-key", "hex:5ecre7"];
    let package = ["check-update-integrity", "bot.tar.gz"];
    let ran = run(root.path(), &[], &[&package[..], &LICENSED, &key].concat());
    assert_eq!((ran.code, &ran.json()["status"]), (2, &"error".into()));
    assert!(ran.stdout.contains("--revocation-key") && !ran.stdout.contains("5ecre7"), "{}", ran.stdout);
    let alone = run(root.path(), &[], &[&package[..], &["--revocation-list", "other.json"]].concat());
    assert_eq!(alone.code, 64, "a list without a licence says nothing");
}

#[test]
fn evidence_is_held_against_the_same_list_by_the_same_flags() {
    let root = ground();
    let flags = ["--revocation-list", "revoked.json", "--revocation-key", "issuer"];
    let ran = run(root.path(), &[], &[&["check-tpm-status", "evidence.json"][..], &LICENSED, &flags].concat());
    let codes: Vec<_> = ran.json()["errors"].as_array().unwrap().iter().map(|error| error["code"].clone()).collect();
    assert_eq!((ran.code, codes), (2, vec!["license.revoked".into(), "tpm.evidence.missing".into()]));
}
