//! Copies of a bot's data from before an update, for the release before to find what it can read.
//!
//! A copy is made of each file and folder that the settings name: SQLite databases by SQLite's own backup, so that they
//! are consistent whoever writes; everything else as it is. It is on disk, whole, before it has a name.
//!
//! Going back restores databases alone, and of them those whose schema moved: what the trial wrote into tables that the
//! release before knows is worth keeping, since the exchange will not take its orders back. What was there instead is put
//! aside, never removed.
//!
//! It must never touch a file of the bot but to restore it. All functions block. Start at [`Snapshots::take`].

mod copy;
mod database;
mod error;
mod restore;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use database::Schema;
pub use error::SnapshotError;
use error::{IoContext as _, doing};

/// Name of the snapshot of an update that is over.
pub const LAST: &str = "last";
/// Name of the list in a snapshot.
const LIST: &str = "snapshot.json";
/// Folder of the copies in a snapshot.
const COPIES: &str = "files";
/// Folder, in a snapshot, of what was replaced when it was restored.
const REPLACED: &str = "replaced";
/// What an unfinished snapshot's folder ends in.
const UNFINISHED: &str = "unfinished";

/// The snapshots of one installation.
#[derive(Debug, Clone)]
pub struct Snapshots {
    /// Where they are kept.
    folder: PathBuf,
    /// What the paths of the data are relative to.
    root: PathBuf,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Databases, by their path below the root, and the schema they had.
    databases: Vec<(PathBuf, Schema)>,
}

impl Snapshots {
    /// The snapshots kept in `folder`, of data below `root`.
    pub fn new(folder: &Path, root: &Path) -> Self {
        Self { folder: folder.to_owned(), root: root.to_owned() }
    }

    /// Copies `entries`, paths below the root, to a snapshot of this name; on disk when this returns. One that is there
    /// stays as it is. Entries that do not exist are left out, as are sockets and the folder of the snapshots. An older
    /// snapshot goes first: two would take the place of two.
    pub fn take(&self, name: &str, entries: &[PathBuf]) -> Result<(), SnapshotError> {
        if self.list(name)?.is_some() {
            return Ok(());
        }
        self.keep_only(Some(name))?;
        let unfinished = self.folder.join(name).with_extension(UNFINISHED);
        remove(&unfinished)?;
        let copies = unfinished.join(COPIES);
        fs::create_dir_all(&copies).doing("making", &copies)?;
        let mut databases = Vec::new();
        for entry in entries {
            databases.extend(copy::entry(&self.root, entry, &copies, &self.folder)?);
        }
        let list = serde_json::to_vec_pretty(&List { databases })
            .map_err(|error| doing("listing", &unfinished)(error.into()))?;
        let path = unfinished.join(LIST);
        fs::write(&path, list).doing("writing", &path)?;
        copy::sync_tree(&unfinished)?;
        fs::rename(&unfinished, self.folder.join(name)).doing("naming", &unfinished)?;
        copy::sync(&self.folder)
    }

    /// Restores the databases whose schema is no longer that of the snapshot; returns them, by their path below the root.
    /// Without such a snapshot: none. The bot must not run. After a crash it goes on where it was.
    pub fn restore(&self, name: &str) -> Result<Vec<PathBuf>, SnapshotError> {
        let Some(List { databases }) = self.list(name)? else { return Ok(Vec::new()) };
        let snapshot = self.folder.join(name);
        let mut restored = Vec::new();
        for (path, schema) in databases {
            if restore::database(&self.root, &path, &schema, &snapshot)? {
                restored.push(path);
            }
        }
        Ok(restored)
    }

    /// The update is over: its snapshot becomes [`LAST`], for people. Names of updates may come again, when a controller
    /// begins anew; a snapshot of an earlier one must not be taken for that of a later one.
    pub fn retire(&self) -> Result<(), SnapshotError> {
        let last = self.folder.join(LAST);
        for name in self.names().iter().filter(|name| *name != LAST) {
            remove(&last)?;
            fs::rename(self.folder.join(name), &last).doing("renaming", &last)?;
            copy::sync(&self.folder)?;
        }
        Ok(())
    }

    /// Removes every snapshot but this one, and what was left unfinished.
    fn keep_only(&self, name: Option<&str>) -> Result<(), SnapshotError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(doing("reading", &self.folder)(error)),
        };
        for entry in entries {
            let path = entry.doing("reading", &self.folder)?.path();
            if path.file_name().and_then(|file| file.to_str()) != name {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Names of the snapshots that are whole.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| self.folder.join(name).join(LIST).exists() && !name.ends_with(UNFINISHED)).collect()
    }

    fn list(&self, name: &str) -> Result<Option<List>, SnapshotError> {
        let path = self.folder.join(name).join(LIST);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| doing("reading", &path)(error.into()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(doing("reading", &path)(error)),
        }
    }
}

fn remove(path: &Path) -> Result<(), SnapshotError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(doing("removing", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
