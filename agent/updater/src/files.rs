//! What every part of the updater does with files, and the time.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flota_model::Digest;
use flota_package::key::{self, KeyError};
use flota_seal::secret::Secret;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// Bytes read at once for a digest: enough that the system calls do not show beside the hashing.
const DIGEST_BLOCK: usize = 256 << 10;

/// Why there is no key. The key itself is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no such file. Put the key there, readable by its user alone.
    #[error("`{setting}` names {}, which is not a file", path.display())]
    Absent {
        /// The setting.
        setting: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// What the file holds is not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The present, in the type of the procedures.
pub fn present() -> Timestamp {
    Timestamp::from_microsecond(flota_daemon::present()).unwrap_or_default()
}

/// Reads the key in the file that a setting names. Blocks.
pub fn read_key(path: &Path, setting: &'static str) -> Result<Secret, KeyFileError> {
    // A path that names no file would be taken for the key itself.
    match path.to_str().filter(|_| path.is_file()) {
        Some(text) => Ok(key::load(text, setting)?),
        None => Err(KeyFileError::Absent { setting, path: path.to_owned() }),
    }
}

/// SHA-256 and size of a file, read in one pass. Blocks.
pub fn digest_of(path: &Path) -> io::Result<(Digest, u64)> {
    pass(&mut File::open(path)?, &mut io::sink())
}

/// Passes bytes on, and says what they were. Blocks.
pub(crate) fn pass(from: &mut impl io::Read, to: &mut impl Write) -> io::Result<(Digest, u64)> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut block = vec![0; DIGEST_BLOCK];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok((Digest::from_bytes(hasher.finalize().into()), size)),
            Ok(read) => {
                hasher.update(&block[..read]);
                to.write_all(&block[..read])?;
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
