//! Copies of files and folders.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::{Component, Path, PathBuf};

use crate::database::{self, BESIDE, Schema};
use crate::error::{IoContext as _, SnapshotError};

/// Copies a file or folder below `root` to the same path below `to`; returns the databases in it. What is in `except` is
/// left out. Where the file system can share blocks between files, the copy shares them.
pub(crate) fn entry(
    root: &Path,
    entry: &Path,
    to: &Path,
    except: &Path,
) -> Result<Vec<(PathBuf, Schema)>, SnapshotError> {
    let proper = entry.components().all(|part| matches!(part, Component::Normal(_)));
    if !proper || entry.as_os_str().is_empty() {
        return Err(SnapshotError::Outside(entry.to_owned()));
    }
    let mut copying = Copying { root, to, except, databases: Vec::new() };
    if let Some(parent) = entry.parent() {
        let parent = to.join(parent);
        fs::create_dir_all(&parent).doing("making", &parent)?;
    }
    copying.one(entry)?;
    Ok(copying.databases)
}

struct Copying<'a> {
    root: &'a Path,
    to: &'a Path,
    except: &'a Path,
    databases: Vec<(PathBuf, Schema)>,
}

impl Copying<'_> {
    fn one(&mut self, path: &Path) -> Result<(), SnapshotError> {
        let (from, to) = (self.root.join(path), self.to.join(path));
        if from == self.except {
            return Ok(());
        }
        let kind = match fs::symlink_metadata(&from) {
            Ok(metadata) => metadata.file_type(),
            // Gone meanwhile, or never there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).doing("looking at", &from),
        };
        if kind.is_dir() {
            return self.folder(path, &from, &to);
        }
        if kind.is_symlink() {
            let target = fs::read_link(&from).doing("reading", &from)?;
            return symlink(target, &to).doing("making", &to);
        }
        if !kind.is_file() || is_beside_a_database(&from) {
            // A socket, or what the database's own copy holds.
            return Ok(());
        }
        if database::is_database(&from)? {
            self.databases.push((path.to_owned(), database::back_up(&from, &to)?));
        } else {
            fs::copy(&from, &to).map(drop).doing("copying", &from)?;
        }
        be_like(&from, &to)
    }

    fn folder(&mut self, path: &Path, from: &Path, to: &Path) -> Result<(), SnapshotError> {
        if !to.is_dir() {
            fs::create_dir(to).doing("making", to)?;
        }
        for child in fs::read_dir(from).doing("reading", from)? {
            let name = child.doing("reading", from)?.file_name();
            self.one(&path.join(name))?;
        }
        be_like(from, to)
    }
}

/// `bot.db-wal`, where `bot.db` is.
fn is_beside_a_database(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    BESIDE.iter().any(|suffix| text.strip_suffix(suffix).is_some_and(|database| Path::new(database).is_file()))
}

/// Gives a copy the owner and the mode of what it is a copy of: an agent that is root must not take a database from its bot.
pub(crate) fn be_like(from: &Path, to: &Path) -> Result<(), SnapshotError> {
    let (wanted, made) = (fs::metadata(from).doing("looking at", from)?, fs::metadata(to).doing("looking at", to)?);
    if (wanted.uid(), wanted.gid()) != (made.uid(), made.gid()) {
        chown(to, Some(wanted.uid()), Some(wanted.gid())).doing("setting the owner of", to)?;
    }
    fs::set_permissions(to, wanted.permissions()).doing("setting the mode of", to)
}

/// Flushes every file and folder below this one to the disk.
pub(crate) fn sync_tree(folder: &Path) -> Result<(), SnapshotError> {
    for entry in fs::read_dir(folder).doing("reading", folder)? {
        let path = entry.doing("reading", folder)?.path();
        let kind = fs::symlink_metadata(&path).doing("looking at", &path)?.file_type();
        if kind.is_dir() {
            sync_tree(&path)?;
        } else if kind.is_file() {
            sync(&path)?;
        }
    }
    sync(folder)
}

/// Flushes one.
pub(crate) fn sync(path: &Path) -> Result<(), SnapshotError> {
    File::open(path).and_then(|file| file.sync_all()).doing("flushing", path)
}
