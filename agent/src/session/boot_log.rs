//! The firmware's event log, as the kernel shows it.
//!
//! Read once when the agent starts: it describes the boot, and a log read later can have grown past the PCRs that a quote
//! covers (keylime/rust-keylime#1223).

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use flota_model::Digest;

/// Longest log that is sent, in bytes: the controller parses none beyond it. Real ones have some fifty thousand.
pub(super) const MAX_BOOT_LOG_BYTES: usize = 1 << 20;

/// A log, whole.
pub(super) struct BootLog {
    bytes: Vec<u8>,
    digest: Digest,
}

/// Why there is no log although there is a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum BootLogError {
    #[error("reading the boot log {}; it is root's unless the system is told otherwise", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the boot log {} has more than {MAX_BOOT_LOG_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
}

impl BootLog {
    /// The log, if the firmware left one. Blocks.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, BootLogError> {
        let failed = |source| BootLogError::Read { path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        // The file of the kernel has no size until it is read.
        let mut bytes = Vec::new();
        file.take(MAX_BOOT_LOG_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        match bytes.len() {
            0 => Ok(None),
            1..=MAX_BOOT_LOG_BYTES => Ok(Some(Self { digest: Digest::of(&bytes), bytes })),
            _ => Err(BootLogError::TooLong(path.to_owned())),
        }
    }

    /// What to send to a controller that knows the log of this digest: nothing if it is this one.
    pub(super) fn unless_known(&self, known: &[u8]) -> Vec<u8> {
        if known == self.digest.as_bytes() { Vec::new() } else { self.bytes.clone() }
    }
}

impl fmt::Debug for BootLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootLog").field("digest", &self.digest).field("bytes", &self.bytes.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(contents: &[u8]) -> Result<Option<BootLog>, BootLogError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, contents).unwrap();
        BootLog::read(&path)
    }

    #[test]
    fn a_log_is_sent_to_whoever_has_another_or_none() {
        let log = read(b"events").unwrap().unwrap();
        for known in [&[][..], &[0; 32], b"events"] {
            assert_eq!(log.unless_known(known), b"events");
        }
        assert!(log.unless_known(Digest::of(b"events").as_bytes()).is_empty());
    }

    #[test]
    fn a_host_without_a_log_has_none_to_send() {
        assert!(BootLog::read(Path::new("/no/such/file")).unwrap().is_none());
        assert!(read(b"").unwrap().is_none());
    }

    #[test]
    fn a_log_beyond_the_limit_is_not_cut_but_left_out() {
        assert_eq!(read(&vec![1; MAX_BOOT_LOG_BYTES]).unwrap().unwrap().bytes.len(), MAX_BOOT_LOG_BYTES);
        assert!(matches!(read(&vec![1; MAX_BOOT_LOG_BYTES + 1]), Err(BootLogError::TooLong(_))));
        assert!(matches!(BootLog::read(Path::new("/")), Err(BootLogError::Read { .. })));
    }
}
