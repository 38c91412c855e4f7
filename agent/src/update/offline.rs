//! The same effects on a host whose agent does not run: for a recovery, which an operator starts by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_daemon::error_chain::chain;
use flota_engine::{Effect, Event, Phase, State};
use flota_model::Digest;
use flota_model::release::ReleaseRef;
use flota_release::{Memory, MetadataSource};

use super::driver::SpawnError;
use super::effects::{ExportMade, Host};
use super::journal::Journal;
use super::slots::Slots;
use super::transfer::{BoxFuture, Transfer, TransferError};
use crate::procedures::Environment;
use crate::settings::Settings;

/// A host without its agent. Holds the journal's lock, so that none starts meanwhile; never writes the journal: the
/// agent adopts what `current` names when it starts again.
pub struct Offline {
    host: Host,
    _journal: Journal,
}

impl Offline {
    /// Takes the place of the agent; packages come from this file, if there is one.
    pub fn open(
        settings: Arc<Settings>,
        environment: Environment,
        package: Option<PathBuf>,
    ) -> Result<Self, SpawnError> {
        let (journal, _) = Journal::open(&settings.state_dir)?;
        let slots = Slots::open(&settings.root)?;
        Ok(Self { host: Host::new(settings, environment, Arc::new(OneFile(package)), slots), _journal: journal })
    }

    /// Stops the bot; fine if none runs.
    pub async fn stop_bot(&self) -> Result<(), String> {
        outcome(self.host.perform(&Effect::StopBot).await)
    }

    /// Checks a release, unpacks it where it belongs unless it is there, lets `current` name it and starts its bot.
    pub async fn install(&self, release: &ReleaseRef) -> Result<(), String> {
        let effects = [
            Effect::Download { release: release.clone(), attempt: 1 },
            Effect::Stage(release.clone()),
            Effect::Switch { to: release.digest, attempt: 1 },
        ];
        for effect in effects {
            outcome(self.host.perform(&effect).await)?;
        }
        Ok(())
    }

    /// Checks a release, unpacks it where it belongs, and lets `current` name it. The bot is left alone.
    pub async fn place(&self, release: &ReleaseRef) -> Result<(), String> {
        let effects = [Effect::Download { release: release.clone(), attempt: 1 }, Effect::Stage(release.clone())];
        for effect in effects {
            outcome(self.host.perform(&effect).await)?;
        }
        self.host.slots.point(release.digest).map_err(|error| chain(&error))
    }

    /// Waits until the bot, and the exchange where the settings say so, proved healthy; not longer than probation.
    pub async fn prove_healthy(&self, release: Digest) -> Result<(), String> {
        outcome(self.host.perform(&Effect::CheckHealth { of: release }).await)
    }
}

/// Why nothing may be moved by hand: the bot may be at rest, or the agent would take `current` back when it starts. `None`
/// if nothing does.
pub fn under_way(state: &State) -> Option<String> {
    use Phase::{Armed, FallbackProbation, Probation, Quiescing, Resuming, Snapshotting, Switching, SwitchingBack};
    let phase = state.phase();
    let moves = matches!(
        phase,
        Quiescing { .. }
            | Snapshotting { .. }
            | Resuming { .. }
            | Armed { .. }
            | Switching { .. }
            | Probation { .. }
            | SwitchingBack { .. }
            | FallbackProbation { .. }
    );
    moves.then(|| format!("an update is under way ({}): start the agent and let it end", phase.name()))
}

fn outcome(event: Event) -> Result<(), String> {
    match event {
        Event::DownloadFailed { why, .. }
        | Event::StageFailed { why }
        | Event::SwitchFailed { why }
        | Event::Unhealthy { why }
        | Event::StopFailed { why } => Err(why),
        _ => Ok(()),
    }
}

/// Brings the one package that the operator named.
struct OneFile(Option<PathBuf>);

impl Transfer for OneFile {
    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), TransferError>> {
        Box::pin(async move {
            let Some(from) = &self.0 else {
                let what = format!("release {} is not on this host: name its package", release.digest.short());
                return Err(TransferError::Permanent { what, source: None });
            };
            let copied = tokio::fs::copy(from, into).await;
            let failed = |error| TransferError::permanent(format!("copying {}", from.display()), error);
            copied.map(|_| ()).map_err(failed)
        })
    }

    fn upload<'a>(&'a self, _: &'a Path, _: Digest, _: u64) -> BoxFuture<'a, Result<(), TransferError>> {
        Box::pin(async { Err(nowhere()) })
    }

    fn metadata(&self) -> Arc<dyn MetadataSource> {
        // A recovery verifies the package by its key alone: it is for when there is nobody to ask.
        Arc::new(Memory::default())
    }

    fn archive<'a>(&'a self, _: &'a ExportMade) -> BoxFuture<'a, Result<(), TransferError>> {
        Box::pin(async { Err(nowhere()) })
    }
}

fn nowhere() -> TransferError {
    TransferError::Permanent { what: "a recovery has nowhere to send exports".to_owned(), source: None }
}
