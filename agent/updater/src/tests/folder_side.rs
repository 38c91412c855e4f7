//! An outside that is a folder: packages and metadata in it, real exports to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_model::RolloutId;
use flota_model::release::ReleaseRef;
use flota_procedures::bundle::{self, ExportRequest};
use flota_release::{Folder, MetadataSource};

use crate::files::{digest_of, present, read_key};
use crate::outside::{BoxFuture, Outside, OutsideError};

/// `packages/<digest>`, `packages/metadata/`, and `exports/<digest>` with a record of each.
pub(super) struct FolderSide {
    folder: PathBuf,
}

impl FolderSide {
    pub(super) fn of(folder: &Path) -> Arc<dyn Outside> {
        Arc::new(Self { folder: folder.to_owned() })
    }

    fn take_export(&self, rollout: Option<RolloutId>) -> Result<(), OutsideError> {
        let root = self.folder.join("host");
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| OutsideError::permanent("exporting", error);
        let key = read_key(&root.join("secrets/key"), "the test").map_err(|error| failed(error.into()))?;
        let request = ExportRequest::new(&root);
        let report =
            bundle::export(&request, present(), &key, Some("audit-1")).map_err(|error| failed(error.into()))?;
        let path = root.join(report.bundle_path());
        let copied = digest_of(&path).and_then(|(digest, size)| {
            let exports = self.folder.join("exports");
            std::fs::copy(&path, exports.join(digest.to_string()))?;
            let record = serde_json::json!({
                "blob": digest, "size_bytes": size, "audit_entries": report.audit_entries(),
                "status": report.status().name(), "key_id": report.signature().key_id(), "rollout": rollout,
            });
            std::fs::write(exports.join(format!("{digest}.json")), record.to_string())
        });
        copied.map_err(|error| failed(error.into()))
    }
}

impl Outside for FolderSide {
    fn metadata(&self) -> Arc<dyn MetadataSource> {
        Arc::new(Folder(self.folder.join("packages/metadata")))
    }

    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        let from = self.folder.join("packages").join(release.digest.to_string());
        Box::pin(async move {
            tokio::fs::create_dir_all(into.parent().unwrap()).await.unwrap();
            match tokio::fs::copy(&from, into).await {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(OutsideError::permanent("copying", error))
                }
                Err(error) => Err(OutsideError::transient("copying", error)),
            }
        })
    }

    fn export<'a>(&'a self, _: &'a ReleaseRef, rollout: Option<RolloutId>) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async move { self.take_export(rollout) })
    }

    fn tidy(&self) -> BoxFuture<'_, ()> {
        let downloads = self.folder.join("host/var/flota/agent/downloads");
        Box::pin(async move {
            // Nothing was brought, most often.
            let _ = tokio::fs::remove_dir_all(downloads).await;
        })
    }
}
