//! A blob into a file: whole and checked, or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flota_model::Digest;
use flota_proto::v1::GetBlobRequest;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::Digest as _;
use tonic::Request;

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};

/// What to do when the file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// Leave it.
    Refused,
    /// Replace it.
    Allowed,
}

/// Fetches the blob, checks its digest and size, and only then gives the file its name.
pub(crate) async fn to_file(
    session: &Session,
    digest: &str,
    size: u64,
    path: &Path,
    overwrite: Overwrite,
) -> Result<(), Failure> {
    let wanted: Digest = digest.parse().map_err(|error| {
        Failure::new(Exit::Bad, "the controller named a blob by something that is not a digest").because_of(&error)
    })?;
    if overwrite == Overwrite::Refused && path.exists() {
        return Err(taken(path));
    }
    let part = Part::beside(path).map_err(|error| unwritable(path, &error))?;
    let got = fetch(session, wanted, &part, path).await?;
    if got != (wanted, size) {
        return Err(Failure::new(Exit::Bad, "what arrived is not what was asked for; it was thrown away")
            .detail(format!("asked for sha256 {wanted}, {size} bytes"))
            .detail(format!("got       sha256 {}, {} bytes", got.0, got.1))
            .fix("try again; if it stays so, the archive is damaged:  flota audit verify"));
    }
    part.become_file(path, overwrite).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => taken(path),
        _ => unwritable(path, &error),
    })
}

async fn fetch(session: &Session, digest: Digest, part: &Part, path: &Path) -> Result<(Digest, u64), Failure> {
    let lost = |status: tonic::Status| Failure::of_status(&status, Stake::Reads);
    let request = Request::new(GetBlobRequest { digest: digest.to_string(), offset: 0 });
    let mut chunks = session.blobs().get(request).await.map_err(lost)?.into_inner();
    let (mut hasher, mut size) = (sha2::Sha256::new(), 0_u64);
    while let Some(chunk) = chunks.message().await.map_err(lost)? {
        hasher.update(&chunk.data);
        size = size.saturating_add(u64::try_from(chunk.data.len()).unwrap_or(u64::MAX));
        (&part.file).write_all(&chunk.data).map_err(|error| unwritable(path, &error))?;
    }
    Ok((Digest::from_bytes(hasher.finalize().into()), size))
}

/// A file on its way; goes away unless it becomes one.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// In the same folder, so that renaming does not copy; readable by its owner alone, as exports name accounts.
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
        let part = folder(path).join(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        Ok(Self { path: part, file })
    }

    fn become_file(&self, path: &Path, overwrite: Overwrite) -> io::Result<()> {
        self.file.sync_all()?;
        let flags = match overwrite {
            Overwrite::Refused => RenameFlags::NOREPLACE,
            Overwrite::Allowed => RenameFlags::empty(),
        };
        renameat_with(CWD, &self.path, CWD, path, flags)?;
        File::open(folder(path))?.sync_all()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _gone_once_renamed = std::fs::remove_file(&self.path);
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn taken(path: &Path) -> Failure {
    Failure::new(Exit::Conflict, format!("{} is there already", path.display()))
        .nothing_changed()
        .fix("another name:  -f FILE")
        .fix("replace it:  --force")
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Bad, format!("cannot write {}", path.display())).because_of(error)
}
