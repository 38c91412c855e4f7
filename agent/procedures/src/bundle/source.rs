//! Opening the logs of a program that is not ours, without waiting, following or being led astray.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// What stands at a log's path.
pub(super) enum Source {
    /// Nothing.
    Missing,
    /// Something that is not to be read, or cannot be.
    Unreadable(String),
    /// A regular file.
    Open(Snapshot),
}

/// A log as far as it reached when it was opened. What is appended later belongs to the next export.
pub(super) struct Snapshot {
    pub(super) file: File,
    /// Bytes.
    pub(super) len: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The instant of the last change of the file or its attributes, seconds and nanoseconds. Unlike the instant of the
    /// last write nobody can set it back.
    pub(super) changed: (i64, i64),
}

impl Source {
    /// Opens a log. A symbolic link could point anywhere by the time it is followed, a pipe or a device never ends: only
    /// regular files are read.
    pub(super) fn open(path: &Path) -> Self {
        // Without NONBLOCK the open itself would wait for a pipe's other end.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Self::Missing,
            Err(rustix::io::Errno::LOOP) => {
                return Self::Unreadable("it is a symbolic link: name the file itself".to_owned());
            }
            Err(error) => return Self::Unreadable(io::Error::from(error).to_string()),
        };
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => Self::Open(Snapshot {
                len: metadata.len(),
                device: metadata.dev(),
                inode: metadata.ino(),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
                file,
            }),
            Ok(_) => Self::Unreadable("it is not a regular file".to_owned()),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// What to say of a log that had `len` bytes when it was opened, of which only `read` were left to be read.
pub(super) fn truncated(len: u64, read: u64) -> String {
    format!("it was truncated while it was read: of {len} bytes only {read} were left")
}

/// The name of a log in an export: its absolute path, or the path as given if nothing stands there.
pub(super) fn name(root: &Path, given: &Path) -> String {
    let path = root.join(given);
    let name = if fs::symlink_metadata(&path).is_ok() { absolute(&path) } else { given.to_owned() };
    name.to_string_lossy().into_owned()
}

/// The folder is resolved, the file itself is not: if it is a link, its own name is what the export refuses.
fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
