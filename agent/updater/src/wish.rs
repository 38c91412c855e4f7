//! What people on the host wish for, as goals like any other: with a generation after the last one, and no rollout.
//!
//! A controller sees the higher generation, counts its own rollout on this host as superseded, and goes on from there.

use std::sync::Arc;

use flota_daemon::error_chain::chain;
use flota_engine::State;
use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal};
use flota_model::{Digest, Generation, RolloutId};
use flota_release::Trust;

use crate::driver::UpdaterHandle;
use crate::journal::Journal;
use crate::offline::past_return;
use crate::settings::UpdaterSettings;
use crate::socket::{Call, Returned};
use crate::verify::TRUST;

/// Turns a wish into a goal, and hands it to the updater. An error is a sentence.
pub(crate) async fn grant(
    settings: &Arc<UpdaterSettings>,
    updater: &UpdaterHandle,
    wish: Call,
) -> Result<Returned, String> {
    let known = Arc::clone(settings);
    let goal = tokio::task::spawn_blocking(move || goal(&known, wish)).await.map_err(|error| chain(&error))??;
    let Some(desired) = goal else { return Err("nothing is on its way: there is nothing to cancel".to_owned()) };
    let generation = desired.generation;
    updater.want(desired).await.map_err(|error| chain(&error))?;
    Ok(Returned::Accepted { generation })
}

/// The goal that a wish comes to. Blocks.
fn goal(settings: &UpdaterSettings, wish: Call) -> Result<Option<DesiredState>, String> {
    let state = Journal::peek(&settings.state_dir).map_err(|error| chain(&error))?.unwrap_or_else(|| State::new(None));
    let goal = match wish {
        Call::Apply { release } => {
            busy(&state)?;
            Goal::Install { release, intent: Direction::Forward }
        }
        Call::RollBack { expected } => {
            busy(&state)?;
            Goal::Install { release: before(settings, &state, expected)?, intent: Direction::Back }
        }
        _ if state.phase().is_rest() => return Ok(None),
        _ if past_return(&state) => {
            let phase = state.phase().name();
            return Err(format!("too late ({phase}): it commits or goes back by itself; roll back afterwards"));
        }
        _ => Goal::Stay,
    };
    let last = [state.accepted(), state.waiting()].into_iter().flatten().map(|desired| desired.generation).max();
    Ok(Some(DesiredState { generation: Generation::after(last), goal, rollout: RolloutId::ON_THE_HOST }))
}

/// One thing after the other: a person should not call off unawares what a fleet is about.
fn busy(state: &State) -> Result<(), String> {
    match state.accepted() {
        Some(desired) if !state.phase().is_rest() => {
            let (phase, what) = (state.phase().name(), who(desired.rollout));
            Err(format!("{what} is on its way ({phase}): let it end, or `flota-agent update cancel` first"))
        }
        _ => Ok(()),
    }
}

fn who(rollout: RolloutId) -> String {
    if rollout == RolloutId::ON_THE_HOST {
        "an update that was asked for on this host".to_owned()
    } else {
        format!("an update of rollout {rollout}")
    }
}

/// The release before, as it was verified when it was installed.
fn before(settings: &UpdaterSettings, state: &State, expected: Option<Digest>) -> Result<ReleaseRef, String> {
    let previous = state.previous().ok_or("there is no release before this one on this host")?;
    let shown = format!("{} ({})", previous.version, previous.digest.short());
    if expected.is_some_and(|expected| expected != previous.digest) {
        return Err(format!("the release before is {shown}, not what was expected: look at `flota-agent status`"));
    }
    let trust = Trust::open(&settings.package.release_root, &settings.state_dir.join(TRUST));
    let floors = trust.map_err(|error| chain(&error))?.floors();
    match floors.admitted.get(&previous.digest) {
        Some(admitted) if admitted.size > 0 => {
            let (digest, version, size) = (previous.digest, previous.version.clone(), admitted.size);
            Ok(ReleaseRef { digest, version, size })
        }
        _ => Err(format!("release {shown} was never verified here: sign its package, and apply that")),
    }
}
