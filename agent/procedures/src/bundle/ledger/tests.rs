use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use tempfile::TempDir;

use std::fs;

use super::*;

const LINE: &[u8] = b"2026-11-23T10:00:00Z order filled\r\n";

/// Lines that are worth remembering.
const LINES: u64 = WORTH_REMEMBERING / LINE.len() as u64 + 1;

struct Installation {
    root: TempDir,
}

impl Installation {
    fn new() -> Self {
        let installation = Self { root: tempfile::tempdir().unwrap() };
        fs::write(installation.log(), LINE.repeat(usize::try_from(LINES).unwrap())).unwrap();
        installation
    }

    fn log(&self) -> PathBuf {
        self.root.path().join("log")
    }

    fn ledger(&self) -> PathBuf {
        self.root.path().join(LEDGER_PATH)
    }

    fn append(&self, text: &[u8]) {
        OpenOptions::new().append(true).open(self.log()).unwrap().write_all(text).unwrap();
    }

    /// Overwrites in place, and again until the file system's clock, which may be a coarse one, has moved on.
    fn overwrite(&self, text: &[u8], at: u64) {
        let before = self.snapshot().changed;
        let file = OpenOptions::new().write(true).open(self.log()).unwrap();
        while self.snapshot().changed == before {
            file.write_all_at(text, at).unwrap();
        }
    }

    fn snapshot(&self) -> Snapshot {
        let Source::Open(snapshot) = Source::open(&self.log()) else { panic!("the log is there") };
        snapshot
    }

    /// What an export counts, and what it says of the ledger.
    fn count(&self) -> (u64, Vec<String>) {
        let (mut ledger, snapshot) = (Ledger::open(self.root.path()), self.snapshot());
        let lines = ledger.count(&snapshot).unwrap().lines(&snapshot.file).unwrap();
        (lines, ledger.close())
    }

    /// Bytes that the next export need not count.
    fn remembered(&self) -> u64 {
        Ledger::open(self.root.path()).recall(&self.snapshot()).unwrap().end
    }
}

#[test]
fn what_was_counted_is_not_counted_again() {
    let installation = Installation::new();
    assert_eq!(installation.remembered(), 0);
    let len = installation.snapshot().len;
    for _ in 0..2 {
        assert_eq!(installation.count(), (LINES, Vec::new()));
        assert_eq!(installation.remembered(), len);
    }
    // The ledger is believed where the log fits it: a wrong number there comes back.
    let text = fs::read_to_string(installation.ledger()).unwrap();
    fs::write(installation.ledger(), text.replace(&format!("\"line_breaks\": {LINES}"), "\"line_breaks\": 7")).unwrap();
    assert_eq!(installation.count(), (7, Vec::new()));
}

#[test]
fn a_log_that_has_grown_is_counted_from_where_the_count_ended() {
    let installation = Installation::new();
    installation.append(b"torn\r");
    let len = installation.snapshot().len;
    assert_eq!(installation.count().0, LINES + 1);
    // The break that ended the count goes on: it is still one.
    installation.append(b"\nlast");
    assert_eq!(installation.remembered(), len);
    assert_eq!(installation.count().0, LINES + 2);
    // Little was added, so the ledger was left alone; a lot is worth it.
    assert_eq!(installation.remembered(), len);
    installation.append(&LINE.repeat(usize::try_from(LINES).unwrap()));
    assert_eq!(installation.count().0, 2 * LINES + 1);
    assert_eq!(installation.remembered(), installation.snapshot().len);
}

#[test]
fn a_rotated_log_is_counted_anew() {
    let installation = Installation::new();
    installation.count();
    fs::rename(installation.log(), installation.root.path().join("log.1")).unwrap();
    fs::write(installation.log(), b"one\ntwo\n").unwrap();
    assert_eq!((installation.remembered(), installation.count().0), (0, 2));
}

#[test]
fn a_truncated_log_is_counted_anew_even_when_it_has_grown_past_the_count() {
    let installation = Installation::new();
    installation.count();
    let len = installation.snapshot().len;
    let file = OpenOptions::new().write(true).open(installation.log()).unwrap();
    file.set_len(0).unwrap();
    assert_eq!((installation.remembered(), installation.count().0), (0, 0));
    installation.append(&b"x\n".repeat(usize::try_from(len).unwrap()));
    assert_eq!((installation.remembered(), installation.count().0), (0, len));
}

#[test]
fn a_log_that_was_rewritten_in_place_is_counted_anew() {
    let installation = Installation::new();
    installation.count();
    // A byte that no sample covers, with the length kept: the instant of the change tells.
    installation.overwrite(b"\n", 2 * SPOT_LEN);
    assert_eq!((installation.remembered(), installation.count().0), (0, LINES + 1));
    // With more appended the instant says nothing; the samples do, here at the beginning.
    installation.overwrite(b"\n", 5);
    installation.append(b"more\n");
    assert_eq!((installation.remembered(), installation.count().0), (0, LINES + 3));
}

#[test]
fn a_ledger_that_is_no_ledger_is_ignored_with_a_note_and_replaced() {
    let installation = Installation::new();
    let later = r#"{"version": 2, "logs": []}"#;
    let impossible = r#"{"version": 1, "logs": [{"device": 1, "inode": 1, "offset": 1, "line_breaks": 2}]}"#;
    for text in ["", "{", "[]", later, impossible, &" ".repeat(1 << 20)] {
        fs::create_dir_all(installation.ledger().parent().unwrap()).unwrap();
        fs::write(installation.ledger(), text).unwrap();
        let (lines, notes) = installation.count();
        assert_eq!(lines, LINES);
        assert!(notes[0].contains("line-counts.json' is ignored, logs are counted anew: it "), "{notes:?}");
        assert_eq!(installation.count(), (LINES, Vec::new()));
        assert_ne!(installation.remembered(), 0);
    }
}

#[test]
fn where_the_ledger_cannot_be_written_the_count_stands() {
    let installation = Installation::new();
    fs::write(installation.root.path().join("var"), b"in the way").unwrap();
    let (lines, notes) = installation.count();
    assert_eq!(lines, LINES);
    assert!(notes[0].starts_with("the next export will count logs anew: "), "{notes:?}");
}

#[test]
fn the_ledger_keeps_the_last_logs_only() {
    let installation = Installation::new();
    let mut ledger = Ledger::open(installation.root.path());
    for inode in 0..100 {
        let snapshot = Snapshot { inode, ..installation.snapshot() };
        ledger.remember(&snapshot, Count { breaks: 1, end: snapshot.len }).unwrap();
    }
    assert_eq!(ledger.close(), Vec::<String>::new());
    let inodes: Vec<_> = read(&installation.ledger()).unwrap().iter().map(|entry| entry.inode).collect();
    assert_eq!(inodes, (36..100).rev().collect::<Vec<_>>());
    assert!(fs::metadata(installation.ledger()).unwrap().len() < MAX_LEDGER_LEN);
}
