//! The entries of a JSON Lines log, one at a time.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Take};
use std::num::NonZeroU64;

use flota_seal::json::Json;
use memchr::memchr2;

use super::report::FileState;
use super::source::{self, Snapshot};

/// Bytes read at a time.
const BLOCK_LEN: usize = 64 << 10;

/// Bytes of a line that are looked at. An entry of the bot has a few hundred; the parsed form of a line of small objects
/// takes up to ninety times its length, which at this length still fits the 32 MiB that an export may take.
const MAX_LINE_LEN: usize = 256 << 10;

/// Reads entries until the end of the snapshot or the first error, which [`Entries::into_state`] then tells.
pub(super) struct Entries {
    reader: BufReader<Take<File>>,
    /// Bytes of the snapshot.
    len: u64,
    line: Vec<u8>,
    /// Entries to pass over, or the error of counting them.
    skip: io::Result<u64>,
    count: u64,
    undecodable: u64,
    cut: u64,
    /// Bytes that the log had lost when its end was read.
    lost: u64,
    error: Option<io::Error>,
}

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With a line break.
    Break,
    /// With the log: whoever writes it may be in the middle of the line.
    Log,
    /// Beyond [`MAX_LINE_LEN`]: the rest is passed over.
    Cut,
}

impl Entries {
    /// The last `limit` entries of the log, or all.
    pub(super) fn new(source: Snapshot, limit: Option<NonZeroU64>) -> Self {
        let mut entries = Self {
            reader: BufReader::with_capacity(BLOCK_LEN, source.file.take(source.len)),
            len: source.len,
            line: Vec::new(),
            skip: Ok(0),
            count: 0,
            undecodable: 0,
            cut: 0,
            lost: 0,
            error: None,
        };
        if let Some(limit) = limit {
            entries.skip = entries.count_and_rewind(source.len).map(|count| count.saturating_sub(limit.get()));
        }
        entries
    }

    /// What there is to report once the entries have ended.
    pub(super) fn into_state(self) -> FileState {
        let Self { len, count, undecodable, cut, lost, error, .. } = self;
        let problem = match error {
            Some(error) if count == 0 => return FileState::Unreadable { problem: error.to_string() },
            Some(error) => error.to_string(),
            None if lost > 0 => source::truncated(len, len - lost),
            None if cut > 0 => format!("{cut} lines are longer than {MAX_LINE_LEN} bytes: their ends are cut"),
            None => return FileState::Read { count, undecodable },
        };
        FileState::Partial { count, undecodable, problem }
    }

    fn try_next(&mut self) -> io::Result<Option<Json>> {
        let skip = std::mem::replace(&mut self.skip, Ok(0))?;
        for _ in 0..skip {
            self.next_line()?;
        }
        let Some(end) = self.next_line()? else { return Ok(None) };
        let text = String::from_utf8_lossy(&self.line);
        let entry = strip(&text);
        let decodable = matches!(text, std::borrow::Cow::Borrowed(_));
        self.count += 1;
        self.undecodable += u64::from(!decodable);
        self.cut += u64::from(end == End::Cut);
        let parsed = if decodable && end != End::Cut { Json::parse(entry.as_bytes()).ok() } else { None };
        Ok(Some(match parsed {
            // The first digits of a number are a number: without a line break nobody knows whether it is whole.
            Some(Json::Integer(_) | Json::Float(_)) if end == End::Log => raw(entry),
            Some(json) => json,
            None => raw(entry),
        }))
    }

    /// Reads the next line that is not blank into `self.line`.
    fn next_line(&mut self) -> io::Result<Option<End>> {
        loop {
            let Some(end) = self.read_line()? else { return Ok(None) };
            if !strip(&String::from_utf8_lossy(&self.line)).is_empty() {
                return Ok(Some(end));
            }
        }
    }

    /// Reads up to the next U+000A or U+000D; between the two of a pair stands a blank line, which is passed over.
    fn read_line(&mut self) -> io::Result<Option<End>> {
        self.line.clear();
        let mut end = End::Log;
        loop {
            let block = match self.reader.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if block.is_empty() {
                self.lost = self.reader.get_ref().limit();
                return Ok(if self.line.is_empty() { None } else { Some(end) });
            }
            let found = memchr2(b'\n', b'\r', block);
            let piece = &block[..found.unwrap_or(block.len())];
            let room = MAX_LINE_LEN - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                end = End::Cut;
            }
            let consumed = piece.len() + usize::from(found.is_some());
            self.reader.consume(consumed);
            if found.is_some() {
                return Ok(Some(if end == End::Cut { End::Cut } else { End::Break }));
            }
        }
    }

    fn count_and_rewind(&mut self, len: u64) -> io::Result<u64> {
        let mut count = 0;
        while self.next_line()?.is_some() {
            count += 1;
        }
        // The limit first: seeking discards the buffer but not what the limit has counted down.
        self.reader.get_mut().set_limit(len);
        self.reader.get_mut().get_mut().rewind()?;
        Ok(count)
    }
}

impl Iterator for Entries {
    type Item = Json;

    /// The next entry: the line's JSON, or `{"raw": line}` if it is none.
    fn next(&mut self) -> Option<Json> {
        match self.try_next() {
            Ok(entry) => entry,
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}

fn raw(line: &str) -> Json {
    Json::object([("raw", line.into())])
}

/// Python's `str.strip`, which also takes U+001C to U+001F for white space.
fn strip(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}'))
}
