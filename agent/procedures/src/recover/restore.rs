//! From a backup to the installation: what has to be written, and writing it.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use flota_model::Digest;
use sha2::{Digest as _, Sha256};

use super::tree::{Attributes, Entry, Tree};
use crate::durable::{self, AtomicFile, WriteError};

/// Folders whose files are never replaced: what is on the host is newer evidence than the backup.
pub const KEPT: [&str; 3] = ["logs", "exports", "var/flota"];
/// Files that belong to the run that is under way, and to nobody's backup.
const NEVER: [&str; 2] = ["var/flota/recover.json", "var/flota/recover"];
/// Bytes read at once.
const BLOCK: usize = 256 << 10;
/// Name of a link until it has its own.
const TEMPORARY_LINK: &str = ".tmp-recover-link";

/// What restoring a backup comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restoration {
    /// To be made or checked, folders before what is in them.
    write: Vec<(PathBuf, Entry)>,
    /// Stays as it is on the host although the backup has it.
    kept: Vec<PathBuf>,
}

/// What was restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Every file of the backup that is now on the host, with its digest.
    pub files: Vec<(PathBuf, Digest)>,
    /// How many of them had to be written.
    pub written: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Entries whose owner could not be set, which only root may do.
    pub foreign: u64,
}

/// Why a backup was not restored. What was restored so far stays; a second run goes on.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something cannot be read or made.
    #[error("{what} {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("restoring a file")]
    Write(#[from] WriteError),
    /// The host has a folder where the backup has a file, or the other way round. Move it away.
    #[error("{} is of another kind on the host than in the backup: move it away", path.display())]
    OtherKind {
        /// What.
        path: PathBuf,
    },
}

impl Restoration {
    /// What bringing `backup` to a host that has `host` comes to. Pure.
    pub fn plan(backup: &Tree, host: &Tree) -> Self {
        let mut plan = Self::default();
        for (path, entry) in backup.entries() {
            // What was half-written when the backup was taken is nobody's file.
            if NEVER.iter().any(|never| path.starts_with(never)) || durable::is_temporary(path) {
                continue;
            }
            let there = host.0.get(path);
            let is_kept = KEPT.iter().any(|kept| path.starts_with(kept)) && !matches!(entry, Entry::Folder(_));
            // Behind a link of the host's, such as `logs` on another disk, nobody looked.
            let is_unseen = || path.ancestors().skip(1).any(|above| matches!(host.0.get(above), Some(Entry::Link(_))));
            match there {
                _ if is_kept && (there.is_some() || is_unseen()) => plan.kept.push(path.to_owned()),
                Some(same @ Entry::Link(_)) if same == entry => {}
                _ => plan.write.push((path.to_owned(), entry.clone())),
            }
        }
        plan
    }

    /// The files to be written, or found to be the same already, and their sizes.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.write.iter().filter_map(|(path, entry)| match entry {
            Entry::File(_, size) => Some((path.as_path(), *size)),
            Entry::Folder(_) | Entry::Link(_) => None,
        })
    }

    /// What stays as it is on the host although the backup has it.
    pub fn kept(&self) -> &[PathBuf] {
        &self.kept
    }

    /// Does it. A file that is the same already is read and not written, so a run that was killed costs no second copy; what
    /// it left half-written is removed.
    pub fn carry_out(&self, backup: &Path, root: &Path) -> Result<Restored, RestoreError> {
        let mut restored = Restored::default();
        let mut folders = BTreeSet::new();
        for (path, entry) in &self.write {
            let (from, to) = (backup.join(path), root.join(path));
            folders.extend(to.parent().map(Path::to_owned));
            match entry {
                Entry::Folder(attributes) => restored.folder(&to, *attributes)?,
                Entry::Link(target) => link(&to, target)?,
                Entry::File(attributes, _) => restored.file(path, &from, &to, *attributes)?,
            }
        }
        for folder in folders {
            durable::remove_leftovers(&folder).map_err(at("removing what a killed run left in", &folder))?;
            File::open(&folder).and_then(|opened| opened.sync_all()).map_err(at("syncing", &folder))?;
        }
        Ok(restored)
    }
}

impl Restored {
    fn folder(&mut self, to: &Path, attributes: Attributes) -> Result<(), RestoreError> {
        match fs::create_dir(to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && to.is_dir() => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RestoreError::OtherKind { path: to.to_owned() });
            }
            Err(error) => return Err(at("creating", to)(error)),
        }
        self.hand_over(to, attributes);
        fs::set_permissions(to, Permissions::from_mode(attributes.mode)).map_err(at("setting the mode of", to))
    }

    fn file(&mut self, path: &Path, from: &Path, to: &Path, attributes: Attributes) -> Result<(), RestoreError> {
        let there = match fs::symlink_metadata(to) {
            Ok(metadata) if metadata.is_dir() => return Err(RestoreError::OtherKind { path: to.to_owned() }),
            Ok(metadata) if metadata.is_file() => Some(digest_of(to)?),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at("looking at", to)(error)),
        };
        let wanted = digest_of(from)?;
        let mut digest = wanted;
        if there != Some(wanted) {
            let mut out = AtomicFile::create(to, attributes.mode)?;
            let size;
            // Of what was copied, should the backup have changed since.
            (digest, size) = each_block(from, |block| out.write_all(block))?;
            out.commit()?;
            self.written += 1;
            self.bytes += size;
            self.hand_over(to, attributes);
        }
        self.files.push((path.to_owned(), digest));
        Ok(())
    }

    /// Gives an entry to the owner that it had; as any other user than root it stays ours.
    fn hand_over(&mut self, to: &Path, Attributes { mode: _, uid, gid }: Attributes) {
        if lchown(to, Some(uid), Some(gid)).is_err() {
            self.foreign += 1;
        }
    }
}

fn link(to: &Path, target: &Path) -> Result<(), RestoreError> {
    if fs::symlink_metadata(to).is_ok_and(|there| there.is_dir()) {
        return Err(RestoreError::OtherKind { path: to.to_owned() });
    }
    let new = to.with_file_name(TEMPORARY_LINK);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("removing", &new)(error)),
        _ => {}
    }
    symlink(target, &new).map_err(at("creating the link", &new))?;
    fs::rename(&new, to).map_err(at("moving the link", to))
}

fn digest_of(path: &Path) -> Result<Digest, RestoreError> {
    Ok(each_block(path, |_| Ok(()))?.0)
}

/// Reads a file once; gives every block away and returns the digest and the size of the whole.
fn each_block(path: &Path, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(Digest, u64), RestoreError> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK];
    let mut file = File::open(path).map_err(at("reading", path))?;
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((Digest::from_bytes(hasher.finalize().into()), size)),
            Ok(read) => {
                hasher.update(&block[..read]);
                take(&block[..read]).map_err(at("copying", path))?;
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(at("reading", path)(error)),
        }
    }
}

fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { what, path, source }
}
