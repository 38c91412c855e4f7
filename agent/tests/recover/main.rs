//! A disaster and the way back, as an operator types it: real packages, a bot made of coreutils.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

mod ground;
mod killed;

use std::fs::{self, File};

use rustix::fs::{FlockOperation, flock};

use ground::{EVIDENCE, Ground, KEY, evidence, licence, listing};

#[test]
fn a_bare_host_comes_back_from_a_package_and_a_dry_run_changes_nothing() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    licence(ground.folder.path());
    let (file, keyring, licence) = evidence();
    let package = package.to_str().unwrap();
    let flags = ["--package", package, EVIDENCE, &file, "--keyring", &keyring, "--license-path", &licence];

    let before = listing(ground.folder.path());
    let dry = ground.recover(&[&flags[..], &["--dry-run"]].concat());
    assert_eq!((dry.code, &dry.json()["status"]), (0, &"planned".into()), "{}", dry.stderr);
    assert_eq!(dry.json()["steps"][0]["evidence"][0]["file"], package);
    assert_eq!(listing(ground.folder.path()), before);

    let ran = ground.recover(&flags);
    assert_eq!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.statuses(), ["done", "skipped", "done", "done", "done", "done"]);
    assert_eq!(ground.runs().as_deref(), Some("healthy 1.0"));
    let report = fs::read_to_string(ground.root().join("var/flota/recover/report.json")).unwrap();
    assert_eq!(report, ran.stdout);
    assert_eq!(ran.json()["steps"][3]["evidence"].as_array().unwrap().len(), 2, "evidence and licence");
}

#[test]
fn a_backup_is_restored_and_an_open_step_is_taken_up_again() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    let first = ground.recover(&["--package", package.to_str().unwrap()]);
    // Nothing proves the TPM: everything else is done all the same, and the report says what is open.
    assert_eq!((first.code, &first.json()["status"]), (1, &"open".into()), "{}", first.stderr);
    assert_eq!(first.statuses(), ["done", "skipped", "done", "failed", "done", "failed"]);
    fs::write(ground.root().join("config.json"), "{}").unwrap();
    fs::rename(ground.root(), ground.backup()).unwrap();
    fs::remove_file(ground.backup().join("running")).unwrap();

    licence(ground.folder.path());
    let backup = ground.backup();
    let (file, keyring, licence) = evidence();
    let flags = ["--backup", backup.to_str().unwrap(), "--keyring", &keyring, "--license-path", &licence];
    let ran = ground.recover(&flags);
    assert_eq!(ran.statuses(), ["done", "done", "done", "failed", "done", "failed"], "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ground.runs().as_deref(), Some("healthy 1.0"));
    assert!(ground.root().join("config.json").is_file());
    let list = fs::read_to_string(ground.root().join("var/flota/recover/restored.sha256")).unwrap();
    assert!(list.contains("  config.json\n"), "{list}");

    let other = ground.recover(&[&flags[..], &[EVIDENCE, &file]].concat());
    assert_eq!(other.code, 2, "{}", other.stdout);
    assert!(other.stderr.contains("has not ended"), "{}", other.stderr);
    let restored = ran.json()["steps"][1]["at"].clone();
    let again = ground.recover(&flags);
    assert_eq!(again.json()["steps"][1]["at"], restored, "what is done is not done again");
    let anew = ground.recover(&[&flags[..], &[EVIDENCE, &file, "--restart"]].concat());
    assert_eq!((anew.code, anew.statuses()[3].as_str()), (0, "done"), "{} {}", anew.stdout, anew.stderr);
}

#[test]
fn a_package_of_other_hands_and_a_sick_one_are_not_called_recovered() {
    let ground = Ground::new();
    let foreign = ground.package("1.0", "healthy", "hex:ffff");
    let ran = ground.recover(&["--package", foreign.to_str().unwrap()]);
    assert_eq!((ran.code, ran.statuses()[0].as_str()), (1, "failed"), "{}", ran.stdout);
    assert_eq!(ground.runs(), None);
    let sick = ground.package("2.0", "sick", KEY);
    let ran = ground.recover(&["--package", sick.to_str().unwrap(), "--restart"]);
    assert_eq!((ran.code, ran.statuses()[4].as_str()), (1, "failed"), "{}", ran.stdout);
}

#[test]
fn nothing_is_recovered_under_a_running_agent() {
    let ground = Ground::new();
    let state = ground.root().join("var/flota/agent");
    fs::create_dir_all(&state).unwrap();
    let lock = File::create(state.join("update.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    for flags in [["--package", "x"].as_slice(), &["--dry-run"]] {
        let ran = ground.recover(flags);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.contains("the agent is running here"), "{}", ran.stderr);
    }
}

#[test]
fn the_report_speaks_polish() {
    let ground = Ground::new();
    let package = ground.package("1.0", "healthy", KEY);
    let flags = ["--package", package.to_str().unwrap(), "--dry-run", "--output", "text", "--lang", "pl"];
    let ran = ground.recover(&flags);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("find: planned - ustalenie"), "{}", ran.stdout);
    assert!(ran.stdout.trim_end().ends_with("tak wyglądałby przebieg."), "{}", ran.stdout);
}
