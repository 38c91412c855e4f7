//! Two-stage shutdown: a soft signal lets work finish, a hard one ends it.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long work may go on after the first signal, before it is dropped. Longer than a TPM command or a database
/// transaction, shorter than systemd's patience (90 s).
pub const GRACE: Duration = Duration::from_secs(10);

/// Stops everything when it is dropped, however its task ended: a panic counts as well.
struct Vital {
    name: &'static str,
    soft: CancellationToken,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if !self.soft.is_cancelled() {
            tracing::error!(task = self.name, "a vital task ended; stopping");
            self.soft.cancel();
        }
    }
}

/// Spawns the tasks of a process and ends them together.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// Nothing spawned, nothing stopped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the process should stop accepting and finish.
    pub fn stopping(&self) -> CancellationToken {
        self.soft.clone()
    }

    /// Spawns a task that shutdown waits for.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.tracker.spawn(task));
    }

    /// Spawns a task that must last as long as the process: if it ends by itself, everything stops.
    pub fn spawn_vital<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let vital = Vital { name, soft: self.soft.clone() };
        drop(self.tracker.spawn(async move {
            let _vital = vital;
            task.await;
        }));
    }

    /// Asks everything to stop.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Waits for SIGTERM, SIGINT or [`Self::stop`], then for the tasks, at most [`GRACE`] or until a second signal.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub async fn run_until_stopped(self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.soft.cancelled() => {}
        }
        tracing::info!("stopping");
        self.soft.cancel();
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = tokio::time::sleep(GRACE) => tracing::warn!("tasks did not finish in time; dropping them"),
            _ = terminate.recv() => tracing::warn!("second signal; dropping what runs"),
            _ = interrupt.recv() => tracing::warn!("second signal; dropping what runs"),
        }
        Ok(())
    }
}
