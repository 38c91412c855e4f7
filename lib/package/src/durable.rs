//! Files that appear whole or not at all, and that a power cut does not take back.
//!
//! The contents go to a temporary file in the same folder, which is flushed to the disk before it gets its name; then
//! the folder is flushed, because a name is part of the folder. A reader never sees half a file. Of a process that was
//! killed the temporary file stays, until somebody calls [`remove_leftovers`].
//!
//! What root writes in another user's folder is that user's: a command that an administrator runs must not leave files there
//! that the owner's own programs cannot replace.

mod leftovers;
mod owner;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

pub use leftovers::{is_temporary, remove_leftovers};
pub use owner::{lock_file, make_folder};

/// Bytes gathered before each write.
const BUFFER_LEN: usize = 64 << 10;

/// Why a file was not written. Whatever stood at its path before stands there still.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The path ends in `..` or `/`, so it cannot name a file.
    #[error("cannot write '{}': the path names no file", path.display())]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// The temporary file could not be made: the folder is missing, read-only or somebody else's.
    #[error("cannot create a file in '{}': check that the folder exists and may be written", folder.display())]
    Create {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The contents could not be written or flushed: most often the disk is full.
    #[error("cannot write '{}'", path.display())]
    Write {
        /// The path that the file was to have.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The finished file could not be given its name.
    #[error("cannot put the finished file at '{}'", path.display())]
    Place {
        /// The path that the file was to have.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Every path that the file might have had is taken, and it must not replace anything.
    #[error("'{}' exists already: move it away", path.display())]
    Exists {
        /// The last path tried.
        path: PathBuf,
    },
}

/// Writes a whole file with these permissions (as of `chmod`, whatever the umask), replacing what stands there.
pub fn write_file(path: &Path, mode: u32, contents: &[u8]) -> Result<(), WriteError> {
    let mut file = AtomicFile::create(path, mode)?;
    file.write_all(contents).map_err(|source| WriteError::Write { path: path.to_owned(), source })?;
    file.commit()
}

/// A file being written, in pieces. Dropped without a commit, it leaves nothing behind.
pub struct AtomicFile {
    out: BufWriter<File>,
    temporary: Temporary,
    path: PathBuf,
    folder: PathBuf,
}

impl AtomicFile {
    /// Begins a file that will stand at `path` with these permissions (as of `chmod`, whatever the umask).
    pub fn create(path: &Path, mode: u32) -> Result<Self, WriteError> {
        if path.file_name().is_none() {
            return Err(WriteError::NoFileName { path: path.to_owned() });
        }
        let folder = folder_of(path);
        let created = Temporary::create(&folder).and_then(|(temporary, file)| {
            file.set_permissions(Permissions::from_mode(mode))?;
            Ok((temporary, BufWriter::with_capacity(BUFFER_LEN, file)))
        });
        match created {
            Ok((temporary, out)) => Ok(Self { out, temporary, path: path.to_owned(), folder }),
            Err(source) => Err(WriteError::Create { folder, source }),
        }
    }

    /// The path that the file will have, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file at its path, replacing what stands there.
    pub fn commit(mut self) -> Result<(), WriteError> {
        self.flush_contents()?;
        self.temporary.rename(&self.path).map_err(|source| WriteError::Place { path: self.path.clone(), source })?;
        self.flush_folder()
    }

    /// Puts the file at its path unless something stands there, which is [`WriteError::Exists`].
    pub fn commit_new(self) -> Result<(), WriteError> {
        let path = self.path.clone();
        self.commit_first_free([path]).map(|_| ())
    }

    /// Puts the file at the first of these paths, all in its folder, where nothing stands, and says which that was.
    /// Two processes that try the same paths at the same time get different ones.
    pub fn commit_first_free(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Result<PathBuf, WriteError> {
        self.flush_contents()?;
        for path in paths {
            match self.temporary.rename_new(&path) {
                Ok(()) => {
                    self.path.clone_from(&path);
                    self.flush_folder()?;
                    return Ok(path);
                }
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => self.path = path,
                Err(source) => return Err(WriteError::Place { path, source }),
            }
        }
        Err(WriteError::Exists { path: self.path.clone() })
    }

    fn flush_contents(&mut self) -> Result<(), WriteError> {
        let flushed = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        flushed.map_err(|source| WriteError::Write { path: self.path.clone(), source })
    }

    fn flush_folder(&self) -> Result<(), WriteError> {
        let flushed = File::open(&self.folder).and_then(|folder| folder.sync_all());
        flushed.map_err(|source| WriteError::Place { path: self.path.clone(), source })
    }
}

impl Write for AtomicFile {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.out.write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The name of a file until it has its own; removed when dropped, unless the file was renamed.
struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Temporary {
    /// The name does not build on the file's own, which may already be as long as a name can be.
    fn create(folder: &Path) -> io::Result<(Self, File)> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(leftovers::temporary_name(std::process::id(), number));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    let temporary = Self { path, is_renamed: false };
                    owner::inherit(&file, folder)?;
                    return Ok((temporary, file));
                }
                // Left by a dead process that had our id, or in use by one that has it in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(&mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.is_renamed = true;
        Ok(())
    }

    /// Fails in one step with [`io::ErrorKind::AlreadyExists`] if the name is taken.
    fn rename_new(&mut self, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE) {
            // A file system without that flag, such as NFS, has hard links; one without hard links, such as FAT, has it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(&self.path, to),
            renamed => {
                renamed?;
                self.is_renamed = true;
                Ok(())
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            // Nothing depends on it, and there is nobody to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_replaces_the_old_one_and_has_exactly_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        write_file(&path, 0o644, b"old").unwrap();
        write_file(&path, 0o666, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o666);
        assert_eq!(names(folder.path()), ["state.json"]);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_is_not_committed() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&folder.path().join("a"), 0o600).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_new_file_never_replaces_and_takes_the_first_free_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_file(&path("a"), 0o600, b"mine").unwrap();

        let refused = AtomicFile::create(&path("a"), 0o600).unwrap().commit_new();
        assert!(matches!(refused, Err(WriteError::Exists { path: p }) if p == path("a")));
        assert_eq!(fs::read(path("a")).unwrap(), b"mine");

        let file = AtomicFile::create(&path("a"), 0o600).unwrap();
        assert_eq!(file.commit_first_free([path("a"), path("b"), path("c")]).unwrap(), path("b"));
        assert_eq!(names(folder.path()), ["a", "b"]);
    }

    #[test]
    fn errors_name_the_path_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/a");
        assert!(matches!(write_file(&missing, 0o600, b""), Err(WriteError::Create { source, .. })
            if source.kind() == io::ErrorKind::NotFound));
        assert!(matches!(write_file(Path::new("/"), 0o600, b""), Err(WriteError::NoFileName { .. })));

        let taken_by_folder = folder.path().join("folder");
        fs::create_dir(&taken_by_folder).unwrap();
        assert!(matches!(write_file(&taken_by_folder, 0o600, b""), Err(WriteError::Place { .. })));
        assert_eq!(names(folder.path()), ["folder"]);
    }
}
