//! The daemon: keeps one session with the controller, does what it is asked, and goes on without it.
//!
//! Nothing here decides what is authentic, and nothing on the host stops when the controller is away.

mod boot_log;
mod connection;
mod evidence;
mod oem;
mod reentry;
pub mod refusal;
mod renewal;
mod serve;
mod tasks;
mod transfer;
mod verdicts;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_daemon::lifecycle::Lifecycle;
use flota_model::Timestamp;
use flota_updater::settings::{Component, Home, UpdaterSettings};
use flota_updater::socket::{BindError, Server, Sides, Updated, attach};
use flota_updater::{Outside, Outsides, SpawnError, Updater, UpdaterHandle, boot};
use tokio::time::Instant;

use crate::enrol::{self, EnrolError};
use crate::host_key::{HostKey, HostKeyError};
use crate::identity::{Identity, IdentityError};
use crate::outside::ControllerSide;
use crate::procedures::Environment;
use crate::settings::{Settings, TpmSettings};
use boot_log::BootLog;
use evidence::Witness;
use oem::OemCheck;
use reentry::{Reentry, blames_certificate};
use serve::{Agent, Reception, SessionEnd};
pub(crate) use transfer::ControllerTransfer;

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
    /// The host's key.
    #[error(transparent)]
    Key(#[from] HostKeyError),
    /// The updater.
    #[error(transparent)]
    Updater(#[from] SpawnError),
    /// Its socket.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// Signal handlers.
    #[error("waiting for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs the agent until a signal comes.
pub async fn run(settings: Settings, environment: Environment) -> Result<(), RunError> {
    let settings = Arc::new(settings);
    let identity = Identity::load(&settings.state_dir)?;
    let key = HostKey::open(&settings).await?;
    let boot_log = boot_log(&settings).await;
    let lifecycle = Lifecycle::new();
    let transfer = Arc::new(ControllerTransfer::new(settings.updater.update.rate));
    let side = ControllerSide::new(Arc::clone(&settings), environment.clone(), Arc::clone(&transfer));
    let updater = updater(&settings.updater, Arc::new(side), &lifecycle).await?;
    tracing::info!(
        host.id = %identity.host_id, host.name = %identity.host_name, "agent runs; key: {}", key.residence()
    );
    let oem = OemCheck::new(Arc::clone(&settings), environment.clone());
    let witness = Witness { key, boot_log, oem, reports: updater.reports() };
    let agent = Agent::new(settings, environment, identity, witness, updater, transfer);
    let stopping = lifecycle.stopping();
    lifecycle.spawn_vital("session", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = keep_connected(agent) => {}
        }
    });
    lifecycle.run_until_stopped().await.map_err(RunError::Signals)
}

/// The updater: this process's own, or a supervisor's.
async fn updater(
    settings: &Arc<UpdaterSettings>,
    side: Arc<dyn Outside>,
    lifecycle: &Lifecycle,
) -> Result<UpdaterHandle, RunError> {
    if let Home::Supervisor { .. } = settings.home {
        let updater = attach(&settings.socket, side, lifecycle).await;
        // A release of this program that came so far runs.
        boot::settled(&settings.agent_dir);
        return Ok(updater);
    }
    let sides = Sides::new();
    let outsides = Outsides { controller: side, host: sides.host() };
    let updater = Updater::spawn(Arc::clone(settings), outsides, lifecycle)?;
    let bot = Updated::from([(Component::Bot, (Arc::clone(settings), updater.clone()))]);
    let server = Server::bind(Arc::clone(settings), bot, sides)?;
    let stopping = lifecycle.stopping();
    lifecycle.spawn_vital("updater's socket", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = server.serve() => {}
        }
    });
    Ok(updater)
}

/// The log of the boot; none where there is no TPM to vouch for it.
async fn boot_log(settings: &Settings) -> Option<Arc<BootLog>> {
    let TpmSettings::Required(access) = &settings.tpm else { return None };
    let path = access.boot_log.clone();
    let read = tokio::task::spawn_blocking(move || BootLog::read(&path)).await.ok()?;
    read.unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "the boot log is not sent to the controller");
        None
    })
    .map(Arc::new)
}

/// Connects, serves, and after every end connects again.
async fn keep_connected(mut agent: Agent) {
    let (mut pause, mut reentry) = (FIRST_PAUSE, Reentry::new());
    loop {
        let (began, received) = (Instant::now(), agent.workshop.transfer.received());
        let (end, reception) = agent.session().await;
        // A link that is cut again and again must not keep an update away, as long as each session brings some of it.
        if began.elapsed() >= GOOD_SESSION || agent.workshop.transfer.received() > received {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(error = chain(&end), pause_ms = pause.as_millis(), "no session with the controller");
        match reception {
            Reception::Welcomed => reentry.relax(),
            Reception::Rejected => come_back(&mut agent, &end, &mut reentry).await,
        }
        tokio::time::sleep(jittered(pause)).await;
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Enrols the host again if that is what it takes, and nobody has to do it by hand.
async fn come_back(agent: &mut Agent, end: &SessionEnd, reentry: &mut Reentry) {
    let now = Timestamp::from_micros(flota_daemon::present());
    let has_expired = agent.identity.validity().is_none_or(|validity| validity.until <= now);
    if !blames_certificate(end, has_expired) || !reentry.begins(Instant::now(), jittered) {
        return;
    }
    tracing::warn!(
        has_expired,
        "the certificate of this host is not taken; enrolling again with its TPM, without a token"
    );
    match enrol::come_back(&agent.workshop.settings, agent.key(), &agent.identity.host_id).await {
        Ok(identity) => {
            tracing::info!(host.id = %identity.host_id, "this host has come back and has a new certificate");
            agent.identity = identity;
        }
        Err(error) => {
            if !matches!(error, EnrolError::Refused(_) | EnrolError::TokenNeeded) {
                reentry.relax();
            }
            let error = chain(&error);
            tracing::error!(
                error,
                "this host cannot come back by itself; it tries again, or a person enrols it with a token"
            );
        }
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
