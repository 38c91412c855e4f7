//! The same effects on a host whose agent does not run: for a recovery, which an operator starts by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flota_daemon::error_chain::chain;
use flota_engine::{Effect, Event, Phase, State};
use flota_model::release::ReleaseRef;
use flota_model::{Digest, RolloutId};
use flota_release::{Memory, MetadataSource};
use tokio_util::sync::CancellationToken;

use crate::driver::SpawnError;
use crate::effects::Host;
use crate::journal::Journal;
use crate::outside::{BoxFuture, Origin, Outside, OutsideError, Outsides};
use crate::settings::UpdaterSettings;
use crate::slots::Slots;

/// A host without its agent. Holds the journal's lock, so that none starts meanwhile; never writes the journal: the
/// agent adopts what `current` names when it starts again.
pub struct Offline {
    host: Host,
    _journal: Journal,
}

impl Offline {
    /// Takes the place of the agent; packages come from this file, if there is one.
    pub fn open(settings: Arc<UpdaterSettings>, package: Option<PathBuf>) -> Result<Self, SpawnError> {
        let (journal, _) = Journal::open(&settings.state_dir)?;
        let slots = Slots::open(&settings.root)?;
        let outside: Arc<dyn Outside> = Arc::new(OneFile(package));
        let outsides = Outsides { controller: Arc::clone(&outside), host: outside };
        Ok(Self { host: Host::new(settings, outsides, slots, CancellationToken::new()), _journal: journal })
    }

    /// Stops the bot; fine if none runs.
    pub async fn stop_bot(&self) -> Result<(), String> {
        outcome(self.host.perform(&Effect::StopBot, Origin::Host).await)
    }

    /// Checks a release, unpacks it where it belongs unless it is there, lets `current` name it and starts its bot.
    pub async fn install(&self, release: &ReleaseRef) -> Result<(), String> {
        let effects = [
            Effect::Download { release: release.clone(), attempt: 1 },
            Effect::Stage(release.clone()),
            Effect::Switch { to: release.digest, attempt: 1 },
        ];
        for effect in effects {
            outcome(self.host.perform(&effect, Origin::Host).await)?;
        }
        Ok(())
    }

    /// Checks a release, unpacks it where it belongs, and lets `current` name it. The bot is left alone.
    pub async fn place(&self, release: &ReleaseRef) -> Result<(), String> {
        let effects = [Effect::Download { release: release.clone(), attempt: 1 }, Effect::Stage(release.clone())];
        for effect in effects {
            outcome(self.host.perform(&effect, Origin::Host).await)?;
        }
        self.host.slots.point(release.digest).map_err(|error| chain(&error))
    }

    /// Waits until the bot proved healthy; not longer than probation. The exchange is the caller's to ask.
    pub async fn prove_healthy(&self, release: Digest) -> Result<(), String> {
        outcome(self.host.perform(&Effect::CheckHealth { of: release }, Origin::Host).await)
    }
}

/// Whether it is too late to call an update off: it commits or goes back.
pub(crate) fn past_return(state: &State) -> bool {
    use Phase::{Armed, FallbackProbation, Probation, SafeHold, Soaking, Switching, SwitchingBack};
    matches!(
        state.phase(),
        Armed { .. }
            | Switching { .. }
            | Probation { .. }
            | Soaking { .. }
            | SwitchingBack { .. }
            | FallbackProbation { .. }
            | SafeHold { .. }
    )
}

/// Why nothing may be moved by hand: the bot may be at rest, or the agent would take `current` back when it starts. `None`
/// if nothing does.
pub fn under_way(state: &State) -> Option<String> {
    use Phase::{
        Armed, FallbackProbation, Probation, Quiescing, Resuming, Snapshotting, Soaking, Switching, SwitchingBack,
    };
    let phase = state.phase();
    let moves = matches!(
        phase,
        Quiescing { .. }
            | Snapshotting { .. }
            | Resuming { .. }
            | Armed { .. }
            | Switching { .. }
            | Probation { .. }
            | Soaking { .. }
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

impl Outside for OneFile {
    fn metadata(&self) -> Arc<dyn MetadataSource> {
        // A recovery verifies the package by its key alone: it is for when there is nobody to ask.
        Arc::new(Memory::default())
    }

    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        _: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>> {
        Box::pin(async move {
            let Some(from) = &self.0 else {
                let what = format!("release {} is not on this host: name its package", release.digest.short());
                return Err(OutsideError::Permanent { what, source: None });
            };
            let failed = |error| OutsideError::permanent(format!("copying {}", from.display()), error);
            if let Some(folder) = into.parent() {
                tokio::fs::create_dir_all(folder).await.map_err(failed)?;
            }
            tokio::fs::copy(from, into).await.map(drop).map_err(failed)
        })
    }

    fn export<'a>(&'a self, _: &'a ReleaseRef, _: Option<RolloutId>) -> BoxFuture<'a, Result<(), OutsideError>> {
        let what = "a recovery has nowhere to send exports".to_owned();
        Box::pin(async { Err(OutsideError::Permanent { what, source: None }) })
    }
}
