//! Blobs in a folder, named by their SHA-256. A blob is visible only when it is whole and its digest was verified.

mod chunked;
mod sweep;

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flota_model::Digest;
use sha2::Digest as _;

use crate::files::{self, FileError};

pub use sweep::SWEEP_AGE;

/// Largest blob, in bytes: an installation's package with its models is below 2 GiB.
pub const MAX_BLOB_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// The folder of what is being uploaded.
pub(crate) const PARTIAL: &str = "partial";

/// The folder. Clones share it.
#[derive(Debug, Clone)]
pub struct BlobFolder {
    root: PathBuf,
    uploading: Arc<Mutex<HashSet<Digest>>>,
}

/// Why a blob was not taken or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The sender's fault: it does not start where the last attempt ended.
    #[error("the upload continues at byte {offset}, and {received} bytes are here: ask again where to continue")]
    WrongOffset {
        /// Where the sender would continue.
        offset: u64,
        /// What is here.
        received: u64,
    },
    /// The sender's fault: more bytes than it said, or than anyone may send.
    #[error("the blob is larger than {limit} bytes")]
    TooLarge {
        /// What was announced, or the limit.
        limit: u64,
    },
    /// The sender's fault: what arrived is not what was announced. It was thrown away.
    #[error("what arrived has digest {actual}, announced was {announced}: it was thrown away")]
    WrongDigest {
        /// What was announced.
        announced: Digest,
        /// What arrived.
        actual: Digest,
    },
    /// The stream ended early. What arrived is kept, for the next attempt.
    #[error("the upload ended at {received} of {size} bytes: what arrived is kept, send the rest")]
    Truncated {
        /// What is here.
        received: u64,
        /// What was announced.
        size: u64,
    },
    /// Somebody else is sending the same blob.
    #[error("the same blob is being uploaded already: try again when that is over")]
    Busy,
    /// The disk.
    #[error(transparent)]
    File(#[from] FileError),
    /// The disk.
    #[error("{doing} a blob")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is here of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All of it, and verified.
    Whole {
        /// Bytes.
        size: u64,
    },
    /// A beginning.
    Partial {
        /// Bytes.
        received: u64,
    },
}

/// An upload in progress. Dropped before [`Upload::finish`], it keeps what arrived.
#[derive(Debug)]
pub struct Upload {
    folder: BlobFolder,
    digest: Digest,
    file: File,
    size: u64,
    received: u64,
}

impl BlobFolder {
    /// The folder, made if it is not there.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        files::private_folder(&root.join(PARTIAL))?;
        Ok(Self { root: root.to_owned(), uploading: Arc::default() })
    }

    /// Where the blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(name.get(..2).unwrap_or("")).join(&name)
    }

    /// What is here of it. Who asks is about to refer to it, so it is kept for another while.
    pub fn presence(&self, digest: &Digest) -> Presence {
        let length = |path: PathBuf| fs::metadata(path).map(|metadata| metadata.len()).ok();
        match length(self.path(digest)) {
            Some(size) => {
                self.keep_for_now(digest);
                Presence::Whole { size }
            }
            None => Presence::Partial { received: length(self.partial(digest)).unwrap_or(0) },
        }
    }

    /// Opens a whole blob for reading from `offset`; none if it is not here.
    pub fn read(&self, digest: &Digest, offset: u64) -> Result<Option<File>, BlobError> {
        let io = |source| BlobError::Io { doing: "reading", source };
        match File::open(self.path(digest)) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset)).map_err(io)?;
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(error)),
        }
    }

    /// Begins or continues an upload.
    pub fn upload(&self, digest: Digest, size: u64, offset: u64) -> Result<Upload, BlobError> {
        if size > MAX_BLOB_BYTES {
            return Err(BlobError::TooLarge { limit: MAX_BLOB_BYTES });
        }
        if !self.uploading().insert(digest) {
            return Err(BlobError::Busy);
        }
        // From here on the claim is released by the upload's drop, or here.
        self.continue_upload(digest, size, offset).inspect_err(|_| {
            self.uploading().remove(&digest);
        })
    }

    fn continue_upload(&self, digest: Digest, size: u64, offset: u64) -> Result<Upload, BlobError> {
        let path = self.partial(&digest);
        let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = open.map_err(|source| BlobError::Io { doing: "opening", source })?;
        let received = file.metadata().map_err(|source| BlobError::Io { doing: "measuring", source })?.len();
        if offset != received {
            return Err(BlobError::WrongOffset { offset, received });
        }
        Ok(Upload { folder: self.clone(), digest, file, size, received })
    }

    fn partial(&self, digest: &Digest) -> PathBuf {
        self.root.join(PARTIAL).join(digest.to_string())
    }

    fn uploading(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        // A panic elsewhere cannot leave a set of digests half-changed.
        self.uploading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Takes more bytes.
    pub fn write(&mut self, data: &[u8]) -> Result<(), BlobError> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let received = self.received.saturating_add(length);
        if received > self.size {
            return Err(BlobError::TooLarge { limit: self.size });
        }
        self.file.write_all(data).map_err(|source| BlobError::Io { doing: "writing", source })?;
        self.received = received;
        Ok(())
    }

    /// Verifies all of it and makes it visible.
    pub fn finish(self) -> Result<u64, BlobError> {
        if self.received < self.size {
            return Err(BlobError::Truncated { received: self.received, size: self.size });
        }
        self.file.sync_all().map_err(|source| BlobError::Io { doing: "syncing", source })?;
        let partial = self.folder.partial(&self.digest);
        let actual = digest_of(&partial).map_err(|source| BlobError::Io { doing: "verifying", source })?;
        if actual != self.digest {
            fs::remove_file(&partial).map_err(|source| BlobError::Io { doing: "removing", source })?;
            return Err(BlobError::WrongDigest { announced: self.digest, actual });
        }
        let path = self.folder.path(&self.digest);
        if let Some(folder) = path.parent() {
            files::private_folder(folder)?;
        }
        fs::rename(&partial, &path).map_err(|source| BlobError::Io { doing: "renaming", source })?;
        files::sync_parent(&path)?;
        Ok(self.size)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.folder.uploading().remove(&self.digest);
    }
}

/// SHA-256 of a file, read in blocks.
pub fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = sha2::Sha256::new();
    let mut block = vec![0; flota_proto::CHUNK_BYTES];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(Digest::from_bytes(hasher.finalize().into()));
        }
        hasher.update(block.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, BlobFolder) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobFolder::open(dir.path()).unwrap();
        (dir, blobs)
    }

    #[test]
    fn an_upload_that_was_cut_goes_on_where_it_stopped() {
        let (_dir, blobs) = folder();
        let digest = Digest::of(b"hello world");
        let mut first = blobs.upload(digest, 11, 0).unwrap();
        first.write(b"hello ").unwrap();
        assert!(matches!(first.finish(), Err(BlobError::Truncated { received: 6, size: 11 })));
        assert_eq!(blobs.presence(&digest), Presence::Partial { received: 6 });
        assert!(matches!(blobs.upload(digest, 11, 0), Err(BlobError::WrongOffset { received: 6, .. })));
        let mut second = blobs.upload(digest, 11, 6).unwrap();
        second.write(b"world").unwrap();
        assert_eq!(second.finish().unwrap(), 11);
        assert_eq!(blobs.presence(&digest), Presence::Whole { size: 11 });
    }

    #[test]
    fn other_bytes_than_announced_are_thrown_away() {
        let (_dir, blobs) = folder();
        let digest = Digest::of(b"hello");
        let mut upload = blobs.upload(digest, 5, 0).unwrap();
        upload.write(b"hellO").unwrap();
        assert!(matches!(upload.finish(), Err(BlobError::WrongDigest { .. })));
        assert_eq!(blobs.presence(&digest), Presence::Partial { received: 0 });
    }

    #[test]
    fn more_bytes_than_announced_are_refused_at_once() {
        let (_dir, blobs) = folder();
        let mut upload = blobs.upload(Digest::of(b"hello"), 5, 0).unwrap();
        assert!(matches!(upload.write(b"hello world"), Err(BlobError::TooLarge { limit: 5 })));
        assert!(matches!(blobs.upload(Digest::of(b"x"), MAX_BLOB_BYTES + 1, 0), Err(BlobError::TooLarge { .. })));
    }

    #[test]
    fn two_uploads_of_one_blob_do_not_mix() {
        let (_dir, blobs) = folder();
        let digest = Digest::of(b"hello");
        let first = blobs.upload(digest, 5, 0).unwrap();
        assert!(matches!(blobs.upload(digest, 5, 0), Err(BlobError::Busy)));
        drop(first);
        assert!(blobs.upload(digest, 5, 0).is_ok());
    }
}
