//! The life of one bot process: lock, announce, warm up, work, leave.

use std::future::pending;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::journal::Journal;
use crate::root::{Behaviour, Phase, Root, State};

/// Pace of the log entries: quick enough that a test sees several within a second, slow enough to cost nothing.
const PACE: Duration = Duration::from_millis(200);
/// Life of a `crash` release after it came up: long enough for `start` to report success, as a real crash does.
const CRASH_AFTER: Duration = Duration::from_millis(300);

/// How a run ended.
pub(crate) enum End {
    /// SIGTERM or SIGINT was obeyed.
    Stopped,
    /// The release's behaviour is `crash`. State and pid file stay behind, as after a real one.
    Crashed,
    /// Another bot holds the root; nothing was touched.
    RootTaken,
}

/// Runs the release behind `current` until it is told to stop.
pub(crate) async fn run(root: &Root) -> Result<End> {
    let Some(_lock) = root.lock().await? else {
        return Ok(End::RootTaken);
    };
    let release = root.release()?;
    // Before the pid is published: whoever reads it may signal at once, and the default action would skip the farewell.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut stop = std::pin::pin!(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });

    let last_epoch = root.state()?.map_or(0, |state| state.trade_epoch);
    let warm_up = release.warm_up();
    let mut state = State {
        version: release.version,
        behaviour: release.behaviour,
        pid: std::process::id(),
        started_at: Timestamp::now(),
        trade_epoch: last_epoch + 1,
        phase: Phase::Starting,
    };
    root.write_pid(state.pid)?;
    root.write_state(&state)?;

    let stopped_early = tokio::select! {
        biased;
        () = &mut stop => true,
        () = sleep(warm_up) => false,
    };
    if stopped_early {
        return leave(root, state);
    }
    state.phase = Phase::Up;
    root.write_state(&state)?;

    let crash_at = (state.behaviour == Behaviour::Crash).then(|| Instant::now() + CRASH_AFTER);
    let mut crash = std::pin::pin!(async move {
        match crash_at {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
    });
    let mut journal = Journal::new(root.logs(), &state);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return leave(root, state),
            () = &mut crash => return Ok(End::Crashed),
            _ = pace.tick() => journal.append(Timestamp::now())?,
        }
    }
}

fn leave(root: &Root, mut state: State) -> Result<End> {
    state.phase = Phase::Stopped;
    root.write_state(&state)?;
    root.remove_pid()?;
    Ok(End::Stopped)
}
