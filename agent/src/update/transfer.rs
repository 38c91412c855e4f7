//! How a package comes to the host and a security export leaves it.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use flota_engine::Cause;
use flota_model::Digest;
use flota_model::release::ReleaseRef;
use flota_release::{Folder, MetadataSource};

use super::effects::ExportMade;

/// A future in a box, so that [`Transfer`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Moves files between the host and wherever packages come from.
///
/// Every future may be dropped at any await, and is then begun again later: keep what was fetched so far.
pub trait Transfer: Send + Sync {
    /// Brings the package to `into`, resuming from what is there; what lies below the folders `seeds` need not be fetched.
    /// The updater verifies size and digest afterwards; an implementation need not, but must not write more than
    /// `release.size` bytes.
    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        seeds: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), TransferError>>;

    /// Takes a security export away and returns once it is safe there.
    fn upload<'a>(&'a self, file: &'a Path, digest: Digest, size: u64) -> BoxFuture<'a, Result<(), TransferError>>;

    /// Where the signed metadata of releases come from at the moment.
    fn metadata(&self) -> Arc<dyn MetadataSource>;

    /// Has an uploaded export entered in the archive, and returns once it is: no update begins without that. Asked again
    /// after a crash, so the same export may come twice.
    fn archive<'a>(&'a self, export: &'a ExportMade) -> BoxFuture<'a, Result<(), TransferError>>;
}

/// Why a transfer did not happen.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Trying again later may help: no connection, the other side is busy.
    #[error("{what}")]
    Transient {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Trying again changes nothing: there is no such blob, or it may not be had.
    #[error("{what}")]
    Permanent {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl TransferError {
    /// A failure that may go away.
    pub fn transient(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Transient { what: what.into(), source: Some(source.into()) }
    }

    /// A failure that stays.
    pub fn permanent(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Permanent { what: what.into(), source: Some(source.into()) }
    }

    /// Which of the two it is, in the engine's words.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Transient { .. } => Cause::Transient,
            Self::Permanent { .. } => Cause::Permanent,
        }
    }
}

/// Packages from a folder, exports to a folder: for a host without a network, and for tests.
#[derive(Debug, Clone)]
pub struct FolderTransfer {
    packages: PathBuf,
    exports: PathBuf,
}

impl FolderTransfer {
    /// Takes packages from `packages/<digest>`, their metadata from `packages/metadata`, and puts exports at `exports/<digest>`.
    pub fn new(packages: PathBuf, exports: PathBuf) -> Self {
        Self { packages, exports }
    }
}

impl Transfer for FolderTransfer {
    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), TransferError>> {
        let from = self.packages.join(release.digest.to_string());
        Box::pin(async move { copy(&from, into).await })
    }

    fn upload<'a>(&'a self, file: &'a Path, digest: Digest, _: u64) -> BoxFuture<'a, Result<(), TransferError>> {
        let to = self.exports.join(digest.to_string());
        Box::pin(async move { copy(file, &to).await })
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        Arc::new(Folder(self.packages.join("metadata")))
    }

    fn archive<'a>(&'a self, export: &'a ExportMade) -> BoxFuture<'a, Result<(), TransferError>> {
        let path = self.exports.join(format!("{}.json", export.blob));
        let ExportMade { blob, size, audit_entries, alert_entries, status, key_id, rollout } = export;
        let record = serde_json::json!({
            "blob": blob, "size_bytes": size, "audit_entries": audit_entries, "alert_entries": alert_entries,
            "status": status, "key_id": key_id, "rollout": rollout,
        });
        Box::pin(async move {
            let written = tokio::fs::write(&path, record.to_string()).await;
            written.map_err(|error| TransferError::transient(format!("writing {}", path.display()), error))
        })
    }
}

async fn copy(from: &Path, to: &Path) -> Result<(), TransferError> {
    let what = || format!("copying {} to {}", from.display(), to.display());
    match tokio::fs::copy(from, to).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(TransferError::permanent(what(), error)),
        Err(error) => Err(TransferError::transient(what(), error)),
    }
}
