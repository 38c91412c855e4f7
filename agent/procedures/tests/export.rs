//! Exports of logs in bad hands: rewritten, rotated and filled meanwhile, endless, forbidden, on a full disk. What only
//! shows in a whole process (memory, limits) runs in a child process of this very program.

#![expect(clippy::unwrap_used, reason = "what cannot be set up or read fails its test")]

#[path = "export/child.rs"]
mod child;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flota_procedures::bundle::{self, ExportReport, ExportRequest, FileState, Role, Status};
use flota_seal::json::Json;
use flota_seal::secret::Secret;
use tempfile::TempDir;

/// Memory that an export may take, whatever its logs.
const MAX_MEMORY_KIB: u64 = 32 << 10;

const AUDIT: &str = "logs/security_admin.log";
const LOG: &str = "logs/trading_controller.log";

#[test]
fn a_concurrent_writer_never_gets_half_an_entry_taken_for_a_whole_one() {
    let root = installation();
    let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| write_in_pieces(root.path(), &written, &stop));
        let mut seen = 0;
        while seen < 20_000 {
            let before = written.load(Ordering::Acquire);
            let (report, bundle) = export(root.path());
            // The one being written may be there in parts.
            let after = written.load(Ordering::Acquire) + 1;
            let entries = audit_entries(&bundle);
            seen = entries.len() as u64;
            // Whatever fails from here on, the writer must end for the test to end.
            stop.store(seen >= 20_000, Ordering::Relaxed);
            let wrong = entries.iter().enumerate().find(|(number, entry)| {
                let whole = entry.member("n").and_then(Json::as_u64) == Some(10_000_000 + *number as u64)
                    && entry.member("who").and_then(Json::as_str) == Some("zażyć");
                let torn = number + 1 == entries.len() && entry.member("raw").is_some();
                !whole && !torn
            });
            let counts = (before..=after).contains(&seen)
                && log_lines(&bundle).is_none_or(|lines| (before..=after).contains(&lines));
            if report.status() != Status::Ok || wrong.is_some() || !counts {
                stop.store(true, Ordering::Relaxed);
                panic!("{before} <= {seen} <= {after}, {wrong:?}, {report:?}");
            }
        }
    });
}

#[test]
fn exports_stand_while_logs_are_rotated_and_truncated_under_them() {
    let root = installation();
    let path = |name: &str| root.path().join(name);
    let contents = numbered(20_000);
    let write = || [AUDIT, LOG].iter().for_each(|name| fs::write(path(name), &contents).unwrap());
    write();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for name in [AUDIT, LOG] {
                    let file = OpenOptions::new().write(true).open(path(name)).unwrap();
                    file.set_len(contents.len() as u64 / 2).unwrap();
                    fs::rename(path(name), path("logs/rotated")).unwrap();
                }
                write();
            }
        });
        let bundles: Vec<_> = (0..40).map(|_| export(root.path()).1).collect();
        stop.store(true, Ordering::Relaxed);
        // Entries are those of the log, in order, whichever of its lives was read; a cut may tear the last.
        for bundle in &bundles {
            let entries = audit_entries(bundle);
            for (number, entry) in entries.iter().enumerate() {
                let whole = entry.member("n").and_then(Json::as_u64) == Some(number as u64);
                assert!(whole || number + 1 == entries.len() && entry.member("raw").is_some(), "{number}: {entry:?}");
            }
        }
    });
}

#[test]
fn a_socket_or_a_folder_in_place_of_a_log_is_named_and_the_rest_exported() {
    let root = installation();
    let path = |name: &str| root.path().join(name);
    let _listener = UnixListener::bind(path(AUDIT)).unwrap();
    fs::create_dir(path("logs/security_alerts.log")).unwrap();
    fs::write(path(LOG), "line\n").unwrap();
    let (report, bundle) = export(root.path());
    assert_eq!(report.status(), Status::Partial);
    assert!(matches!(state(&report, Role::Audit), FileState::Unreadable { .. }));
    assert!(matches!(state(&report, Role::Alerts), FileState::Unreadable { .. }));
    assert!(bundle.member("audit").and_then(|audit| audit.member("error")).is_some());
    assert_eq!(log_lines(&bundle), Some(1));
}

#[test]
fn a_log_without_permission_is_named_and_the_rest_exported() {
    let root = installation();
    let path = |name: &str| root.path().join(name);
    fs::write(path(AUDIT), "{}\n").unwrap();
    fs::write(path(LOG), "line\n").unwrap();
    fs::set_permissions(path(AUDIT), fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(path(AUDIT)).is_ok() {
        eprintln!("SKIPPED: this user (root?) reads files without permission, so nothing was refused");
        return;
    }
    let (report, bundle) = export(root.path());
    assert_eq!(report.status(), Status::Partial);
    let FileState::Unreadable { problem } = state(&report, Role::Audit) else { panic!("{report:?}") };
    assert!(problem.contains("ermission denied"), "{problem}");
    assert_eq!(log_lines(&bundle), Some(1));
}

#[test]
fn a_line_of_100_megabytes_is_cut_and_the_bundle_says_so() {
    let root = installation();
    // Control characters grow sixfold when they are escaped, and bytes that are not UTF-8 threefold when decoded.
    for (byte, growth) in [(b'x', 1), (0x01, 1), (0xff, 3)] {
        for name in [AUDIT, LOG] {
            let mut file = File::create(root.path().join(name)).unwrap();
            (0..100).for_each(|_| file.write_all(&vec![byte; 1_000_000]).unwrap());
        }
        let memory = child::peak_memory_kib("exports_here", root.path());
        assert!(memory <= MAX_MEMORY_KIB, "{memory} KiB for lines of {byte:#x}");

        let (report, bundle) = export(root.path());
        assert_eq!(report.status(), Status::Partial);
        let raw = audit_entries(&bundle)[0].member("raw").and_then(Json::as_str);
        assert_eq!(raw.map(str::len), Some(growth << 18));
        let log = only_log(&bundle);
        assert_eq!(log.member("line_count").and_then(Json::as_u64), Some(1));
        let tail = log.member("tail").and_then(Json::as_array).unwrap();
        assert_eq!(tail[0].as_str().map(str::len), Some(growth << 22));
        for part in [bundle.member("audit").unwrap(), log] {
            let error = part.member("error").and_then(Json::as_str);
            assert!(error.is_some_and(|error| error.ends_with(" cut")), "{error:?}");
        }
    }
}

#[test]
fn large_and_hostile_logs_take_little_memory() {
    let root = installation();
    let mut audit = BufWriter::new(File::create(root.path().join(AUDIT)).unwrap());
    let entries = "{\"actor\":\"ops\",\"action\":\"login\",\"result\":\"ok\"}\n".repeat(100_000);
    audit.write_all(entries.as_bytes()).unwrap();
    // The parsed form of these is many times as long as the line.
    for line in [format!("[{}0]\n", "{\"\":0},".repeat(262_100 / 7)), format!("[{}[]]\n", "[],".repeat(262_100 / 3))] {
        audit.write_all(line.repeat(3).as_bytes()).unwrap();
    }
    audit.flush().unwrap();
    let mut log = File::create(root.path().join(LOG)).unwrap();
    let lines = "2026-11-23T10:00:00Z zażółć gęślą jaźń – 12 €\r\n".repeat(20_000);
    (0..200).for_each(|_| log.write_all(lines.as_bytes()).unwrap());

    let memory = child::peak_memory_kib("exports_here", root.path());
    assert!(memory <= MAX_MEMORY_KIB, "{memory} KiB");
    let (report, bundle) = export(root.path());
    assert_eq!((report.status(), report.audit_entries()), (Status::Ok, 100_006));
    assert_eq!(log_lines(&bundle), Some(4_000_000));
}

#[test]
fn a_full_disk_leaves_no_torn_file_and_the_old_exports() {
    let root = installation();
    fs::write(root.path().join(AUDIT), "{\"n\":1}\n").unwrap();
    let (report, _) = export(root.path());
    let first = fs::read(root.path().join(report.bundle_path())).unwrap();

    let contents = numbered(200_000);
    fs::write(root.path().join(AUDIT), contents).unwrap();
    let said = child::run_with_file_limit("fails_here", root.path());
    assert!(said.contains("cannot write the export: cannot write '"), "{said}");
    assert_eq!(exports(root.path()), ["security_bundle_20261123T100000Z.json"]);
    assert_eq!(fs::read(root.path().join(report.bundle_path())).unwrap(), first);
}

#[test]
fn exports_of_the_same_moment_all_get_a_file_of_their_own() {
    let root = installation();
    fs::write(root.path().join(AUDIT), "{\"n\":1}\n").unwrap();
    let paths: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| export(root.path()).0.bundle_path().to_owned())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(paths.len(), 8);
    assert_eq!(exports(root.path()).len(), 8);
}

/// What the child processes do; without a root to work on there is nothing to do.
#[test]
fn exports_here() {
    if let Some(root) = child::root() {
        try_export(&root).unwrap();
        child::answer(&child::own_peak_memory_kib().to_string());
    }
}

/// What the child process on the full disk does.
#[test]
fn fails_here() {
    if let Some(root) = child::root() {
        let error = try_export(&root).unwrap_err();
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        child::answer(&causes.map(ToString::to_string).collect::<Vec<_>>().join(": "));
    }
}

fn key() -> Secret {
    Secret::decode("hex:11111111111111111111111111111111", "the test").unwrap()
}

fn installation() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("logs")).unwrap();
    root
}

fn try_export(root: &Path) -> Result<ExportReport, bundle::ExportError> {
    let now = "2026-11-23T10:00:00.123456Z".parse().unwrap();
    bundle::export(&ExportRequest::new(root), now, &key(), Some("ops-1"))
}

/// Exports, checks the signature and returns the bundle too.
fn export(root: &Path) -> (ExportReport, Json) {
    let report = try_export(root).unwrap();
    let path = root.join(report.bundle_path());
    assert!(bundle::verify(&path, &key()).is_valid());
    let document = Json::parse(&fs::read(path).unwrap()).unwrap();
    (report, document.member("bundle").unwrap().clone())
}

fn state(report: &ExportReport, role: Role) -> &FileState {
    &report.files().iter().find(|file| file.role == role).unwrap().state
}

fn audit_entries(bundle: &Json) -> &[Json] {
    bundle.member("audit").and_then(|audit| audit.member("entries")).and_then(Json::as_array).unwrap()
}

fn only_log(bundle: &Json) -> &Json {
    bundle.member("logs").and_then(Json::as_object).unwrap().values().next().unwrap()
}

fn log_lines(bundle: &Json) -> Option<u64> {
    let logs = bundle.member("logs").and_then(Json::as_object)?;
    logs.values().next()?.member("line_count").and_then(Json::as_u64)
}

/// The names in the folder of the exports.
fn exports(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("exports/security")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Appends entries and lines in pieces that end inside a character, inside a number and inside a line break.
fn write_in_pieces(root: &Path, written: &AtomicU64, stop: &AtomicBool) {
    let open = |name: &str| OpenOptions::new().create(true).append(true).open(root.join(name)).unwrap();
    let (mut audit, mut log) = (open(AUDIT), open(LOG));
    while !stop.load(Ordering::Relaxed) {
        let number = written.load(Ordering::Relaxed);
        let rest = format!("{number:07}}}");
        for piece in [b"{\"who\":\"za\xc5".as_slice(), b"\xbcy\xc4\x87\",\"n\":", b"1", rest.as_bytes(), b"\n"] {
            audit.write_all(piece).unwrap();
        }
        for piece in [format!("line {number}\r").as_bytes(), b"\n"] {
            log.write_all(piece).unwrap();
        }
        written.store(number + 1, Ordering::Release);
    }
}

/// Audit entries, numbered.
fn numbered(entries: u32) -> String {
    (0..entries).fold(String::new(), |mut text, number| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{{\"n\":{number}}}");
        text
    })
}
