//! `golden/tpm`: what the bot's script answered, and where we differ on purpose. Every code by name is in [`coded`].

mod coded;
mod standing;

use std::fs;
use std::path::PathBuf;

use flota_seal::json::Json;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/tpm");

/// Where the bot's script is weaker than its manual: our status.
const DIFFERENCES: &[(&str, EvidenceStatus)] = &[
    ("02_bad_signature", EvidenceStatus::Invalid),
    ("06_expired", EvidenceStatus::Expired),
    ("07_fingerprint_mismatch", EvidenceStatus::Mismatch),
    ("08_no_signature", EvidenceStatus::Unverified),
    ("11_fingerprint_match_first16", EvidenceStatus::Mismatch),
    ("15_no_keyring", EvidenceStatus::Unverified),
    ("26_payload_is_document", EvidenceStatus::Unverified),
    ("28_short_signature", EvidenceStatus::Invalid),
];

fn now() -> Timestamp {
    "2026-07-23T12:00:00Z".parse().unwrap()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(GOLDEN).join("files").join(name)
}

fn request(evidence: &Path) -> EvidenceRequest<'_> {
    EvidenceRequest::new(evidence, now())
}

#[test]
fn every_case_of_the_bot_is_answered_as_it_answers_or_as_the_table_says() {
    let cases = Json::parse(&fs::read(format!("{GOLDEN}/cases.json")).unwrap()).unwrap();
    let cases = cases.member("cases").unwrap().as_array().unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let name = case.member("name").unwrap().as_str().unwrap();
        let report = run(case);
        let bot = case.member("bot").unwrap();
        let difference = DIFFERENCES.iter().find(|(case, _)| *case == name);
        let stdout = bot.member("stdout").unwrap();
        if let Some((_, status)) = difference {
            assert_eq!(report.status(), *status, "{name}");
        } else {
            assert_eq!(Some(&report.status().as_str().into()), stdout.member("status"), "{name}");
            assert_eq!(Some(u64::from(report.exit_code())), bot.member("exit_code").unwrap().as_u64(), "{name}");
        }
        compare(name, &report.to_json(), stdout, difference.is_some());
    }
}

/// Runs the check as the command would, in the folder of the cases.
fn run(case: &Json) -> EvidenceReport {
    let args: Vec<&str> =
        case.member("args").unwrap().as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let flag = |name| args.iter().position(|arg| *arg == name).map(|at| args[at + 1]);
    let keyring_file = flag("--keyring").map(|name| file(name).to_str().unwrap().to_owned());
    let keyring =
        keyring_file.or_else(|| Some(case.member("env")?.member("BOT_CORE_TPM_PUBLIC_KEYS")?.as_str()?.to_owned()));
    let evidence = file(args[0]);
    check_tpm_status(&EvidenceRequest {
        keyring: keyring.as_deref(),
        expected_fingerprint: flag("--expected-fingerprint"),
        ..request(&evidence)
    })
}

/// Every field that the bot wrote; the counts only where we mean to say the same.
fn compare(name: &str, ours: &Json, stdout: &Json, differs: bool) {
    for (field, value) in stdout.as_object().into_iter().flatten() {
        let findings = |list: &str, member: &str| {
            let list = ours.member(list).unwrap().as_array().unwrap();
            list.iter().map(|finding| finding.member(member).unwrap().clone()).collect::<Vec<_>>()
        };
        match field.as_str() {
            "evidence_path" => {
                let path = ours.member("evidence_path").unwrap().as_str().unwrap();
                assert!(path.ends_with(value.as_str().unwrap()), "{name}");
            }
            "errors_count" if !differs => {
                assert_eq!(Some(findings("errors", "code").len() as u64), value.as_u64(), "{name}: {}", ours.pretty());
            }
            "warnings_count" if !differs => {
                assert_eq!(
                    Some(findings("warnings", "code").len() as u64),
                    value.as_u64(),
                    "{name}: {}",
                    ours.pretty()
                );
            }
            "status" | "errors_count" | "warnings_count" => {}
            "error_codes" => assert_eq!(findings("errors", "code"), value.as_array().unwrap(), "{name}"),
            "warning_codes" => assert_eq!(findings("warnings", "code"), value.as_array().unwrap(), "{name}"),
            _ => assert_eq!(ours.member(field), Some(value), "{name}: {field}"),
        }
    }
}

/// Judges a document against the keyring of the cases.
fn judged(document: &str, expected: Option<&str>) -> EvidenceReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.json");
    fs::write(&path, document).unwrap();
    let keyring = file("keyring.json");
    let keyring = keyring.to_str();
    check_tpm_status(&EvidenceRequest { keyring, expected_fingerprint: expected, ..request(&path) })
}

#[test]
fn ok_needs_time_signature_and_the_whole_fingerprint_at_once() {
    let evidence = file("01_good.json");
    let keyring = fs::read_to_string(file("keyring.json")).unwrap();
    let good = EvidenceRequest { keyring: Some(&keyring), ..request(&evidence) };
    assert_eq!(check_tpm_status(&good).status(), EvidenceStatus::Ok);
    assert_eq!(check_tpm_status(&good).signature_key(), Some("tpm-1"));
    let at = |text: &str| check_tpm_status(&EvidenceRequest { now: text.parse().unwrap(), ..good }).status();
    assert_eq!(at("2046-06-30T23:59:59Z"), EvidenceStatus::Ok);
    assert_eq!(at("2046-07-01T00:00:00Z"), EvidenceStatus::Expired);
    let whole = Some(" ABCD-EF01-2345-6789-ABCD ");
    let request = EvidenceRequest { expected_fingerprint: whole, ..good };
    assert_eq!(check_tpm_status(&request).status(), EvidenceStatus::Ok);
    let request = EvidenceRequest { expected_fingerprint: Some("ABCD"), ..good };
    assert_eq!(check_tpm_status(&request).exit_code(), 1);
}

#[test]
fn a_signature_without_a_key_name_is_checked_with_the_only_key() {
    let signed = fs::read_to_string(file("01_good.json")).unwrap().replace("\"key_id\": \"tpm-1\"", "\"key_id\": null");
    assert_eq!(judged(&signed, None).status(), EvidenceStatus::Ok);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.json");
    fs::write(&path, signed).unwrap();
    let two = file("keyring-flat.json");
    let report = check_tpm_status(&EvidenceRequest { keyring: two.to_str(), ..request(&path) });
    assert_eq!(report.status(), EvidenceStatus::Unverified);
    assert_eq!(report.findings()[0].code, "tpm.signature.missing_key_id");
}

#[test]
fn two_payloads_that_differ_are_refused() {
    let good = fs::read_to_string(file("09_payload_b64.json")).unwrap();
    let added = good.replacen('{', r#"{"payload": {"fingerprint": "OTHER"},"#, 1);
    assert_eq!(judged(&added, None).status(), EvidenceStatus::Invalid);
}

#[test]
fn fingerprints_that_disagree_or_are_not_there_are_a_mismatch() {
    let disagreeing = r#"{"fingerprint": "A", "sealed_fingerprint": "B"}"#;
    assert_eq!(judged(disagreeing, None).status(), EvidenceStatus::Mismatch);
    assert_eq!(judged(disagreeing, Some("A")).status(), EvidenceStatus::Mismatch);
    assert_eq!(judged("{}", None).status(), EvidenceStatus::Mismatch);
    assert_eq!(judged(r#"{"sealed_fingerprint": "A"}"#, Some("A")).status(), EvidenceStatus::Unverified);
}

#[test]
fn short_keys_are_refused() {
    let short = file("keyring-short.json");
    assert!(matches!(Keyring::load(short.to_str().unwrap()), Err(KeyringError::BadKey(id)) if id == "tpm-1"));
}

#[test]
fn the_licence_says_which_host_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let licence = folder.path().join("license.json");
    let write = |fingerprint: &str, expires_at: &str| {
        let text = format!(
            r#"{{"payload": {{"schema": "core.oem.license", "schema_version": "1.0", "license_id": "L", "profile": "pro",
            "issued_at": "2026-01-01", "expires_at": "{expires_at}", "fingerprint": {{"value": "{fingerprint}"}}}},
            "signature": {{"algorithm": "HMAC-SHA256", "value": "{}=", "key_id": "oem"}}}}"#,
            "A".repeat(43)
        );
        fs::write(&licence, text).unwrap();
    };
    let evidence = file("01_good.json");
    let keyring = file("keyring.json");
    let with_licence = EvidenceRequest { keyring: keyring.to_str(), licence: Some(&licence), ..request(&evidence) };

    write("ABCD-EF01-2345-6789-ABCD", "2027-01-01");
    let report = check_tpm_status(&with_licence);
    assert_eq!(report.status(), EvidenceStatus::Ok);
    assert_eq!(report.to_json().member("expected_fingerprint").unwrap().as_str(), Some("ABCD-EF01-2345-6789-ABCD"));
    assert_eq!(report.findings()[0].code, "license.unverified");

    let keys = LicenceKeys::default().with_oem_keys(br#"{"keys": {"oem": "hex:01"}}"#, "test").unwrap();
    let forged = check_tpm_status(&EvidenceRequest { licence_keys: Some(&keys), ..with_licence });
    assert_eq!(forged.status(), EvidenceStatus::Invalid);

    write("ABCD-EF01-2345-6789-ABCD", "2026-02-01");
    assert_eq!(check_tpm_status(&with_licence).status(), EvidenceStatus::Expired);
    write("OTHER", "2027-01-01");
    assert_eq!(check_tpm_status(&with_licence).status(), EvidenceStatus::Mismatch);
}
