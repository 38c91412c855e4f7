//! The end of a log and the number of its lines.

use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use flota_seal::json::Json;

use super::lines::{self, LineCounter};
use super::report::FileState;
use super::source::{Snapshot, Source};

/// Bytes counted at a time: large enough that reading costs more than asking, small enough for the second-level cache.
const BLOCK_LEN: usize = 256 << 10;

/// Bytes of a log's end to read at first; a page of ordinary lines.
const FIRST_WINDOW: u64 = 64 << 10;

/// Bytes of a log's end that an export holds at most: 50 lines of 80 KiB each. Decoded and escaped it still fits the
/// 32 MiB that an export may take.
const MAX_TAIL_LEN: u64 = 4 << 20;

/// The member of `logs` for this log, and what the report says of it.
pub(super) fn read(path: &Path, tail_lines: usize) -> (Json, FileState) {
    let (line_count, tail, state) = match Source::open(path) {
        Source::Missing => (0, Vec::new(), FileState::Missing),
        Source::Unreadable(problem) => (0, Vec::new(), FileState::Unreadable { problem }),
        Source::Open(source) => match read_open(&source, tail_lines) {
            Ok(read) => read,
            Err(error) => (0, Vec::new(), FileState::Unreadable { problem: error.to_string() }),
        },
    };
    let members = [("line_count", line_count.into()), ("tail", tail.into())];
    let error = state.problem().map(|problem| ("error", problem.into()));
    (Json::object(members.into_iter().chain(error)), state)
}

fn read_open(source: &Snapshot, tail_lines: usize) -> io::Result<(u64, Vec<Json>, FileState)> {
    let (count, len) = count(source)?;
    let (tail, cut) = read_tail(source, len, tail_lines)?;
    let state = if cut {
        let problem = format!("its last {tail_lines} lines are longer than {MAX_TAIL_LEN} bytes: the first are cut");
        FileState::Partial { count, problem, undecodable: 0 }
    } else {
        FileState::Read { count, undecodable: 0 }
    };
    Ok((count, tail, state))
}

/// The lines of the snapshot and the bytes they take, which are fewer than its length if the log was truncated since.
fn count(source: &Snapshot) -> io::Result<(u64, u64)> {
    let mut counter = LineCounter::new(BLOCK_LEN);
    let mut file = (&source.file).take(source.len);
    let mut total = 0;
    loop {
        let len = match file.read(counter.block()) {
            Ok(0) => return Ok((counter.lines(), total)),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        counter.count(len);
        total += len as u64;
    }
}

/// The last lines before `end`, and whether the first of them are cut off.
fn read_tail(source: &Snapshot, end: u64, tail_lines: usize) -> io::Result<(Vec<Json>, bool)> {
    let mut window = FIRST_WINDOW;
    loop {
        // A log that was truncated since it was counted ends earlier.
        let end = end.min(source.file.metadata()?.len());
        let start = end.saturating_sub(window);
        let bytes = read_range(source, start, end)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = lines::split(&text);
        // A window that begins inside the log may begin inside a line: only what follows its first break is whole.
        let enough = lines.len() > tail_lines;
        if enough || start == 0 || window >= MAX_TAIL_LEN {
            let tail = lines[lines.len().saturating_sub(tail_lines)..].iter().map(|line| Json::from(*line)).collect();
            return Ok((tail, !enough && start > 0));
        }
        window *= 4;
    }
}

/// The bytes of the range that are still there.
fn read_range(source: &Snapshot, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match source.file.read_at(&mut bytes[filled..], start + filled as u64) {
            Ok(0) => break,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
