//! `var/flota/line-counts.json`: how far the lines of large logs were counted, so that the next export goes on there.
//!
//! It saves time and nothing depends on it: an entry that does not fit its log is not used, a file that cannot be read
//! or written is mentioned and otherwise ignored.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use sha2::{Digest as _, Sha256};

use super::count::{self, Count};
use super::source::{Snapshot, Source};
use crate::causes;
use crate::durable::{self, WriteError};

/// Where the counts are, relative to the root of the installation.
const LEDGER_PATH: &str = "var/flota/line-counts.json";

/// The format of the file. One of another format is not used.
const FORMAT_VERSION: u64 = 1;

/// Only the agent reads it.
const MODE: u32 = 0o600;

/// Logs that are remembered: those of an installation, and their rotated predecessors for a while.
const MAX_ENTRIES: usize = 64;

/// Bytes of the file at most; an entry has about 200.
const MAX_LEDGER_LEN: u64 = 64 << 10;

/// Bytes before the end of what was counted that must still be the same: an appended log keeps them, and one that was
/// emptied and has grown since has others.
const LAST_BLOCK_LEN: u64 = 64 << 10;

/// Bytes of each of the other places that must still be the same.
const SPOT_LEN: u64 = 4 << 10;

/// The other places, evenly spread from the beginning on. A log that was rewritten in place differs at some of them, or
/// at its last block, unless the rewriting was a small one that kept every length.
const SPOTS: u64 = 15;

/// Bytes that are counted in a few milliseconds, less than it takes to put a changed ledger on the disk.
const WORTH_REMEMBERING: u64 = 16 << 20;

/// The counts of earlier exports.
pub(super) struct Ledger {
    path: PathBuf,
    /// The last used one first.
    entries: Vec<Entry>,
    is_changed: bool,
    notes: Vec<String>,
}

struct Entry {
    device: u64,
    inode: u64,
    /// The instant of the last change of the file or its attributes, seconds and nanoseconds.
    changed: (i64, i64),
    count: Count,
    sample: [u8; 32],
}

/// Why a ledger is not used.
#[derive(Debug, thiserror::Error)]
enum LedgerError {
    #[error("it is not a regular file: {0}")]
    NotAFile(String),
    #[error("it cannot be read")]
    Read(#[from] io::Error),
    #[error("it is not JSON")]
    NotJson(#[from] ParseJsonError),
    #[error("it has no known format")]
    UnknownFormat,
}

impl Ledger {
    /// Reads the ledger of the installation in `root`.
    pub(super) fn open(root: &Path) -> Self {
        let path = root.join(LEDGER_PATH);
        let (entries, notes) = match read(&path) {
            Ok(entries) => (entries, Vec::new()),
            Err(error) => {
                let note =
                    format!("'{}' is ignored, logs are counted anew: {}", path.display(), causes::on_one_line(&error));
                (Vec::new(), vec![note])
            }
        };
        Self { path, entries, is_changed: false, notes }
    }

    /// Counts the line breaks of a log, from where the last count ended if the log has only grown since.
    pub(super) fn count(&mut self, log: &Snapshot) -> io::Result<Count> {
        if log.len < WORTH_REMEMBERING {
            return Count::default().extend(&log.file, log.len);
        }
        let known = self.recall(log)?;
        let count = known.extend(&log.file, log.len)?;
        // A log that was truncated meanwhile has another length and another instant already.
        if count.end == log.len && count.end - known.end >= WORTH_REMEMBERING {
            self.remember(log, count)?;
        }
        Ok(count)
    }

    /// Writes the ledger if it has changed, and returns what there is to say about it.
    pub(super) fn close(mut self) -> Vec<String> {
        if self.is_changed
            && let Err(error) = write(&self.path, &self.entries)
        {
            let note = format!("the next export will count logs anew: {}", causes::on_one_line(&error));
            self.notes.push(note);
        }
        self.notes
    }

    fn recall(&self, log: &Snapshot) -> io::Result<Count> {
        let Some(entry) = self.entries.iter().find(|entry| entry.is_of(log)) else { return Ok(Count::default()) };
        let fits = match log.len.cmp(&entry.count.end) {
            std::cmp::Ordering::Less => false,
            // Nothing was appended, so what has changed was changed in place.
            std::cmp::Ordering::Equal if log.changed != entry.changed => false,
            _ => sample(&log.file, entry.count.end)? == Some(entry.sample),
        };
        Ok(if fits { entry.count } else { Count::default() })
    }

    fn remember(&mut self, log: &Snapshot, count: Count) -> io::Result<()> {
        let Some(sample) = sample(&log.file, count.end)? else { return Ok(()) };
        self.entries.retain(|entry| !entry.is_of(log));
        let Snapshot { device, inode, changed, .. } = *log;
        self.entries.insert(0, Entry { device, inode, changed, count, sample });
        self.entries.truncate(MAX_ENTRIES);
        self.is_changed = true;
        Ok(())
    }
}

impl Entry {
    fn is_of(&self, log: &Snapshot) -> bool {
        (self.device, self.inode) == (log.device, log.inode)
    }

    fn to_json(&self) -> Json {
        Json::object([
            ("device", Json::from(self.device)),
            ("inode", self.inode.into()),
            ("changed_seconds", self.changed.0.into()),
            ("changed_nanoseconds", self.changed.1.into()),
            ("offset", self.count.end.into()),
            ("line_breaks", self.count.breaks.into()),
            ("sample_sha256", hex::encode(self.sample).into()),
        ])
    }

    fn from_json(json: &Json) -> Option<Self> {
        let number = |name| json.member(name).and_then(Json::as_u64);
        let signed = |name| json.member(name).and_then(Json::as_i64);
        let count = Count { breaks: number("line_breaks")?, end: number("offset")? };
        let sample = hex::decode(json.member("sample_sha256")?.as_str()?).ok()?.try_into().ok()?;
        (count.breaks <= count.end).then_some(Self {
            device: number("device")?,
            inode: number("inode")?,
            changed: (signed("changed_seconds")?, signed("changed_nanoseconds")?),
            count,
            sample,
        })
    }
}

/// A digest of the last block before `end` and of [`SPOTS`] places before it; `None` if the file does not reach there.
fn sample(file: &File, end: u64) -> io::Result<Option<[u8; 32]>> {
    let mut digest = Sha256::new();
    let last = end.saturating_sub(LAST_BLOCK_LEN);
    // Divided first: nothing overflows, and the places need not be evenly spread to the byte.
    let spots = (0..SPOTS).map(|spot| last / SPOTS * spot).map(|start| (start, SPOT_LEN.min(end - start)));
    for (start, len) in spots.chain([(last, end - last)]) {
        let mut block = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        if count::read_at(file, &mut block, start)? < block.len() {
            return Ok(None);
        }
        digest.update(&block);
    }
    Ok(Some(digest.finalize().into()))
}

fn read(path: &Path) -> Result<Vec<Entry>, LedgerError> {
    let file = match Source::open(path) {
        Source::Missing => return Ok(Vec::new()),
        Source::Unreadable(problem) => return Err(LedgerError::NotAFile(problem)),
        Source::Open(snapshot) => snapshot.file,
    };
    let mut text = Vec::new();
    file.take(MAX_LEDGER_LEN).read_to_end(&mut text)?;
    let document = Json::parse(&text)?;
    let version = document.member("version").and_then(Json::as_u64);
    let entries = document.member("logs").and_then(Json::as_array).filter(|_| version == Some(FORMAT_VERSION));
    let entries = entries.and_then(|entries| entries.iter().map(Entry::from_json).collect::<Option<Vec<_>>>());
    entries.ok_or(LedgerError::UnknownFormat)
}

fn write(path: &Path, entries: &[Entry]) -> Result<(), WriteError> {
    if let Some(folder) = path.parent() {
        durable::make_folder(folder).map_err(|source| WriteError::Create { folder: folder.to_owned(), source })?;
    }
    let logs: Vec<_> = entries.iter().map(Entry::to_json).collect();
    let document = Json::object([("version", Json::from(FORMAT_VERSION)), ("logs", logs.into())]);
    durable::write_file(path, MODE, document.pretty().as_bytes())
}

#[cfg(test)]
mod tests;
