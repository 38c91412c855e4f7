//! The outside of a controller's goals: packages come from it, exports go to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_model::RolloutId;
use flota_model::release::ReleaseRef;
use flota_release::MetadataSource;
use flota_updater::history::Entry;
use flota_updater::{BoxFuture, Outside, OutsideError};

use super::Common;
use crate::procedures::Environment;
use crate::session::ControllerTransfer;
use crate::settings::Settings;

/// Over whatever connection to the controller there is at the moment.
pub(crate) struct ControllerSide {
    common: Common,
    transfer: Arc<ControllerTransfer>,
}

impl ControllerSide {
    pub(crate) fn new(settings: Arc<Settings>, environment: Environment, transfer: Arc<ControllerTransfer>) -> Self {
        Self { common: Common::new(settings, environment), transfer }
    }
}

impl Outside for ControllerSide {
    fn host_id(&self) -> Option<String> {
        self.common.host_id()
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        self.transfer.metadata()
    }

    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        seeds: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(self.transfer.fetch(release, into, seeds))
    }

    fn export<'a>(
        &'a self,
        release: &'a ReleaseRef,
        rollout: Option<RolloutId>,
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async move {
            let export = self.common.take_export(release).await?;
            self.transfer.archive(&export, rollout).await
        })
    }

    fn certificate(&self, seconds: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.common.certificate(seconds) })
    }

    fn exchange(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.common.exchange())
    }

    fn ended<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, ()> {
        Box::pin(self.common.ended(entry))
    }

    fn tidy(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.common.tidy())
    }
}
