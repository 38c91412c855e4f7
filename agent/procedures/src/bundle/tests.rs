use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bundle");

fn key() -> Secret {
    Secret::decode("hex:1111111111111111111111111111111111111111111111111111111111111111", "test").unwrap()
}

fn now() -> Timestamp {
    "2026-11-23T10:00:00.123456Z".parse().unwrap()
}

fn read(path: &Path) -> Json {
    Json::parse(&fs::read(path).unwrap()).unwrap()
}

fn text<'a>(json: &'a Json, path: &str) -> Option<&'a str> {
    path.split('.').try_fold(json, |json, name| json.member(name))?.as_str()
}

/// An installation with these files.
fn installation(files: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("logs")).unwrap();
    for (name, contents) in files {
        fs::write(root.path().join(name), contents).unwrap();
    }
    root
}

/// Exports and returns the report with the bundle, after checking what holds for every export.
fn exported(request: &ExportRequest) -> (ExportReport, Json) {
    let report = export(request, now(), &key(), Some("ops-1")).unwrap();
    let path = request.root.join(report.bundle_path());
    assert!(verify(&path, &key()).is_valid());
    let document = read(&path);
    assert_eq!(document.pretty(), fs::read_to_string(&path).unwrap());
    (report, document.member("bundle").unwrap().clone())
}

fn entries(bundle: &Json) -> String {
    String::from_utf8(bundle.member("audit").and_then(|audit| audit.member("entries")).unwrap().canonical()).unwrap()
}

/// The value of a case's flag; the last one of several.
fn flag<'a>(args: &'a [Json], name: &str) -> Option<&'a str> {
    args.windows(2).filter(|pair| pair[0].as_str() == Some(name)).filter_map(|pair| pair[1].as_str()).next_back()
}

/// The names of the logs lose their folder: the bot ran in `/opt/bot`.
fn logs_by_file_name(bundle: &Json) -> Json {
    let mut members = bundle.as_object().unwrap().clone();
    if let Some(Json::Object(logs)) = members.remove("logs") {
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        members.insert("logs".into(), Json::object(logs.into_iter().map(|(path, end)| (base(&path), end))));
    }
    Json::Object(members)
}

#[test]
fn every_export_of_the_bot_comes_out_the_same() {
    let cases = read(Path::new(&format!("{GOLDEN}/cases.json")));
    let outputs = tempfile::tempdir().unwrap();
    for case in cases.member("cases").and_then(Json::as_array).unwrap() {
        let name = text(case, "name").unwrap();
        let args = case.member("args").and_then(Json::as_array).unwrap();
        let metadata = flag(args, "--metadata").map_or(Ok(Metadata::default()), Metadata::parse);
        let dropped = |variable: &str| {
            let dropped = case.member("env_dropped").and_then(Json::as_array).unwrap_or_default();
            dropped.iter().any(|name| name.as_str() == Some(variable))
        };
        let key_text = if dropped("BOT_CORE_SECURITY_AUDIT_KEY") { Some("") } else { flag(args, "--key") }
            .or_else(|| text(case, "env.BOT_CORE_SECURITY_AUDIT_KEY"))
            .or_else(|| text(&cases, "default_key"));
        let key = Secret::decode(key_text.unwrap(), "the test");
        // Deliberate difference: one undecodable line does not lose the export.
        if text(case, "bundle_file").is_none() && name != "12_bad_utf8_audit" {
            assert!(metadata.is_err() || key.is_err(), "{name}: the bot refuses this");
            continue;
        }
        let (metadata, key) = (metadata.unwrap(), key.unwrap());
        let key_id = if dropped("BOT_CORE_SECURITY_AUDIT_KEY_ID") { None } else { flag(args, "--key-id") }
            .or_else(|| text(&cases, "default_key_id").filter(|_| !dropped("BOT_CORE_SECURITY_AUDIT_KEY_ID")));

        let recorded = text(case, "bundle_file").map(|file| PathBuf::from(format!("{GOLDEN}/files/{file}")));
        let instant = text(case, "bot.stdout.generated_at").map_or(now(), |text| iso_time::parse(text).unwrap());
        let root = PathBuf::from(format!("{GOLDEN}/files"));
        let output = outputs.path().join(flag(args, "--output-dir").unwrap());
        let logs = args.windows(2).filter(|pair| pair[0].as_str() == Some("--include-log"));
        let logs: Vec<PathBuf> = logs.filter_map(|pair| pair[1].as_str()).map(PathBuf::from).collect();
        let report = if args[0].as_str() == Some("export-audit") {
            let request = AuditExportRequest {
                audit: flag(args, "--log-path").unwrap().into(),
                output,
                metadata,
                limit: flag(args, "--limit").and_then(|limit| NonZeroU64::new(limit.parse().unwrap())),
                root,
            };
            export_audit(&request, instant, &key, key_id)
        } else {
            let request = ExportRequest {
                audit: flag(args, "--audit-path").unwrap().into(),
                alerts: flag(args, "--alerts-path").unwrap().into(),
                logs: if logs.is_empty() { Logs::Default } else { Logs::These(logs.clone()) },
                output,
                metadata,
                ..ExportRequest::new(root)
            };
            export(&request, instant, &key, key_id)
        }
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(report.status(), Status::Ok, "{name}");
        assert!(verify(report.bundle_path(), &key).is_valid(), "{name}");
        let Some(recorded) = recorded else { continue };
        assert!(verify(&recorded, &key).is_valid(), "{name}: the bot's own");

        let (ours, theirs) = (read(report.bundle_path()), read(&recorded));
        let (ours, theirs) = (ours.member("bundle").unwrap(), theirs.member("bundle").unwrap());
        assert_eq!(logs_by_file_name(ours), logs_by_file_name(theirs), "{name}");
        let (ours, theirs) = (report.to_json(), case.member("bot").and_then(|bot| bot.member("stdout")).unwrap());
        for (field, theirs) in theirs.as_object().unwrap() {
            let differs_by_path = field == "bundle_path" || field == "signature" && !logs.is_empty();
            assert!(differs_by_path || ours.member(field) == Some(theirs), "{name}: {field}");
        }
    }
}

#[test]
fn defaults_are_the_manuals() {
    let root = installation(&[
        ("logs/security_admin.log", b"{\"a\":1}\n"),
        ("logs/security_alerts.log", b"{\"b\":1}\n\n{\"b\":2}\n"),
        ("logs/trading_controller.log", b"one\ntwo\n"),
    ]);
    let (report, bundle) = exported(&ExportRequest::new(root.path()));
    assert_eq!(report.bundle_path(), Path::new("exports/security/security_bundle_20261123T100000Z.json"));
    assert_eq!(report.generated_at(), "2026-11-23T10:00:00.123456+00:00");
    assert_eq!((report.audit_entries(), report.alert_entries()), (1, Some(2)));
    let log = fs::canonicalize(root.path()).unwrap().join("logs/trading_controller.log");
    let log = bundle.member("logs").and_then(|logs| logs.member(log.to_str().unwrap())).unwrap();
    assert_eq!(log.canonical(), br#"{"line_count":2,"tail":["one","two"]}"#);
    let document = report.to_json();
    assert_eq!(document.member("entry_count").and_then(Json::as_u64), Some(3));
    assert_eq!(document.member("files").and_then(Json::as_array).map(<[Json]>::len), Some(3));

    let mode = fs::metadata(root.path().join(report.bundle_path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read_dir(root.path().join("exports/security")).unwrap().count(), 1);
}

#[test]
fn exports_of_the_same_second_stand_side_by_side_and_a_named_file_is_replaced() {
    let root = installation(&[("logs/security_admin.log", b"1\n")]);
    let request = ExportRequest::new(root.path());
    let names: Vec<_> = (0..3).map(|_| exported(&request).0.bundle_path().to_owned()).collect();
    assert_eq!(names[1], Path::new("exports/security/security_bundle_20261123T100000Z-2.json"));
    assert_eq!(names[2], Path::new("exports/security/security_bundle_20261123T100000Z-3.json"));

    let request = ExportRequest { output: "out/bundle.json".into(), ..request };
    for _ in 0..2 {
        assert_eq!(exported(&request).0.bundle_path(), Path::new("out/bundle.json"));
    }
    assert_eq!(fs::read_dir(root.path().join("out")).unwrap().count(), 1);

    let audit = export_audit(&AuditExportRequest::new(root.path()), now(), &key(), None).unwrap();
    assert_eq!(audit.bundle_path(), Path::new("exports/security/security_audit_20261123T100000Z.json"));
    assert_eq!(audit.to_json().member("alert_entries"), None);
}

#[test]
fn what_is_not_a_regular_file_is_named_and_neither_followed_nor_waited_for() {
    let root = installation(&[("logs/real.log", b"secret\n")]);
    let path = |name: &str| root.path().join("logs").join(name);
    mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    symlink("real.log", path("link")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    let (report, bundle) = exported(&ExportRequest {
        audit: "logs/pipe".into(),
        alerts: "logs/link".into(),
        logs: Logs::These(vec!["logs/pipe".into(), "logs/link".into(), "logs/folder".into(), "logs/real.log".into()]),
        ..ExportRequest::new(root.path())
    });
    assert_eq!(report.status(), Status::Partial);
    let unreadable = report.files().iter().filter(|file| matches!(file.state, FileState::Unreadable { .. }));
    let names: Vec<_> = unreadable.map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["link", "pipe", "folder", "link", "pipe"]);
    assert_eq!(text(&bundle, "audit.error"), Some("it is not a regular file"));
    assert_eq!(text(&bundle, "alerts.error"), Some("it is a symbolic link: name the file itself"));
    assert_eq!(bundle.member("logs").and_then(Json::as_object).map(BTreeMap::len), Some(4));
}

#[test]
fn lines_that_are_no_entries_are_kept_as_text() {
    let (report, bundle) = {
        let log = b"{\"ok\":1}\r\n \x1c \n\x0b not json \xff\n\"\\ud83d\"\n[NaN]\n{\"torn\": tr";
        let root = installation(&[("logs/security_admin.log", log)]);
        exported(&ExportRequest::new(root.path()))
    };
    assert_eq!(
        entries(&bundle),
        "[{\"ok\":1},{\"raw\":\"not json \u{fffd}\"},{\"raw\":\"\\\"\\\\ud83d\\\"\"},[NaN],{\"raw\":\"{\\\"torn\\\": tr\"}]"
    );
    assert_eq!(report.status(), Status::Ok);
    let audit = report.files().iter().find(|file| file.role == Role::Audit).unwrap();
    assert_eq!(audit.state, FileState::Read { count: 5, undecodable: 1 });
}

#[test]
fn the_first_digits_of_a_number_are_not_taken_for_it() {
    for (log, expected) in [
        ("{\"a\":1}\n12", r#"[{"a":1},{"raw":"12"}]"#),
        ("{\"a\":1}\n12\n", r#"[{"a":1},12]"#),
        ("{\"a\":1}", r#"[{"a":1}]"#),
    ] {
        let root = installation(&[("logs/security_admin.log", log.as_bytes())]);
        assert_eq!(entries(&exported(&ExportRequest::new(root.path())).1), expected);
    }
}

#[test]
fn a_limit_takes_the_last_entries() {
    let root = installation(&[("logs/security_admin.log", b"1\n\n2\n3\n\n")]);
    for (limit, expected) in [(None, "[1,2,3]"), (NonZeroU64::new(2), "[2,3]"), (NonZeroU64::new(9), "[1,2,3]")] {
        let request = AuditExportRequest { limit, ..AuditExportRequest::new(root.path()) };
        let report = export_audit(&request, now(), &key(), None).unwrap();
        let document = read(&root.path().join(report.bundle_path()));
        let entries = document.member("bundle").and_then(|bundle| bundle.member("entries")).unwrap();
        assert_eq!(entries.canonical(), expected.as_bytes());
    }
}

#[test]
fn ends_of_long_logs_are_those_of_the_whole_text() {
    // Lines of growing length, so that the 50 last ones need several windows, with breaks of several bytes.
    let mut log = String::new();
    for line in 0..3000 {
        let _ = write!(log, "{line} {}{}", "ż".repeat(line), ["\n", "\r\n", "\u{2028}", "\u{85}"][line % 4]);
    }
    let root = installation(&[("logs/trading_controller.log", log.as_bytes())]);
    let (report, bundle) = exported(&ExportRequest::new(root.path()));
    let end = bundle.member("logs").and_then(Json::as_object).unwrap().values().next().unwrap();
    assert_eq!(end.member("line_count").and_then(Json::as_u64), Some(3000));
    let lines: Vec<_> = lines::split(log.as_bytes()).map(String::from_utf8_lossy).collect();
    let expected: Vec<Json> = lines[2950..].iter().map(|line| Json::from(line.as_ref())).collect();
    assert_eq!(end.member("tail").and_then(Json::as_array), Some(expected.as_slice()));
    assert_eq!(report.status(), Status::Ok);
}

#[test]
fn endless_lines_are_cut_and_the_report_says_so() {
    let line = vec![b'x'; 5 << 20];
    let root = installation(&[("logs/security_admin.log", &line), ("logs/trading_controller.log", &line)]);
    let (report, bundle) = exported(&ExportRequest::new(root.path()));
    assert_eq!(report.status(), Status::Partial);
    let states: Vec<_> = report.files().iter().map(|file| &file.state).collect();
    assert!(matches!(states[..], [FileState::Missing, FileState::Partial { .. }, FileState::Partial { count: 1, .. }]));
    let end = bundle.member("logs").and_then(Json::as_object).unwrap().values().next().unwrap();
    let tail = end.member("tail").and_then(Json::as_array).unwrap();
    assert_eq!(tail[0].as_str().map(str::len), Some(4 << 20));
    assert!(text(&bundle, "audit.error").unwrap().contains("longer than 262144 bytes"));
}

/// A log as it was when the export opened it; what the test does to it comes next.
fn opened(path: &Path) -> source::Snapshot {
    let Source::Open(snapshot) = Source::open(path) else { panic!("the log is there") };
    snapshot
}

#[test]
fn a_log_that_is_rotated_while_it_is_read_is_read_to_its_end() {
    let root = installation(&[("logs/security_admin.log", b"{\"n\":1}\n{\"n\":2}\n")]);
    let path = root.path().join("logs/security_admin.log");
    let snapshot = opened(&path);
    fs::rename(&path, root.path().join("logs/security_admin.log.1")).unwrap();
    fs::write(&path, b"{\"n\":3}\n").unwrap();
    let mut entries = Entries::new(snapshot, None);
    assert_eq!(entries.by_ref().count(), 2);
    assert_eq!(entries.into_state(), FileState::Read { count: 2, undecodable: 0 });
}

#[test]
fn a_log_that_is_truncated_while_it_is_read_is_said_to_be() {
    let root = installation(&[("logs/security_admin.log", b"{\"n\":1}\n{\"n\":2}\n")]);
    let path = root.path().join("logs/security_admin.log");
    let truncate = || fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(12).unwrap();
    let (snapshot, log) = (opened(&path), opened(&path));
    truncate();
    let mut entries = Entries::new(snapshot, None);
    let texts: Vec<_> = entries.by_ref().map(|entry| String::from_utf8(entry.canonical()).unwrap()).collect();
    assert_eq!(texts, [r#"{"n":1}"#, r#"{"raw":"{\"n\""}"#]);
    let problem = "it was truncated while it was read: of 16 bytes only 12 were left".to_owned();
    assert_eq!(entries.into_state(), FileState::Partial { count: 2, undecodable: 0, problem: problem.clone() });

    let (count, tail, state) = tail::read_open(&log, 50, &mut Ledger::open(root.path())).unwrap();
    assert_eq!((count, tail), (2, vec![r#"{"n":1}"#.into(), r#"{"n""#.into()]));
    assert_eq!(state, FileState::Partial { count: 2, undecodable: 0, problem });
}

#[test]
fn changed_exports_and_wrong_keys_are_told_from_valid_ones() {
    let root = installation(&[("logs/security_admin.log", b"{\"actor\":\"ops\"}\n")]);
    let report = export(&ExportRequest::new(root.path()), now(), &key(), Some("ops-1")).unwrap();
    let path = root.path().join(report.bundle_path());
    assert!(matches!(verify(&path, &key()), Verdict::Valid { key_id: Some(id), .. } if id == "ops-1"));

    let other = Secret::decode("another", "test").unwrap();
    assert!(matches!(verify(&path, &other), Verdict::Invalid(InvalidBundle::Mismatch(_))));
    let verdict_on = |contents: &str| {
        fs::write(&path, contents).unwrap();
        verify(&path, &key())
    };
    let changed = fs::read_to_string(&path).unwrap().replace("\"ops\"", "\"eve\"");
    assert!(matches!(verdict_on(&changed), Verdict::Invalid(InvalidBundle::Mismatch(_))));
    assert!(matches!(verdict_on("{\"bundle\":1}"), Verdict::Invalid(InvalidBundle::NoMember("signature"))));
    assert!(matches!(verdict_on("{\"bundle\":1,\"signature\":{}}"), Verdict::Invalid(InvalidBundle::Malformed(_))));
    let not_json = verdict_on("not json");
    assert_eq!(text(&not_json.to_json(), "status"), Some("invalid"));
    assert!(text(&not_json.to_json(), "error").unwrap().ends_with("at line 1 (byte 0)"));
    assert!(!verify(&root.path().join("missing"), &key()).is_valid());
}

#[test]
fn an_export_that_cannot_be_placed_leaves_nothing_and_says_why() {
    let root = installation(&[("logs/security_admin.log", b"1\n"), ("taken", b"")]);
    let request = ExportRequest { output: "taken/here".into(), ..ExportRequest::new(root.path()) };
    let error = export(&request, now(), &key(), None).unwrap_err();
    assert!(matches!(error, ExportError::CreateFolder { folder, .. } if folder.ends_with("taken/here")));
}
