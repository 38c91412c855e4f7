//! Performs the engine's effects on the host. Each may be interrupted anywhere and performed again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_engine::{Cause, Effect, Event};
use flota_model::release::ReleaseRef;
use flota_model::{Digest, Generation};
use flota_snapshot::Snapshots;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::bot::BotError;
use crate::outside::{Origin, Outsides};
use crate::self_test::self_test;
use crate::service::Service;
use crate::settings::{Component, ExchangeCheck, UpdaterSettings};
use crate::slots::Slots;
use crate::{preflight, stage, verify};

/// Where copies of the bot's data are, in the agent's state folder.
const SNAPSHOTS: &str = "snapshots";
/// First pause before a transfer is tried again; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause. [`flota_engine::MAX_TRANSFER_ATTEMPTS`] of them outlast an hour.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The host, as far as an update touches it.
pub(crate) struct Host {
    pub(crate) settings: Arc<UpdaterSettings>,
    pub(crate) outsides: Outsides,
    pub(crate) slots: Slots,
    pub(crate) bot: Service,
    snapshots: Snapshots,
    /// Attempts to fetch a package, one after the other, that brought nothing.
    stalls: AtomicU32,
    /// Held by work on the disk, which goes on after its future was dropped; whatever comes next waits for it.
    pub(crate) disk: Arc<Mutex<()>>,
}

impl Host {
    /// Whatever is updated is driven by the settings' commands; this very program by `stopping`, which ends it.
    pub(crate) fn new(
        settings: Arc<UpdaterSettings>,
        outsides: Outsides,
        slots: Slots,
        stopping: CancellationToken,
    ) -> Self {
        let bot = Service::of(&settings, stopping);
        let snapshots = Snapshots::new(&settings.state_dir.join(SNAPSHOTS), &settings.root);
        let disk = Arc::new(Mutex::new(()));
        Self { settings, outsides, slots, bot, snapshots, stalls: AtomicU32::new(0), disk }
    }

    /// Performs work and says what came of it. What has no outcome is [`Self::sweep`]'s or the driver's.
    pub(crate) async fn perform(&self, effect: &Effect, origin: Origin) -> Event {
        let outside = self.outsides.of(origin).as_ref();
        match effect {
            Effect::Verify { release, intent, attempt } => {
                tokio::time::sleep(pause_before(*attempt)).await;
                match verify::verify(self, outside, release, *intent).await {
                    Ok(()) => Event::Verified,
                    Err((why, cause)) => Event::VerifyFailed { why, cause },
                }
            }
            Effect::Preflight { release, bot } => match preflight::preflight(self, outside, release, *bot).await {
                Ok(()) => Event::PreflightPassed,
                Err(why) => Event::PreflightFailed { why },
            },
            Effect::Download { release, attempt } => match self.download(origin, release, *attempt).await {
                Ok(()) => Event::Downloaded,
                Err((why, cause)) => Event::DownloadFailed { why, cause },
            },
            Effect::Stage(release) => match self.stage(release).await {
                Ok(()) => Event::Staged,
                Err(why) => Event::StageFailed { why },
            },
            Effect::Export { release, rollout, attempt } => {
                tokio::time::sleep(pause_before(*attempt)).await;
                match outside.export(release, *rollout).await {
                    Ok(()) => Event::Exported,
                    Err(error) => Event::ExportFailed { why: chain(&error), cause: error.cause() },
                }
            }
            Effect::Quiesce { attempt } => {
                tokio::time::sleep(pause_before(*attempt)).await;
                match self.bot.quiesce().await {
                    Ok(()) => Event::Quiesced,
                    Err(error) => {
                        let cause = if error.is_transient() { Cause::Transient } else { Cause::Permanent };
                        Event::QuiesceFailed { why: chain(&error), cause }
                    }
                }
            }
            Effect::Snapshot { generation } => match self.snapshot(*generation).await {
                Ok(()) => Event::SnapshotTaken,
                Err(why) => Event::SnapshotFailed { why },
            },
            Effect::Resume => match self.bot.resume().await {
                Ok(()) => Event::Resumed,
                Err(error) => Event::ResumeFailed { why: chain(&error) },
            },
            Effect::Switch { to, attempt: _ } => match self.switch(Some(*to)).await {
                Ok(()) => Event::Switched,
                Err(why) => Event::SwitchFailed { why },
            },
            Effect::CheckHealth { of: _ } => match self.watch(outside, self.settings.update.exchange_check).await {
                Ok(()) => Event::Healthy,
                Err(why) => Event::Unhealthy { why },
            },
            Effect::Soak { of: _ } => match self.soak().await {
                Ok(()) => Event::Soaked,
                Err(why) => Event::SoakFailed { why },
            },
            Effect::SwitchBack { to, snapshot } => match self.switch_back(*to, *snapshot).await {
                Ok(()) => Event::SwitchedBack,
                Err(why) => Event::SwitchBackFailed { why },
            },
            // An exchange that is down is no reason to stop a bot that is well.
            Effect::CheckFallbackHealth { of: _ } => match self.watch(outside, ExchangeCheck::Skipped).await {
                Ok(()) => Event::FallbackHealthy,
                Err(why) => Event::FallbackUnhealthy { why },
            },
            Effect::StopBot => match self.bot.stop().await {
                Ok(()) => Event::BotStopped,
                Err(error) => Event::StopFailed { why: chain(&error) },
            },
            Effect::Proceed | Effect::Cleanup { .. } | Effect::Report => Event::Proceed,
        }
    }

    /// Removes what no update needs any more. What cannot be removed is tried again at the next rest.
    pub(crate) async fn sweep(&self, keep: Vec<Digest>) {
        let (slots, downloads) = (self.slots.clone(), stage::downloads(&self.settings));
        let snapshots = self.snapshots.clone();
        let swept = self.on_disk(move || {
            snapshots.retire().map_err(|error| chain(&error))?;
            stage::discard(&downloads)?;
            slots.sweep(&keep).map_err(|error| chain(&error))
        });
        if let Err(error) = swept.await {
            tracing::warn!(error, "what no update needs any more could not be removed");
        }
        for outside in [&self.outsides.controller, &self.outsides.host] {
            outside.tidy().await;
        }
    }

    async fn download(&self, origin: Origin, release: &ReleaseRef, attempt: u32) -> Result<(), (String, Cause)> {
        let stalls = self.stalls.load(Ordering::Relaxed);
        tokio::time::sleep(pause_before(attempt.min(stalls.saturating_add(2)))).await;
        let permanent = |why| (why, Cause::Permanent);
        let parcel = stage::Parcel::of(&self.settings, origin, release);
        let begun_with = parcel.received();
        let (slots, begun, digest) = (self.slots.clone(), parcel.clone(), release.digest);
        let look = move || {
            let is_here = slots.contains(digest) || begun.prepare()?;
            Ok((is_here, slots.folders().map_err(|error| chain(&error))?))
        };
        let (is_here, seeds) = self.on_disk(look).await.map_err(permanent)?;
        if is_here {
            return Ok(());
        }
        let fetched = self.outsides.of(origin).fetch(release, parcel.partial(), &seeds).await;
        // Pauses grow while nothing comes, not while a bad link brings some of it each time.
        let stalls = if parcel.received() > begun_with { 0 } else { stalls.saturating_add(1) };
        self.stalls.store(stalls, Ordering::Relaxed);
        fetched.map_err(|error| (chain(&error), error.cause()))?;
        // Damage on the way is mended by fetching again; the damaged file is gone by then.
        self.on_disk(move || parcel.complete()).await.map_err(|why| (why, Cause::Transient))
    }

    async fn stage(&self, release: &ReleaseRef) -> Result<(), String> {
        let (settings, slots, release) = (self.settings.clone(), self.slots.clone(), release.clone());
        let folder = slots.path(release.digest);
        self.on_disk(move || stage::stage(&settings, &slots, &release).map_err(|error| chain(&error))).await?;
        match &self.settings.update.self_test {
            Some(test) => {
                let tested = self_test(test, &folder, &self.settings.state_dir).await;
                tested.map_err(|error| format!("the release does not pass its own test: {}", chain(&error)))
            }
            None => Ok(()),
        }
    }

    async fn snapshot(&self, before: Generation) -> Result<(), String> {
        let entries = self.settings.update.snapshot.clone();
        if entries.is_empty() {
            return Ok(());
        }
        let snapshots = self.snapshots.clone();
        self.on_disk(move || snapshots.take(&before.to_string(), &entries).map_err(|error| chain(&error))).await
    }

    /// Stops the bot, restores what the release before could not read, and switches to it.
    async fn switch_back(&self, to: Option<Digest>, snapshot: Option<Generation>) -> Result<(), String> {
        if let Some(before) = snapshot {
            self.bot.stop().await.map_err(|error| chain(&error))?;
            let snapshots = self.snapshots.clone();
            let restore = move || snapshots.restore(&before.to_string()).map_err(|error| chain(&error));
            for database in self.on_disk(restore).await? {
                tracing::warn!(database = %database.display(), "its schema had moved: it is again what it was before the update");
            }
        }
        self.switch(to).await
    }

    /// Stops the bot, moves `current`, starts the bot. A bot that does not stop is not joined by a second one.
    async fn switch(&self, to: Option<Digest>) -> Result<(), String> {
        let failed = |error: BotError| chain(&error);
        self.bot.stop().await.map_err(failed)?;
        let slots = self.slots.clone();
        let moved = self.on_disk(move || {
            let moved = to.map_or_else(|| slots.unpoint(), |digest| slots.point(digest));
            moved.map_err(|error| chain(&error))
        });
        moved.await?;
        // Without a release there is no bot; of our own programs there is the installed one.
        let runs_without = self.settings.package.component != Component::Bot;
        if to.is_some() || runs_without { self.bot.start().await.map_err(failed) } else { Ok(()) }
    }

    /// Runs what blocks, after whatever still runs from before.
    pub(crate) async fn on_disk<T, F>(&self, work: F) -> Result<T, String>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, String> + Send + 'static,
    {
        let turn = self.disk.clone().lock_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.unwrap_or_else(|_| Err("the agent failed while it worked on the disk; see its log".to_owned()))
    }
}

fn pause_before(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        // Beyond 2^16 the longest pause is reached long since.
        more => FIRST_PAUSE.saturating_mul(1 << (more - 2).min(16)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let pauses: Vec<_> = [1, 2, 3, 4, 9, 100, u32::MAX].map(pause_before).iter().map(Duration::as_millis).collect();
        assert_eq!(pauses, [0, 500, 1000, 2000, 60_000, 60_000, 60_000]);
    }
}
