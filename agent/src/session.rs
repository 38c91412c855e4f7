//! The daemon: keeps one session with the controller, does what it is asked, and goes on without it.
//!
//! Nothing here decides what is authentic, and nothing on the host stops when the controller is away.

mod connection;
mod evidence;
pub mod refusal;
mod serve;
mod tasks;
mod transfer;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_daemon::lifecycle::Lifecycle;

use crate::enrol::{EnrolError, open_tpm};
use crate::identity::{Identity, IdentityError};
use crate::procedures::Environment;
use crate::settings::Settings;
use crate::update::{SpawnError, Updater};
use serve::Agent;
use transfer::ControllerTransfer;

/// First pause after a lost connection; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause: a controller that was away for an hour finds its fleet back within half a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A session that lasted this long was a good one: the next pause is short again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The host has no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] EnrolError),
    /// The updater.
    #[error(transparent)]
    Updater(#[from] SpawnError),
    /// Signal handlers.
    #[error("waiting for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs the agent until a signal comes.
pub async fn run(settings: Settings, environment: Environment) -> Result<(), RunError> {
    let settings = Arc::new(settings);
    let identity = Identity::load(&settings.state_dir)?;
    let tpm = open_tpm(&settings).await?;
    let lifecycle = Lifecycle::new();
    let transfer = Arc::new(ControllerTransfer::default());
    let updater = Updater::spawn(
        Arc::clone(&settings),
        environment.clone(),
        Arc::clone(&transfer) as Arc<dyn crate::update::Transfer>,
        &lifecycle,
    )?;
    tracing::info!(host.id = %identity.host_id, host.name = %identity.host_name, "agent runs");
    let agent = Agent::new(settings, environment, identity, tpm, updater, transfer);
    let stopping = lifecycle.stopping();
    lifecycle.spawn_vital("session", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = keep_connected(agent) => {}
        }
    });
    lifecycle.run_until_stopped().await.map_err(RunError::Signals)
}

/// Connects, serves, and after every end connects again.
async fn keep_connected(mut agent: Agent) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = tokio::time::Instant::now();
        let error = agent.session().await;
        if began.elapsed() >= GOOD_SESSION {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(error = chain(&error), pause_ms = pause.as_millis(), "no session with the controller");
        tokio::time::sleep(jittered(pause)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Between half of it and all of it, so that a fleet does not come back in one instant.
fn jittered(pause: Duration) -> Duration {
    // The seeds of the standard hasher are random for every instance.
    let random = std::hash::RandomState::new().build_hasher().finish();
    let share = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_spread_over_their_upper_half() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(10));
            assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&pause), "{pause:?}");
        }
    }
}
