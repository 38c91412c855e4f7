//! Files with keys: for the owner's eyes alone, written once, and refused when others could have read them.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::durable::{AtomicFile, WriteError};

/// Permissions of the file.
const FILE_MODE: u32 = 0o600;
/// Permissions of its folder, where that has to be made.
const FOLDER_MODE: u32 = 0o700;
/// The bits that let group and others in.
const OTHERS: u32 = 0o077;

/// Why a file cannot be used. Its contents are never repeated.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Somebody else may have read or changed it.
    #[error("{} is open to other users: chmod 600 it, and replace the key in it if somebody may have read it", .0.display())]
    Open(PathBuf),
    /// It is longer than any of its kind.
    #[error("{} is too long to be a key: it is another file", .0.display())]
    TooLong(PathBuf),
    /// Its folder cannot be made.
    #[error("creating {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Its contents, of `limit` bytes at most; none if there is no such file.
///
/// # Errors
/// [`PrivateFileError`].
pub fn read(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
    let failed = |source| PrivateFileError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.mode() & OTHERS != 0 {
        return Err(PrivateFileError::Open(path.to_owned()));
    }
    // Room for everything from the start: a buffer that grows leaves copies of the key behind.
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let mut contents = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit.saturating_add(1)).read_to_end(&mut contents).map_err(failed)?;
    if contents.len() as u64 > limit {
        return Err(PrivateFileError::TooLong(path.to_owned()));
    }
    Ok(Some(contents))
}

/// Makes the file, and its folder if need be. If somebody else was faster, what they wrote counts.
///
/// # Errors
/// [`PrivateFileError`].
pub fn create_or_read(path: &Path, contents: &[u8], limit: u64) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    if let Some(folder) = path.parent() {
        // The folders above are other programs' as well.
        let above = crate::durable::make_folder(folder.parent().unwrap_or(folder));
        let made = above.and_then(|()| DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder));
        made.map_err(|source| PrivateFileError::Folder { folder: folder.to_owned(), source })?;
    }
    let mut file = AtomicFile::create(path, FILE_MODE)?;
    file.write_all(contents).map_err(|source| WriteError::Write { path: path.to_owned(), source })?;
    match file.commit_new() {
        Ok(()) => Ok(Zeroizing::new(contents.to_vec())),
        Err(WriteError::Exists { .. }) => {
            let gone = || io::Error::from(io::ErrorKind::NotFound);
            read(path, limit)?.ok_or_else(|| PrivateFileError::Read { path: path.to_owned(), source: gone() })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/key");
        assert!(read(&path, 10).unwrap().is_none());
        assert_eq!(**create_or_read(&path, b"one", 10).unwrap(), *b"one");
        assert_eq!(**create_or_read(&path, b"two", 10).unwrap(), *b"one");
        assert_eq!(**read(&path, 10).unwrap().unwrap(), *b"one");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, FILE_MODE);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, FOLDER_MODE);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_or_read(&path, b"5ecre7", 10).unwrap();
        assert!(matches!(read(&path, 5), Err(PrivateFileError::TooLong(_))));
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path, 10).unwrap_err();
            assert!(matches!(error, PrivateFileError::Open(_)) && !error.to_string().contains("5ecre7"), "{error}");
        }
    }
}
