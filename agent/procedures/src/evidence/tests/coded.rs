//! Every code that a report can carry, each brought about by real files: evidence and `.lic` are signed with Ed25519 keys,
//! `license.json` and revocation lists with HMACs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use flota_seal::signature::{Algorithm, Signature};

use super::super::*;
use super::now;
use crate::licence::HmacKeys;
use crate::licence::revocation::SignatureDemand;

const EVIDENCE: &str = r#"{"fingerprint":"HOST","sealed_fingerprint":"HOST","nonce":"n","attested_at":"2026-07-01",
    "expires_at":"2026-08-01","secure_enclave":{"type":"tpm2"}}"#;
const LICENCE: &str = r#"{"schema":"core.oem.license","schema_version":"1.0","license_id":"L-1","issuer":"OEM",
    "profile":"pro","issued_at":"2026-01-01","expires_at":"2027-01-01","fingerprint":"HOST"}"#;
const REVOKED: &str = r#"{"generated_at":"2026-07-20","revoked":["L-0"]}"#;

/// A host on which everything is in order until a test changes one thing.
pub(super) struct Host {
    folder: tempfile::TempDir,
    pub(super) keyring: String,
    pub(super) expected: Option<String>,
    licence_keys: Option<LicenceKeys>,
    revocation_keys: Option<HmacKeys>,
    demand: SignatureDemand,
    now: Timestamp,
}

fn tpm(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> String {
    hex::encode(pair.public_key().as_ref())
}

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn oem_keys() -> LicenceKeys {
    LicenceKeys::default().with_oem_keys(br#"{"keys":{"oem":"hex:01"}}"#, "test").unwrap()
}

impl Host {
    pub(super) fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            keyring: format!(r#"{{"keys":{{"tpm-1":"{}"}}}}"#, public(&tpm(1))),
            expected: None,
            licence_keys: Some(oem_keys()),
            revocation_keys: Some(HmacKeys::unnamed(Secret::decode("hex:02", "test").unwrap())),
            demand: SignatureDemand::Always,
            now: now(),
        };
        fs::create_dir_all(host.path("var/flota")).unwrap();
        host.evidence(EVIDENCE, &tpm(1), Some("tpm-1"));
        host.licence(LICENCE, "hex:01", "oem");
        host.revocations(REVOKED, "hex:02");
        host
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn evidence(&self, payload: &str, pair: &Ed25519KeyPair, key_id: Option<&str>) {
        let payload = json(payload);
        let value = STANDARD.encode(pair.sign(&payload.canonical()).as_ref());
        let signature = Json::object([
            ("algorithm", Json::from("ed25519")),
            ("value", Json::from(value.as_str())),
            ("key_id", key_id.map_or(Json::Null, Json::from)),
        ]);
        self.write("evidence.json", &Json::object([("payload", payload), ("signature", signature)]).canonical());
    }

    fn mac(payload: &Json, secret: &str, key_id: &str) -> Json {
        let secret = Secret::decode(secret, "test").unwrap();
        Signature::sign(payload, &secret, Algorithm::HmacSha384, Some(key_id)).to_json()
    }

    fn licence(&self, payload: &str, secret: &str, key_id: &str) {
        let payload = json(payload);
        let signature = Self::mac(&payload, secret, key_id);
        self.write("license.json", &Json::object([("payload", payload), ("signature", signature)]).canonical());
    }

    /// The licence with these members added or replaced.
    pub(super) fn licence_with(&self, members: &str) {
        self.licence(&LICENCE.replace('}', &format!(",{members}}}")), "hex:01", "oem");
    }

    fn revocations(&self, payload: &str, secret: &str) {
        let payload = json(payload);
        let signature = Self::mac(&payload, secret, "rev");
        self.write("revoked.json", &Json::object([("payload", payload), ("signature", signature)]).canonical());
    }

    fn check(&self) -> EvidenceReport {
        check_tpm_status(&EvidenceRequest {
            expected_fingerprint: self.expected.as_deref(),
            keyring: Some(&self.keyring),
            licence: Some(&self.path("license.json")),
            licence_keys: self.licence_keys.as_ref(),
            revocations: Some(RevocationCheck {
                list: &self.path("revoked.json"),
                keys: self.revocation_keys.as_ref(),
                demand: self.demand,
            }),
            memory: Memory::Installation(self.folder.path()),
            ..EvidenceRequest::new(&self.path("evidence.json"), self.now)
        })
    }

    /// Where the host stands with what the test sets up of evidence and licence.
    pub(super) fn standing(&self, evidence: Option<&Path>, licence: Option<&Path>) -> Standing {
        standing(&StandingRequest {
            evidence,
            expected_fingerprint: self.expected.as_deref(),
            keyring: Some(&self.keyring),
            licence,
            licence_keys: self.licence_keys.as_ref(),
            revocations: Some(RevocationCheck {
                list: &self.path("revoked.json"),
                keys: self.revocation_keys.as_ref(),
                demand: self.demand,
            }),
            memory: Memory::Installation(self.folder.path()),
            now: self.now,
        })
    }

    /// The status, the exit code and the codes of all findings.
    fn verdict(&self) -> (&'static str, u8, Vec<&'static str>) {
        let report = self.check();
        let codes = report.findings().iter().map(|finding| finding.code).collect();
        (report.status().as_str(), report.exit_code(), codes)
    }
}

/// A test for one code: a host in order, one thing changed, the verdict.
macro_rules! code {
    ($name:ident, $code:literal, $status:literal, $exit:literal, |$host:ident| $change:expr) => {
        #[test]
        fn $name() {
            let change: fn(&mut Host) = |$host| $change;
            let mut host = Host::new();
            change(&mut host);
            assert_eq!(host.verdict(), ($status, $exit, vec![$code]));
        }
    };
}

#[test]
fn a_host_in_order_is_ok_and_its_licence_remembered() {
    let host = Host::new();
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
    let report = host.check().to_json();
    let licence = report.member("license").unwrap();
    assert_eq!(licence.member("license_id"), Some(&"L-1".into()));
    assert_eq!(licence.member("signature_verified"), Some(&true.into()));
    let state = crate::licence_state::load(host.folder.path()).unwrap();
    assert_eq!(state.last(crate::licence::LicenceKind::Oem).unwrap().standing.license_id, "L-1");
    assert_eq!(state.revocations_of(), Some("2026-07-20T00:00:00Z".parse().unwrap()));
}

code!(tpm_signature_invalid, "tpm.signature.invalid", "invalid", 2, |host| host.evidence(
    EVIDENCE,
    &tpm(2),
    Some("tpm-1")
));
code!(tpm_signature_missing, "tpm.signature.missing", "unverified", 1, |host| host
    .write("evidence.json", EVIDENCE.as_bytes()));
code!(tpm_signature_missing_key_id, "tpm.signature.missing_key_id", "unverified", 1, |host| {
    host.keyring = format!(r#"{{"a":"{}","b":"{}"}}"#, public(&tpm(1)), public(&tpm(2)));
    host.evidence(EVIDENCE, &tpm(1), None);
});
code!(tpm_key_unknown, "tpm.key.unknown", "unverified", 1, |host| host.evidence(EVIDENCE, &tpm(1), Some("tpm-9")));
code!(tpm_keyring_invalid, "tpm.keyring.invalid", "invalid", 2, |host| host.keyring = r#"{"a":"aabb"}"#.to_owned());
code!(tpm_fingerprint_mismatch, "tpm.fingerprint.mismatch", "mismatch", 1, |host| {
    host.evidence(&EVIDENCE.replace("HOST", "OTHER"), &tpm(1), Some("tpm-1"));
});
code!(tpm_fingerprint_missing, "tpm.fingerprint.missing", "mismatch", 1, |host| {
    host.evidence(&EVIDENCE.replace("HOST", " "), &tpm(1), Some("tpm-1"));
});
code!(tpm_attestation_expired, "tpm.attestation.expired", "expired", 1, |host| {
    host.evidence(&EVIDENCE.replace("2026-08-01", "2026-07-23T12:00:00"), &tpm(1), Some("tpm-1"));
});
code!(tpm_attestation_future, "tpm.attestation.future", "ok", 0, |host| {
    host.evidence(&EVIDENCE.replace("2026-07-01", "2026-07-23T12:05:01Z"), &tpm(1), Some("tpm-1"));
});
code!(tpm_evidence_missing, "tpm.evidence.missing", "missing", 2, |host| {
    fs::remove_file(host.path("evidence.json")).unwrap();
});
code!(tpm_evidence_invalid, "tpm.evidence.invalid", "invalid", 2, |host| host.write("evidence.json", b"{"));

code!(license_unreadable, "license.unreadable", "invalid", 2, |host| {
    fs::remove_file(host.path("license.json")).unwrap();
});
code!(license_not_json, "license.not_json", "invalid", 2, |host| host.write("license.json", b"{"));
code!(license_format_unknown, "license.format.unknown", "invalid", 2, |host| host.write("license.json", b"{}"));
code!(license_field_invalid, "license.field.invalid", "invalid", 2, |host| host.licence_with(r#""sequence":"x""#));
code!(license_signature_malformed, "license.signature.malformed", "invalid", 2, |host| {
    let text = format!(r#"{{"payload":{LICENCE},"signature":"none"}}"#);
    host.write("license.json", text.as_bytes());
});
code!(license_signature_invalid, "license.signature.invalid", "invalid", 2, |host| {
    host.licence(LICENCE, "hex:99", "oem");
});
code!(license_key_unknown, "license.key.unknown", "unverified", 1, |host| host.licence(LICENCE, "hex:01", "oem-9"));
code!(license_unverified, "license.unverified", "ok", 0, |host| host.licence_keys = None);
code!(license_fingerprint_mismatch, "license.fingerprint.mismatch", "invalid", 2, |host| {
    host.licence_with(r#""fingerprint_payload":{"fingerprint":"OTHER"}"#);
});
code!(license_fingerprint_signature_invalid, "license.fingerprint.signature_invalid", "invalid", 2, |host| {
    let signature = Host::mac(&json(r#"{"fingerprint":"HOST"}"#), "hex:99", "oem").pretty();
    host.licence_with(&format!(
        r#""fingerprint_payload":{{"fingerprint":"HOST"}},"fingerprint_signature":{signature}"#
    ));
});
code!(license_fingerprint_key_unknown, "license.fingerprint.key_unknown", "unverified", 1, |host| {
    let signature = Host::mac(&json(r#"{"fingerprint":"HOST"}"#), "hex:01", "other").pretty();
    host.licence_with(&format!(
        r#""fingerprint_payload":{{"fingerprint":"HOST"}},"fingerprint_signature":{signature}"#
    ));
});
code!(license_not_yet_valid, "license.not_yet_valid", "expired", 1, |host| {
    host.licence_with(r#""issued_at":"2026-07-23T12:05:01""#);
});
code!(license_expired, "license.expired", "expired", 1, |host| host.licence_with(r#""expires_at":"2026-07-23""#));
code!(license_maintenance_over, "license.maintenance.over", "ok", 0, |host| {
    host.licence_with(r#""maintenance_until":"2026-07-23""#);
});
code!(license_older, "license.older", "invalid", 2, |host| {
    assert_eq!(host.verdict().0, "ok");
    host.licence_with(r#""issued_at":"2025-12-31""#);
});
code!(license_revoked, "license.revoked", "invalid", 2, |host| {
    host.revocations(&REVOKED.replace("L-0", "L-1"), "hex:02");
});

code!(license_revocation_unreadable, "license.revocation.unreadable", "invalid", 2, |host| {
    fs::remove_file(host.path("revoked.json")).unwrap();
});
code!(license_revocation_invalid, "license.revocation.invalid", "invalid", 2, |host| host.write("revoked.json", b"[]"));
code!(license_revocation_unsigned, "license.revocation.unsigned", "unverified", 1, |host| {
    host.write("revoked.json", REVOKED.as_bytes());
});
code!(license_revocation_key_unknown, "license.revocation.key_unknown", "unverified", 1, |host| {
    host.revocation_keys = Some(HmacKeys::parse(br#"{"keys":{"rev-2":"hex:02"}}"#, "test").unwrap());
});
code!(license_revocation_signature_invalid, "license.revocation.signature_invalid", "invalid", 2, |host| {
    host.revocations(REVOKED, "hex:99");
});
code!(license_revocation_unverified, "license.revocation.unverified", "ok", 0, |host| {
    host.revocation_keys = None;
    host.demand = SignatureDemand::WithKey;
});
code!(license_revocation_stale, "license.revocation.stale", "ok", 0, |host| {
    host.revocations(&REVOKED.replace("2026-07-20", "2026-06-01"), "hex:02");
});
code!(license_revocation_future, "license.revocation.future", "ok", 0, |host| {
    host.revocations(&REVOKED.replace("2026-07-20", "2026-07-24"), "hex:02");
});
code!(license_revocation_older, "license.revocation.older", "invalid", 2, |host| {
    assert_eq!(host.verdict().0, "ok");
    host.revocations(&REVOKED.replace("2026-07-20", "2026-07-19"), "hex:02");
});

code!(license_state_invalid, "license.state.invalid", "invalid", 2, |host| {
    host.write("var/flota/licence-state.json", b"{");
});
code!(license_state_unreadable, "license.state.unreadable", "invalid", 2, |host| {
    fs::create_dir(host.path("var/flota/licence-state.json")).unwrap();
});
code!(license_state_not_kept, "license.state.not_kept", "ok", 0, |host| {
    fs::create_dir(host.path("var/flota/licence-state.lock")).unwrap();
});
code!(license_state_absent, "license.state.absent", "ok", 0, |host| {
    fs::remove_dir(host.path("var/flota")).unwrap();
});

/// The tests above are named after their codes: none is left out of them, of the mends, or of the page.
#[test]
fn every_code_has_a_test_a_mend_and_a_line_in_the_page() {
    let here: String = include_str!("coded.rs").split_whitespace().collect();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/evidence-and-licence.md")).unwrap();
    let mut seen = BTreeSet::new();
    for (code, mend) in codes::MENDS {
        assert!(seen.insert(code), "{code} twice");
        assert!(here.contains(&format!("code!({},\"{code}\"", code.replace('.', "_"))), "{code} has no test");
        assert!(page.contains(&format!("| `{code}` |")), "{code} is not in the page");
        assert!(!mend.is_empty());
    }
    assert_eq!(here.matches(concat!(";code", "!(")).count() + 1, codes::MENDS.len(), "a code has no mend");
    assert_eq!(page.matches("\n| `tpm.").count() + page.matches("\n| `license.").count(), codes::MENDS.len());
}

#[test]
fn a_licence_that_nobody_vouches_for_is_not_remembered() {
    let mut host = Host::new();
    host.licence_keys = None;
    host.licence_with(r#""issued_at":"2026-07-01""#);
    assert_eq!(host.verdict().0, "ok");
    host.licence_keys = Some(oem_keys());
    host.licence(LICENCE, "hex:01", "oem");
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
}

#[test]
fn a_newer_licence_of_another_host_does_not_lock_this_one_out() {
    let host = Host::new();
    host.licence_with(r#""issued_at":"2026-07-01","fingerprint":"OTHER""#);
    assert_eq!(host.verdict().0, "mismatch");
    host.licence(LICENCE, "hex:01", "oem");
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
}

#[test]
fn an_unverified_licence_is_held_against_the_last_one_too() {
    let mut host = Host::new();
    assert_eq!(host.verdict().0, "ok");
    host.licence_keys = None;
    host.licence_with(r#""issued_at":"2025-12-31""#);
    assert_eq!(host.verdict(), ("invalid", 2, vec!["license.unverified", "license.older"]));
}

#[test]
fn a_lic_is_proved_with_its_own_key() {
    let issuer = tpm(7);
    let write = |host: &Host, sequence: u64| {
        let payload = format!(r#"{{"license_id":"L-2","edition":"pro","hwid":"HOST","sequence":{sequence}}}"#);
        let signature = STANDARD.encode(issuer.sign(payload.as_bytes()).as_ref());
        let payload = STANDARD.encode(payload);
        let text = format!(r#"{{"payload_b64":"{payload}","signature_b64":"{signature}"}}"#);
        host.write("license.json", text.as_bytes());
    };
    let mut host = Host::new();
    write(&host, 7);
    // Keys of the other format say nothing about this one.
    assert_eq!(host.verdict(), ("ok", 0, vec!["license.unverified"]));
    host.licence_keys = Some(oem_keys().with_offline_key(&public(&issuer)).unwrap());
    write(&host, 7);
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
    write(&host, 6);
    assert_eq!(host.verdict(), ("invalid", 2, vec!["license.older"]));
    write(&host, 8);
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
}

#[test]
fn a_tpm_module_can_change_keys() {
    let mut host = Host::new();
    host.keyring = format!(r#"{{"keys":{{"tpm-1":"{}","tpm-2":"{}"}}}}"#, public(&tpm(1)), public(&tpm(2)));
    for (seed, id) in [(1, "tpm-1"), (2, "tpm-2")] {
        host.evidence(EVIDENCE, &tpm(seed), Some(id));
        let report = host.check();
        assert_eq!((report.status(), report.signature_key()), (EvidenceStatus::Ok, Some(id)));
    }
    // The name binds: the other key of the ring is not tried.
    host.evidence(EVIDENCE, &tpm(1), Some("tpm-2"));
    assert_eq!(host.verdict(), ("invalid", 2, vec!["tpm.signature.invalid"]));
}

#[test]
fn a_keyring_is_a_file_or_json_with_or_without_keys_around_it() {
    let mut host = Host::new();
    let flat = format!(r#" {{"tpm-1":" {} "}}"#, public(&tpm(1)));
    host.write("keyring.json", flat.as_bytes());
    for keyring in [flat, host.path("keyring.json").display().to_string()] {
        host.keyring = keyring;
        assert_eq!(host.verdict(), ("ok", 0, vec![]));
    }
    host.keyring = "{}".to_owned();
    assert_eq!(host.verdict(), ("unverified", 1, vec!["tpm.key.unknown"]));
}

#[test]
fn keyrings_that_are_ambiguous_or_malformed_are_refused_by_name() {
    let key = public(&tpm(1));
    for (keyring, told) in [
        (format!(r#"{{"keys":{{"tpm-1":"{key}","tpm-1":"{key}"}}}}"#), "names tpm-1 twice"),
        (format!(r#"{{"tpm-1":"{}"}}"#, &key[..62]), "the key tpm-1"),
        (format!(r#"{{"tpm-1":"{key}00"}}"#), "the key tpm-1"),
        (r#"{"tpm-1":""}"#.to_owned(), "the key tpm-1"),
        (r#"{"tpm-1":5}"#.to_owned(), "not an object of key names"),
        ("[]".to_owned(), "not an object of key names"),
        ("{".to_owned(), "not JSON"),
        ("no/such/keyring.json".to_owned(), "reading the keyring no/such/keyring.json failed"),
    ] {
        let host = Host { keyring, ..Host::new() };
        let report = host.check();
        assert_eq!(report.findings()[0].code, "tpm.keyring.invalid");
        assert!(report.findings()[0].message.contains(told), "{}", report.findings()[0].message);
    }
}

#[test]
fn clocks_may_differ_by_five_minutes_when_attesting_and_not_at_the_end() {
    let host = Host::new();
    host.evidence(&EVIDENCE.replace("2026-07-01", "2026-07-23T14:05:00+02:00"), &tpm(1), Some("tpm-1"));
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
    host.evidence(&EVIDENCE.replace("2026-08-01", "2026-07-23T12:00:00.000001Z"), &tpm(1), Some("tpm-1"));
    assert_eq!(host.verdict(), ("ok", 0, vec![]));
}

#[test]
fn the_expected_fingerprint_must_match_in_full_and_agree_with_the_licence() {
    for (expected, status) in
        [(" HOST\n", "ok"), ("", "ok"), ("HOS", "mismatch"), ("HOSTS", "mismatch"), ("host", "mismatch")]
    {
        let host = Host { expected: Some(expected.to_owned()), ..Host::new() };
        assert_eq!(host.verdict().0, status, "{expected:?}");
    }
}

#[test]
fn the_worst_finding_decides_and_all_are_told() {
    let host = Host::new();
    host.evidence(&EVIDENCE.replace("2026-08-01", "2026-07-02").replace("HOST", "OTHER"), &tpm(2), Some("tpm-1"));
    let all = vec!["tpm.signature.invalid", "tpm.fingerprint.mismatch", "tpm.attestation.expired"];
    assert_eq!(host.verdict(), ("invalid", 2, all));
}
