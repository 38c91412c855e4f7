//! Folders of files, their digests, and their copies.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flota_model::Digest;
use sha2::Digest as _;
use tempfile::TempDir;

use super::{BackupError, FileEntry, MANIFEST, failed};
use crate::files;

/// Bytes of a file that are read at once.
const READ_BYTES: usize = 1 << 17;

/// A folder of our own on the same disk, which goes when it is dropped.
pub(super) fn folder_beside(path: &Path) -> Result<TempDir, BackupError> {
    let parent = files::parent(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".flota-backup-").permissions(fs::Permissions::from_mode(0o700));
    builder.tempdir_in(parent).map_err(failed("making a folder in", parent))
}

/// The database holds keys of tokens.
pub(super) fn private(path: &Path) -> Result<(), BackupError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed("closing", path))
}

/// Every file below `folder` but the list itself, by its path.
pub(super) fn listed(folder: &Path) -> Result<BTreeMap<String, FileEntry>, BackupError> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(failed("listing", &next))? {
            let path = entry.map_err(failed("listing", &next))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            if name != MANIFEST {
                files.insert(name, digested(&path)?);
            }
        }
    }
    Ok(files)
}

fn digested(path: &Path) -> Result<FileEntry, BackupError> {
    let mut file = fs::File::open(path).map_err(failed("reading", path))?;
    let (mut hasher, mut size_bytes) = (sha2::Sha256::new(), 0_u64);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(failed("reading", path))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        size_bytes = size_bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    Ok(FileEntry { sha256: Digest::from_bytes(hasher.finalize().into()), size_bytes })
}

/// Whole blobs alone: what is being uploaded is sent again.
pub(super) fn copy_blobs(from: &Path, to: &Path) -> Result<(), BackupError> {
    files::private_folder(to)?;
    if !from.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(from).map_err(failed("listing", from))? {
        let path = entry.map_err(failed("listing", from))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != crate::blobs::PARTIAL {
            copy_blobs(&path, &to.join(name))?;
        } else if path.is_file() && name.parse::<Digest>().is_ok() {
            match copy(&path, &to.join(name)) {
                // Swept meanwhile: nothing names it any more.
                Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                copied => copied?,
            }
        }
    }
    Ok(())
}

pub(super) fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::copy(from, to).map_err(failed("copying", from))?;
    let file = fs::File::open(to).map_err(failed("opening", to))?;
    file.sync_all().map_err(failed("syncing", to))
}
