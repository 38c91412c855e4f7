use super::*;

fn at(text: &str) -> Timestamp {
    iso_time::parse(text).unwrap()
}

fn passed(procedure: Procedure, when: &str) -> Record {
    Record { procedure, at: at(when), outcome: Outcome::Passed, proof: Some(Proof::Record { id: "op-1".to_owned() }) }
}

fn inputs(records: impl IntoIterator<Item = Record>) -> ChecklistInputs {
    let mut all = Records::default();
    records.into_iter().for_each(|record| all.insert(record));
    ChecklistInputs { hmac_key: KeyState::Set, export_file: FileState::Present, records: all }
}

fn statuses(inputs: &ChecklistInputs, now: &str) -> Vec<&'static str> {
    evaluate(inputs, at(now)).items().iter().map(|item| item.status.as_str()).collect()
}

fn full() -> ChecklistInputs {
    inputs([
        passed(Procedure::SecurityExport, "2026-07-01T10:00:00"),
        passed(Procedure::PackageCheck, "2026-07-01T10:01:00"),
        passed(Procedure::Update, "2026-07-01T10:02:00"),
        passed(Procedure::TpmEvidence, "2026-07-01T10:03:00"),
        passed(Procedure::ExchangeHealth, "2026-07-01T10:04:00"),
        passed(Procedure::Ticket, "2026-07-01T10:05:00"),
    ])
}

#[test]
fn a_host_that_did_everything_is_done() {
    let checklist = evaluate(&full(), at("2026-07-01T11:00:00"));
    assert!(checklist.is_done());
    assert_eq!(checklist.exit_code(), 0);
    let json = checklist.to_json();
    assert_eq!(json.member("status").and_then(Json::as_str), Some("done"));
    let item = &json.member("items").and_then(Json::as_array).unwrap()[1];
    assert_eq!(
        String::from_utf8(item.canonical()).unwrap(),
        r#"{"evidence":{"record":"op-1"},"id":"package_check","status":"done","title":"update package verified","when":"2026-07-01T10:01:00+00:00"}"#
    );
}

#[test]
fn a_new_host_misses_everything() {
    let inputs = ChecklistInputs { hmac_key: KeyState::Missing, ..inputs([]) };
    assert_eq!(statuses(&inputs, "2026-07-01"), ["missing"; 6]);
}

#[test]
fn results_go_stale_each_at_its_own_age() {
    assert_eq!(statuses(&full(), "2026-07-02T10:03:30"), ["done", "done", "stale", "done", "stale", "done"]);
    assert_eq!(statuses(&full(), "2026-07-09"), ["done", "stale", "stale", "stale", "stale", "done"]);
    // The clock was set back by an hour.
    assert_eq!(statuses(&full(), "2026-07-01T09:00:00"), ["done", "stale", "stale", "stale", "stale", "stale"]);
}

#[test]
fn an_update_undoes_the_health_check_and_the_ticket_before_it() {
    let mut inputs = full();
    inputs.records.insert(passed(Procedure::Update, "2026-07-01T10:30:00"));
    assert_eq!(statuses(&inputs, "2026-07-01T11:00:00"), ["done", "done", "done", "stale", "done", "stale"]);
}

#[test]
fn failures_and_a_deleted_export_are_told() {
    let mut inputs = full();
    inputs.hmac_key = KeyState::Malformed;
    inputs.export_file = FileState::Gone;
    let failed = Record { outcome: Outcome::Failed, ..passed(Procedure::PackageCheck, "2026-07-01T10:10:00") };
    inputs.records.insert(failed);
    assert_eq!(statuses(&inputs, "2026-07-01T11:00:00"), ["failed", "failed", "done", "done", "missing", "done"]);
}

#[test]
fn records_survive_and_an_older_result_does_not_replace_a_newer_one() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(load(root.path()).unwrap(), Records::default());
    let newer = Record {
        proof: Some(Proof::File { path: "exports/security/a.json".to_owned(), sha256: [7; 32] }),
        ..passed(Procedure::SecurityExport, "2026-07-01T10:00:00.25")
    };
    record(root.path(), newer.clone()).unwrap();
    record(root.path(), passed(Procedure::SecurityExport, "2026-07-01T09:00:00")).unwrap();
    record(root.path(), passed(Procedure::Ticket, "2026-07-01T09:00:00")).unwrap();
    let records = load(root.path()).unwrap();
    assert_eq!(records.last(Procedure::SecurityExport), Some(&newer));
    assert!(records.last(Procedure::Ticket).is_some());
}

#[test]
fn results_recorded_at_the_same_time_are_all_kept() {
    let root = tempfile::tempdir().unwrap();
    let procedures =
        [Procedure::SecurityExport, Procedure::PackageCheck, Procedure::TpmEvidence, Procedure::ExchangeHealth];
    std::thread::scope(|scope| {
        for procedure in procedures {
            let root = root.path();
            scope.spawn(move || record(root, passed(procedure, "2026-07-01")).unwrap());
        }
    });
    let records = load(root.path()).unwrap();
    assert!(procedures.into_iter().all(|procedure| records.last(procedure).is_some()));
}

#[test]
fn a_file_of_another_format_is_refused_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("var/flota/procedures.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, r#"{"version": 2}"#).unwrap();
    let result = record(root.path(), passed(Procedure::Ticket, "2026-07-01"));
    assert!(matches!(result, Err(RecordsError::UnknownFormat { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"version": 2}"#);
}
