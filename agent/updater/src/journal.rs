//! The engine's state on disk: two files written in turn, so that one is whole whatever happens to the other.
//!
//! A file is two lines: the checksum of the second, and the state. What cannot be read is kept as `*.corrupt` for
//! people, and the other file counts. Losing both never stops the agent: it starts from what `current` names.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use flota_engine::State;
use flota_model::Digest;
use flota_package::durable::{self, WriteError};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The two files, by the parity of the sequence that they hold.
const FILES: [&str; 2] = ["update.a.json", "update.b.json"];
/// Held by the one process that may write.
const LOCK: &str = "update.lock";
/// Only the agent's user has business here.
const MODE: u32 = 0o600;

/// The journal of a host's updates. One process at a time has it open.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    _lock: File,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another agent uses this state folder. Stop it first.
    #[error("another agent uses {}", folder.display())]
    Locked {
        /// The state folder.
        folder: PathBuf,
    },
    /// The folder or a file in it cannot be reached.
    #[error("reaching {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The state cannot be put into words; a fault of the program.
    #[error("encoding the update state")]
    Encode(#[source] serde_json::Error),
    /// The state cannot be written down, so nothing may be done. Most often the disk is full.
    #[error("writing the update state")]
    Write(#[from] WriteError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    sequence: u64,
    sha256: Digest,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if missing, and reads the newest whole state; none before the first.
    pub fn open(folder: &Path) -> Result<(Self, Option<State>), JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        durable::make_folder(folder).map_err(failed(folder))?;
        let path = folder.join(LOCK);
        let lock = durable::lock_file(&path).map_err(failed(&path))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            rustix::io::Errno::WOULDBLOCK => JournalError::Locked { folder: folder.to_owned() },
            errno => JournalError::Io { path, source: errno.into() },
        })?;
        let mut newest = None;
        for name in FILES {
            let path = folder.join(name);
            match read(&path).map_err(failed(&path))? {
                Found::State(state) => newest = Some(newer(newest, *state)),
                Found::Nothing => {}
                Found::Damage => quarantine(&path).map_err(failed(&path))?,
            }
        }
        Ok((Self { folder: folder.to_owned(), _lock: lock }, newest))
    }

    /// Reads the newest whole state beside a running agent; changes nothing.
    pub fn peek(folder: &Path) -> Result<Option<State>, JournalError> {
        let mut newest = None;
        for name in FILES {
            let path = folder.join(name);
            match read(&path).map_err(|source| JournalError::Io { path, source })? {
                Found::State(state) => newest = Some(newer(newest, *state)),
                Found::Nothing | Found::Damage => {}
            }
        }
        Ok(newest)
    }

    /// Whether an agent has the journal open; changes nothing.
    pub fn is_open(folder: &Path) -> Result<bool, JournalError> {
        let path = folder.join(LOCK);
        let lock = match File::options().append(true).open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(JournalError::Io { path, source }),
        };
        // Let go of when `lock` is closed.
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(errno) => Err(JournalError::Io { path, source: errno.into() }),
        }
    }

    /// Writes a state down; when this returns, it survives a power cut. The file with the state before it stays.
    pub fn write(&self, state: &State) -> Result<(), JournalError> {
        let body = serde_json::to_string(state).map_err(JournalError::Encode)?;
        let header = Header { sequence: state.sequence(), sha256: Digest::of(body.as_bytes()) };
        let header = serde_json::to_string(&header).map_err(JournalError::Encode)?;
        let name = if state.sequence().is_multiple_of(2) { FILES[0] } else { FILES[1] };
        Ok(durable::write_file(&self.folder.join(name), MODE, format!("{header}\n{body}\n").as_bytes())?)
    }
}

enum Found {
    Nothing,
    Damage,
    State(Box<State>),
}

fn read(path: &Path) -> io::Result<Found> {
    match fs::read(path) {
        Ok(contents) => Ok(parse(&contents).map_or(Found::Damage, |state| Found::State(Box::new(state)))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn parse(contents: &[u8]) -> Option<State> {
    let (header, body) = std::str::from_utf8(contents).ok()?.strip_suffix('\n')?.split_once('\n')?;
    let header: Header = serde_json::from_str(header).ok()?;
    if Digest::of(body.as_bytes()) != header.sha256 {
        return None;
    }
    serde_json::from_str(body).ok().filter(|state: &State| state.sequence() == header.sequence)
}

fn newer(one: Option<State>, other: State) -> State {
    match one {
        Some(one) if one.sequence() >= other.sequence() => one,
        _ => other,
    }
}

fn quarantine(path: &Path) -> io::Result<()> {
    let aside = path.with_extension("json.corrupt");
    tracing::error!(file = %path.display(), kept_as = %aside.display(), "a journal file is damaged; using the other");
    fs::rename(path, aside)
}

#[cfg(test)]
mod tests {
    use flota_engine::{Event, step};
    use flota_model::update::{DesiredState, Goal};
    use flota_model::{Generation, RolloutId};

    use super::*;

    /// States with the sequences 1, 2, 3 and so on.
    fn states() -> impl Iterator<Item = State> {
        let mut state = State::new(None);
        (1..).map(move |number| {
            let generation = Generation::new(number).unwrap();
            let desired = DesiredState { generation, goal: Goal::Stay, rollout: RolloutId::new(1) };
            state = step(&state, &Event::Desired(desired)).unwrap().0;
            state.clone()
        })
    }

    #[test]
    fn the_newest_state_is_read_back_and_the_one_before_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, nothing) = Journal::open(folder.path()).unwrap();
        assert_eq!(nothing, None);
        for state in states().take(5) {
            journal.write(&state).unwrap();
            assert_eq!(Journal::peek(folder.path()).unwrap().as_ref(), Some(&state));
        }
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Locked { .. })));
        drop(journal);
        assert_eq!(Journal::open(folder.path()).unwrap().1, states().nth(4));
    }

    #[test]
    fn a_torn_or_altered_file_is_put_aside_and_the_other_counts() {
        let folder = tempfile::tempdir().unwrap();
        let newest = folder.path().join(FILES[1]);
        let whole = {
            let (journal, _) = Journal::open(folder.path()).unwrap();
            states().take(4).for_each(|state| journal.write(&state).unwrap());
            fs::read(&newest).unwrap()
        };
        let mut altered = whole.clone();
        let last_digit = altered.iter().rposition(u8::is_ascii_digit).unwrap();
        altered[last_digit] ^= 1;
        for damaged in [&whole[..whole.len() / 2], &whole[..whole.len() - 1], &altered, b"", b"\xff\n{}\n"] {
            fs::write(&newest, damaged).unwrap();
            let (_, state) = Journal::open(folder.path()).unwrap();
            assert_eq!(state, states().nth(2));
            assert_eq!(fs::read(folder.path().join("update.b.json.corrupt")).unwrap(), damaged);
            assert!(!newest.exists());
        }
    }

    #[test]
    fn with_both_files_lost_there_is_simply_no_state() {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), "no state\n").unwrap();
        }
        let (journal, state) = Journal::open(folder.path()).unwrap();
        assert_eq!(state, None);
        journal.write(&states().next().unwrap()).unwrap();
        assert_eq!(Journal::peek(folder.path()).unwrap(), states().next());
    }
}
