//! `golden/update`: what the bot's script answered, and where we differ on purpose.

use super::*;
use crate::key;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/update");

/// Where the bot's script is weaker than its manual: our exit code, and `signature_valid` if there is a report.
const DIFFERENCES: &[(&str, u8, Option<bool>)] = &[
    ("07_size_mismatch", 1, Some(true)),
    ("10_invalid_json_manifest", 2, None),
    ("11_missing_version", 2, None),
    ("12_hmac_sha384", 0, Some(true)),
    ("13_no_manifest", 2, None),
    ("14_manifest_is_list", 2, None),
    ("19_no_hash", 2, None),
    ("20_extra_artifact_field_signed", 0, Some(true)),
    ("22_type_uppercase_signed", 0, Some(true)),
    ("23_type_uppercase_after_signing", 1, Some(false)),
    ("28_size_float", 2, None),
    ("29_baseId_alias_signed", 0, Some(true)),
    ("37_version_number", 2, None),
    ("39_bad_key_hex", 2, None),
    ("41_empty_base_id_signed", 0, Some(true)),
];

/// Warnings that the bot's script does not have: an unsigned package, an empty list, files that nobody lists.
const MORE_WARNINGS: &[(&str, usize)] =
    &[("06b_no_signature_no_key", 1), ("15_empty_artifacts", 3), ("31_key_from_file", 1)];

#[test]
fn every_case_of_the_bot_is_answered_as_it_answers_or_as_the_table_says() {
    let cases = Json::parse(&fs::read(format!("{GOLDEN}/cases.json")).unwrap()).unwrap();
    let cases = cases.member("cases").unwrap().as_array().unwrap();
    assert_eq!(cases.len(), 32);
    for case in cases {
        let name = case.member("name").unwrap().as_str().unwrap();
        let (exit, document) = run(case.member("args").unwrap());
        let bot = case.member("bot").unwrap();
        match DIFFERENCES.iter().find(|(case, ..)| *case == name) {
            None => compare(name, exit, &document, bot),
            Some((_, expected_exit, signature_valid)) => {
                assert_eq!(exit, *expected_exit, "{name}");
                let status = ["ok", "failed", "error"][usize::from(exit)];
                assert_eq!(document.member("status"), Some(&Json::from(status)), "{name}");
                assert_eq!(document.member("signature_valid"), signature_valid.map(Json::Bool).as_ref(), "{name}");
            }
        }
    }
}

#[test]
fn the_report_names_every_file_to_mend() {
    let source = Path::new(GOLDEN).join("files/07_size_mismatch");
    let report = check_with_key(&source).unwrap();
    assert_eq!(codes(&report), [("payload.tar", "size_mismatch")]);
    let artifact = &report.to_json().member("artifacts").unwrap().as_array().unwrap()[0].clone();
    assert_eq!(artifact.member("expected").unwrap().member("size").unwrap().as_u64(), Some(5));
    assert_eq!(artifact.member("actual").unwrap().member("size").unwrap().as_u64(), Some(10_000));

    let source = Path::new(GOLDEN).join("files/03_missing_file");
    assert_eq!(codes(&check_with_key(&source).unwrap()), [("sub/poprawka-ż.bin", "missing")]);
}

/// Runs the check as the command would, in the folder of the cases.
fn run(args: &Json) -> (u8, Json) {
    let files = Path::new(GOLDEN).join("files");
    let args: Vec<&str> = args.as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let flag = |name| args.iter().position(|arg| *arg == name).map(|at| args[at + 1]);
    let key_value = flag("--hmac-key").map(|value| match files.join(value) {
        path if path.is_file() => path.to_str().unwrap().to_owned(),
        _ => value.to_owned(),
    });
    let key = match key_value.map(|value| key::load(&value, "--hmac-key")).transpose() {
        Ok(key) => key,
        Err(error) => {
            let members = [("status", Json::from("error")), ("message", Json::from(error.to_string().as_str()))];
            return (EXIT_CANNOT_CHECK, Json::object(members));
        }
    };
    let (source, signature) = (files.join(args[0]), flag("--signature").map(|path| files.join(path)));
    let request =
        CheckRequest { key: key.as_ref(), signature: signature.as_deref(), ..CheckRequest::new(&source, now()) };
    match check(&request) {
        Ok(report) => (report.exit_code(), report.to_json()),
        Err(error) => (EXIT_CANNOT_CHECK, error.to_json()),
    }
}

fn compare(name: &str, exit: u8, document: &Json, bot: &Json) {
    assert_eq!(Some(u64::from(exit)), bot.member("exit_code").unwrap().as_u64(), "{name}: {}", document.pretty());
    let stdout = bot.member("stdout").unwrap();
    for field in ["status", "signature_valid", "signature_checked", "license_ok", "audit"] {
        assert_eq!(document.member(field), stdout.member(field), "{name}: {field}");
    }
    let count = |field| document.member(field).unwrap().as_array().unwrap().len();
    let bot_count = |field| usize::try_from(stdout.member(field).unwrap().as_u64().unwrap()).unwrap();
    assert_eq!(count("errors"), bot_count("errors_count"), "{name}: {}", document.pretty());
    let more = MORE_WARNINGS.iter().find(|(case, _)| *case == name).map_or(0, |(_, more)| *more);
    assert_eq!(count("warnings"), bot_count("warnings_count") + more, "{name}: {}", document.pretty());
}
