//! The agent's own files.

use flota_agent::settings::Settings;
use flota_model::Digest;
use flota_updater::Journal;

use crate::{Reach, scratch};

/// Settings are whole: every path can be opened from anywhere. What is refused says at least one reason.
pub(crate) fn settings(input: &[u8]) -> Reach {
    let Ok(text) = std::str::from_utf8(input) else { return Reach::Refused };
    match Settings::parse(text, "ORIGIN") {
        Ok(settings) => {
            let export = &settings.export;
            let mut paths = vec![&settings.root, &settings.state_dir, &settings.controller.ca_file];
            paths.extend([&export.audit_path, &export.alerts_path, &export.output_dir, &export.key_file]);
            paths.extend(&export.include_logs);
            assert!(paths.iter().all(|path| path.is_absolute()), "{paths:?}");
            Reach::Accepted
        }
        Err(problems) => {
            assert!(problems.iter().count() > 0, "refused without a reason");
            Reach::Refused
        }
    }
}

/// The state of a journal file is written and read again as it was; a damaged file never keeps the journal shut.
///
/// The input is tried as it is and as a state under a right checksum, which no fuzzer would find.
pub(crate) fn journal(input: &[u8]) -> Reach {
    match journal_file(input) {
        Reach::Accepted => Reach::Accepted,
        Reach::Refused => std::str::from_utf8(input).map_or(Reach::Refused, |body| journal_file(&sealed(body))),
    }
}

fn journal_file(contents: &[u8]) -> Reach {
    let folder = scratch::folder();
    scratch::write(folder.path(), "update.a.json", contents);
    let peeked = Journal::peek(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let (journal, opened) = Journal::open(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(peeked, opened);
    let is_kept_aside = folder.path().join("update.a.json.corrupt").exists();
    assert_eq!(is_kept_aside, opened.is_none(), "a damaged file is kept for people");
    let Some(state) = opened else { return Reach::Refused };
    journal.write(&state).unwrap_or_else(|error| panic!("{error}"));
    let again = Journal::peek(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again, Some(state));
    Reach::Accepted
}

/// A journal file with that state in it. The header names the sequence that the state has.
fn sealed(body: &str) -> Vec<u8> {
    let rest = body.split_once("\"sequence\":").map_or("", |(_, rest)| rest);
    let digits = rest.trim_start().split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
    format!("{{\"sequence\":{digits},\"sha256\":\"{}\"}}\n{body}\n", Digest::of(body.as_bytes())).into_bytes()
}
