//! The files of a desk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use flota_package::durable;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tough::schema::Signed;

use super::{Desk, DeskError, Notes};
use crate::names::{Role, is_metadata_name};

pub(crate) const METADATA: &str = "metadata";
pub(crate) const TARGETS: &str = "targets";
const DRAFT: &str = "draft";
const NOTES: &str = "desk.json";
const LOCK: &str = ".lock";
/// Metadata and packages are public.
const MODE: u32 = 0o644;

impl Desk {
    /// Opens a desk.
    pub fn open(folder: &Path) -> Result<Self, DeskError> {
        let path = folder.join(NOTES);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(DeskError::NotADesk(folder.to_owned())),
            Err(source) => return Err(DeskError::Io { path, source }),
        };
        let notes = serde_json::from_slice(&text).map_err(|source| DeskError::Damaged { path, source })?;
        Ok(Self { folder: folder.to_owned(), notes, _lock: lock(folder)? })
    }

    pub(super) fn make(folder: &Path, notes: Notes) -> Result<Self, DeskError> {
        if folder.join(NOTES).exists() {
            return Err(DeskError::AlreadyThere(folder.to_owned()));
        }
        for name in [METADATA, TARGETS, DRAFT] {
            let path = folder.join(name);
            fs::create_dir_all(&path).map_err(|source| DeskError::Io { path, source })?;
        }
        let desk = Self { folder: folder.to_owned(), notes, _lock: lock(folder)? };
        Ok(desk)
    }

    pub(super) fn write_notes(&self) -> Result<(), DeskError> {
        let text = serde_json::to_vec_pretty(&self.notes).map_err(|error| DeskError::Encode(error.to_string()))?;
        Ok(durable::write_file(&self.folder.join(NOTES), MODE, &text)?)
    }

    /// The newest signed metadata of a role.
    pub(super) fn newest<T: DeserializeOwned>(&self, role: Role) -> Result<Option<Signed<T>>, DeskError> {
        let Some((name, bytes)) = self.newest_file(role)? else { return Ok(None) };
        let path = self.folder.join(METADATA).join(name);
        serde_json::from_slice(&bytes).map(Some).map_err(|source| DeskError::Damaged { path, source })
    }

    pub(super) fn newest_file(&self, role: Role) -> Result<Option<(String, Vec<u8>)>, DeskError> {
        let ending = format!(".{}.json", role.name());
        let version = |name: &String| match role {
            Role::Timestamp => Some(0),
            _ => name.strip_suffix(&ending).and_then(|number| number.parse::<u64>().ok()),
        };
        let names = self.names()?.into_iter().filter(|name| role != Role::Timestamp || *name == role.file(0));
        let newest = names.filter_map(|name| Some((version(&name)?, name))).max();
        newest.map(|(_, name)| Ok((name.clone(), self.read_metadata(&name)?))).transpose()
    }

    pub(super) fn root_files(&self) -> Result<BTreeMap<String, Vec<u8>>, DeskError> {
        let roots = self.names()?.into_iter().filter(|name| name.ends_with(".root.json"));
        roots.map(|name| Ok((name.clone(), self.read_metadata(&name)?))).collect()
    }

    /// Metadata that wait for signatures.
    pub(super) fn draft<T: DeserializeOwned>(&self, role: Role) -> Result<Option<Signed<T>>, DeskError> {
        let path = self.draft_path(role);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| DeskError::Damaged { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DeskError::Io { path, source }),
        }
    }

    pub(super) fn write_draft<T: Serialize>(&self, role: Role, signed: &Signed<T>) -> Result<(), DeskError> {
        Ok(durable::write_file(&self.draft_path(role), MODE, &encode(signed)?)?)
    }

    /// Makes a draft the newest metadata of its role.
    pub(super) fn settle<T: Serialize>(&self, role: Role, version: u64, signed: &Signed<T>) -> Result<(), DeskError> {
        let path = self.folder.join(METADATA).join(role.file(version));
        durable::write_file(&path, MODE, &encode(signed)?)?;
        // Left behind by a crash here, it is of a version that is signed already, and goes the next time.
        self.drop_draft(role)
    }

    pub(super) fn drop_draft(&self, role: Role) -> Result<(), DeskError> {
        let path = self.draft_path(role);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DeskError::Io { path, source: error }),
            _ => Ok(()),
        }
    }

    fn draft_path(&self, role: Role) -> PathBuf {
        self.folder.join(DRAFT).join(format!("{}.json", role.name()))
    }

    fn read_metadata(&self, name: &str) -> Result<Vec<u8>, DeskError> {
        let path = self.folder.join(METADATA).join(name);
        fs::read(&path).map_err(|source| DeskError::Io { path, source })
    }

    fn names(&self) -> Result<Vec<String>, DeskError> {
        let path = self.folder.join(METADATA);
        let failed = |source| DeskError::Io { path: path.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_metadata_name(name)) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

/// Keys in order and two spaces: files that can be read and compared.
fn encode<T: Serialize>(signed: &Signed<T>) -> Result<Vec<u8>, DeskError> {
    let encoded = serde_json::to_value(signed).and_then(|value| serde_json::to_vec_pretty(&value));
    let mut bytes = encoded.map_err(|error| DeskError::Encode(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn lock(folder: &Path) -> Result<File, DeskError> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(|source| DeskError::Io { path: path.clone(), source })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(DeskError::Busy(folder.to_owned())),
        Err(errno) => Err(DeskError::Io { path, source: errno.into() }),
    }
}
