//! Decisions on made-up hosts; restoring on real folders.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;

fn release(name: &str, origin: Origin, refused: Option<&str>) -> FoundRelease {
    let digest = Digest::of(name.as_bytes());
    FoundRelease { digest, version: name.into(), path: name.into(), origin, refused: refused.map(str::to_owned) }
}

#[test]
fn what_ran_last_is_the_last_approved_update() {
    let [a, b, c] = ["1.0", "2.0", "3.0"].map(|name| release(name, Origin::Present, None));
    let ran = release("1.5", Origin::Journal, None);
    let current = release("1.4", Origin::Current, None);
    let all = [a.clone(), current.clone(), ran.clone(), b.clone()];
    assert_eq!(choose_update(&all), Ok(&ran));
    assert_eq!(choose_update(&[a.clone(), current.clone(), b]), Ok(&current));
    assert_eq!(choose_update(std::slice::from_ref(&a)), Ok(&a));
    assert!(matches!(choose_update(&[a.clone(), c]), Err(NoUpdate::Ambiguous(names)) if names.contains("3.0")));
    assert_eq!(choose_update(&[]), Err(NoUpdate::Nothing));
    let damaged = release("1.5", Origin::Journal, Some("damaged"));
    assert_eq!(choose_update(&[damaged, current.clone()]), Ok(&current));
}

#[test]
fn nothing_is_taken_in_place_of_what_the_operator_named() {
    let good = release("1.0", Origin::Journal, None);
    let given = release("2.0", Origin::Given, None);
    assert_eq!(choose_update(&[good.clone(), given.clone()]), Ok(&given));
    let bad = release("2.0", Origin::Given, Some("not signed"));
    assert!(matches!(choose_update(&[good, bad]), Err(NoUpdate::GivenIsBad { why, .. }) if why == "not signed"));
}

fn write(root: &Path, path: &str, contents: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

fn plan(backup: &Path, root: &Path) -> Restoration {
    Restoration::plan(&Tree::scan(backup).unwrap(), &Tree::scan_host(root).unwrap())
}

#[test]
fn a_restoration_brings_everything_back_but_evidence_and_can_be_repeated() {
    let [backup, host] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let (backup, host) = (backup.path(), host.path());
    write(backup, "config/exchanges.json", "{}");
    fs::set_permissions(backup.join("config/exchanges.json"), fs::Permissions::from_mode(0o600)).unwrap();
    write(backup, "releases/aa/bot", "good");
    write(backup, "logs/security_admin.log", "old");
    write(backup, "exports/security/old.json", "export");
    write(backup, PROGRESS_PATH, "of another recovery");
    symlink("releases/aa", backup.join("current")).unwrap();
    write(host, "releases/aa/bot", "evil");
    write(host, "logs/security_admin.log", "newer");
    symlink("releases/bb", host.join("current")).unwrap();

    let planned = plan(backup, host);
    assert_eq!(planned.kept(), [Path::new("logs/security_admin.log")]);
    let restored = planned.carry_out(backup, host).unwrap();
    assert_eq!((restored.files.len(), restored.written), (3, 3));
    assert_eq!(fs::read_to_string(host.join("current/bot")).unwrap(), "good");
    assert_eq!(fs::read_to_string(host.join("logs/security_admin.log")).unwrap(), "newer");
    assert_eq!(fs::metadata(host.join("config/exchanges.json")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(host.join("exports/security/old.json").is_file() && !host.join(PROGRESS_PATH).exists());

    fs::write(host.join("releases/aa/bot"), "torn").unwrap();
    let again = plan(backup, host).carry_out(backup, host).unwrap();
    assert_eq!((again.files.len(), again.written), (2, 1), "the export is evidence by now");
    assert_eq!(fs::read_to_string(host.join("current/bot")).unwrap(), "good");
}

#[test]
fn logs_on_another_disk_are_not_written_through_their_link() {
    let [backup, host, disk] = [(), (), ()].map(|()| tempfile::tempdir().unwrap());
    write(backup.path(), "logs/security_admin.log", "old");
    write(disk.path(), "security_admin.log", "newer");
    symlink(disk.path(), host.path().join("logs")).unwrap();
    plan(backup.path(), host.path()).carry_out(backup.path(), host.path()).unwrap();
    assert_eq!(fs::read_to_string(disk.path().join("security_admin.log")).unwrap(), "newer");
}

#[test]
fn a_backup_with_ways_out_is_refused() {
    for target in ["/etc", "../x", "a/../../x"] {
        let backup = tempfile::tempdir().unwrap();
        symlink(target, backup.path().join("link")).unwrap();
        assert!(matches!(Tree::scan(backup.path()), Err(TreeError::Escapes { .. })), "{target}");
        assert!(Tree::scan_host(backup.path()).is_ok());
    }
    let backup = tempfile::tempdir().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(backup.path().join("socket")).unwrap();
    assert!(matches!(Tree::scan(backup.path()), Err(TreeError::Special { .. })));
    let inside = tempfile::tempdir().unwrap();
    write(inside.path(), "a/b/c", "");
    symlink("../../x", inside.path().join("a/b/link")).unwrap();
    assert!(Tree::scan(inside.path()).is_ok());
}

#[test]
fn a_folder_in_place_of_a_file_stops_the_restoration() {
    let [backup, host] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    write(backup.path(), "config", "file");
    write(host.path(), "config/x", "folder");
    let stopped = plan(backup.path(), host.path()).carry_out(backup.path(), host.path());
    assert!(matches!(stopped, Err(RestoreError::OtherKind { .. })));
    assert!(host.path().join("config/x").is_file());
}

fn record(step: Step, status: StepStatus) -> StepRecord {
    StepRecord { step, status, at: "2026-11-24T00:00:00+00:00".into(), detail: String::new(), evidence: Vec::new() }
}

#[test]
fn a_recovery_goes_on_at_its_first_open_step() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Progress::load(root.path()).unwrap(), None);
    let request = Request { backup: Some("/backup".into()), ..Request::default() };
    let mut progress = Progress::take_up(None, request.clone(), "now".into()).unwrap();
    progress.note(record(Step::Find, StepStatus::Done));
    progress.note(record(Step::Restore, StepStatus::Failed));
    progress.release = Some(Digest::of(b"x"));
    progress.store(root.path()).unwrap();

    let found = Progress::load(root.path()).unwrap();
    assert_eq!(found.as_ref(), Some(&progress));
    let mut taken = Progress::take_up(found.clone(), request.clone(), "later".into()).unwrap();
    assert_eq!((taken.next(), taken.began_at.as_str()), (Some(Step::Restore), "now"));
    let other = Progress::take_up(found, Request::default(), "later".into());
    assert!(matches!(other, Err(ProgressError::OtherRequest(began)) if began == "now"));

    for step in Step::ALL {
        taken.note(record(step, if step == Step::Restore { StepStatus::Skipped } else { StepStatus::Done }));
    }
    assert!(taken.has_ended() && taken.steps.len() == 6);
    let anew = Progress::take_up(Some(taken), Request::default(), "later".into()).unwrap();
    assert_eq!(anew.next(), Some(Step::Find));
}

#[test]
fn a_journal_of_another_shape_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for text in [
        "",
        "{}",
        "[",
        r#"{"format":2,"began_at":"","request":{"backup":null,"package":null,"evidence":null},"release":null,"steps":[]}"#,
    ] {
        write(root.path(), PROGRESS_PATH, text);
        assert!(matches!(Progress::load(root.path()), Err(ProgressError::Unknown { .. })), "{text}");
    }
}

#[test]
fn steps_have_one_name_everywhere() {
    for step in Step::ALL {
        assert_eq!(serde_json::to_value(step).unwrap(), step.name());
    }
}
