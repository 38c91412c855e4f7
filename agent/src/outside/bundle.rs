//! The outside of a goal that a person on the host has: a bundle of signed releases, on a memory stick for instance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_model::RolloutId;
use flota_model::release::ReleaseRef;
use flota_release::{Bundle, Memory, MetadataSource};
use flota_updater::history::Entry;
use flota_updater::{BoxFuture, Outside, OutsideError};
use tokio::sync::Mutex;

use super::Common;
use crate::procedures::{Environment, ExportFile};
use crate::settings::Settings;

/// Where releases come from, and where exports go.
pub struct BundleSide {
    common: Common,
    bundle: Option<Bundle>,
    /// Where exports are copied to beside their usual place; none: nowhere.
    exports: Option<PathBuf>,
    /// The export of this update, once it is made.
    made: Mutex<Option<ExportFile>>,
}

impl BundleSide {
    /// Releases from this bundle; none: only what is on the host already. Exports are copied to `exports`, if that is named.
    pub fn new(
        settings: Arc<Settings>,
        environment: Environment,
        bundle: Option<Bundle>,
        exports: Option<PathBuf>,
    ) -> Self {
        Self { common: Common::new(settings, environment), bundle, exports, made: Mutex::new(None) }
    }

    /// The export that was made before the update, if one was.
    pub async fn export_made(&self) -> Option<ExportFile> {
        self.made.lock().await.clone()
    }
}

impl Outside for BundleSide {
    fn host_id(&self) -> Option<String> {
        self.common.host_id()
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        match &self.bundle {
            Some(bundle) => Arc::new(bundle.metadata()),
            None => Arc::new(Memory::default()),
        }
    }

    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async move {
            let failed = |error| OutsideError::transient(format!("copying to {}", into.display()), error);
            let from = self.bundle.as_ref().and_then(|bundle| {
                let entry = bundle.choose(Some(&release.version), |entry| entry.digest == release.digest).ok()?;
                Some(bundle.package(entry))
            });
            let Some(from) = from else {
                let what = format!("there is no package of {} here", release.version);
                return Err(OutsideError::Permanent { what, source: None });
            };
            if let Some(folder) = into.parent() {
                tokio::fs::create_dir_all(folder).await.map_err(failed)?;
            }
            tokio::fs::copy(from, into).await.map(drop).map_err(failed)
        })
    }

    fn export<'a>(&'a self, release: &'a ReleaseRef, _: Option<RolloutId>) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async move {
            let export = self.common.take_export(release).await?;
            if let (Some(folder), Some(name)) = (&self.exports, export.path.file_name()) {
                let to = folder.join(name);
                let failed = |error| OutsideError::transient(format!("copying the export to {}", to.display()), error);
                tokio::fs::create_dir_all(folder).await.map_err(failed)?;
                tokio::fs::copy(&export.path, &to).await.map_err(failed)?;
                tokio::fs::File::open(&to).await.map_err(failed)?.sync_all().await.map_err(failed)?;
            }
            *self.made.lock().await = Some(export);
            Ok(())
        })
    }

    fn exchange(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.common.exchange())
    }

    fn ended<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, ()> {
        Box::pin(self.common.ended(entry))
    }

    fn tidy(&self) -> BoxFuture<'_, ()> {
        // What was brought is the updater's.
        Box::pin(self.common.forget())
    }
}
