//! The end of a log and the number of its lines.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use flota_seal::json::Json;

use super::count;
use super::ledger::Ledger;
use super::lines;
use super::report::FileState;
use super::source::{self, Snapshot, Source};

/// Lines of a log's end that an export holds at most: empty ones still take fifty bytes each in memory.
pub const MAX_TAIL_LINES: usize = 100_000;

/// Bytes of a log's end to read at first; a page of ordinary lines.
const FIRST_WINDOW: u64 = 64 << 10;

/// Bytes of a log's end that an export holds at most: 50 lines of 80 KiB each. Bytes that are not UTF-8 take three times
/// as many, and with that it still fits the 32 MiB that an export may take.
const MAX_TAIL_LEN: u64 = 4 << 20;

/// The member of `logs` for this log, and what the report says of it.
pub(super) fn read(path: &Path, tail_lines: usize, ledger: &mut Ledger) -> (Json, FileState) {
    let (line_count, tail, state) = match Source::open(path) {
        Source::Missing => (0, Vec::new(), FileState::Missing),
        Source::Unreadable(problem) => (0, Vec::new(), FileState::Unreadable { problem }),
        Source::Open(log) => match read_open(&log, tail_lines.min(MAX_TAIL_LINES), ledger) {
            Ok(read) => read,
            Err(error) => (0, Vec::new(), FileState::Unreadable { problem: error.to_string() }),
        },
    };
    let members = [("line_count", line_count.into()), ("tail", tail.into())];
    let error = state.problem().map(|problem| ("error", problem.into()));
    (Json::object(members.into_iter().chain(error)), state)
}

/// The same for a log that is open.
pub(super) fn read_open(
    log: &Snapshot,
    tail_lines: usize,
    ledger: &mut Ledger,
) -> io::Result<(u64, Vec<Json>, FileState)> {
    let counted = ledger.count(log)?;
    let count = counted.lines(&log.file)?;
    let Tail { lines, is_cut, end } = read_tail(log, counted.end, tail_lines)?;
    let problem = if end < log.len {
        source::truncated(log.len, end)
    } else if is_cut {
        format!("its last {tail_lines} lines are longer than {MAX_TAIL_LEN} bytes: the first are cut")
    } else {
        return Ok((count, lines, FileState::Read { count, undecodable: 0 }));
    };
    Ok((count, lines, FileState::Partial { count, problem, undecodable: 0 }))
}

struct Tail {
    lines: Vec<Json>,
    /// Whether the first of the lines are cut off.
    is_cut: bool,
    /// Bytes of the log up to where the lines end.
    end: u64,
}

/// The last lines before `end`, or before the log's end if it was truncated since it was counted.
fn read_tail(log: &Snapshot, end: u64, tail_lines: usize) -> io::Result<Tail> {
    let mut window = FIRST_WINDOW;
    loop {
        let end = end.min(log.file.metadata()?.len());
        let start = end.saturating_sub(window);
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
        let read = count::read_at(&log.file, &mut bytes, start)?;
        bytes.truncate(read);

        let mut last = VecDeque::new();
        for line in lines::split(&bytes) {
            last.push_back(line);
            // A window that begins inside the log may begin inside a line: only what follows its first break is whole.
            if last.len() > tail_lines + 1 {
                last.pop_front();
            }
        }
        let enough = last.len() > tail_lines;
        if enough || start == 0 || window >= MAX_TAIL_LEN {
            let skipped = last.len().saturating_sub(tail_lines);
            let lines = last.into_iter().skip(skipped).map(|line| String::from_utf8_lossy(line).into_owned().into());
            return Ok(Tail { lines: lines.collect(), is_cut: !enough && start > 0, end: start + read as u64 });
        }
        window *= 4;
    }
}
