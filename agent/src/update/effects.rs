//! Performs the engine's effects on the host. Each may be interrupted anywhere and performed again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flota_daemon::error_chain::chain;
use flota_engine::{Cause, Effect, Event};
use flota_model::release::ReleaseRef;
use flota_model::{Digest, Generation, RolloutId};
use flota_snapshot::Snapshots;
use tokio::sync::Mutex;

use super::bot::{Bot, BotError};
use super::slots::Slots;
use super::transfer::Transfer;
use super::{preflight, stage, verify};
use crate::procedures::{self, Environment, ExportFile, present};
use crate::settings::{ExchangeCheck, Settings};

/// Where copies of the bot's data are, in the agent's state folder.
const SNAPSHOTS: &str = "snapshots";
/// First pause before a transfer is tried again; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause. [`flota_engine::MAX_TRANSFER_ATTEMPTS`] of them outlast an hour.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A security export that was made before an update and is safe at the controller as a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportMade {
    /// SHA-256 of the bundle.
    pub blob: Digest,
    /// Its size, in bytes.
    pub size: u64,
    /// Audit entries in it.
    pub audit_entries: u64,
    /// Alert entries in it.
    pub alert_entries: u64,
    /// `ok`, or `partial` when a log could not be read.
    pub status: &'static str,
    /// Name of the key that signed it; empty if it has none.
    pub key_id: String,
    /// The rollout before whose update it was made.
    pub rollout: Option<RolloutId>,
}

/// The host, as far as an update touches it.
pub(super) struct Host {
    pub(super) settings: Arc<Settings>,
    pub(super) environment: Environment,
    pub(super) transfer: Arc<dyn Transfer>,
    pub(super) slots: Slots,
    pub(super) bot: Bot,
    snapshots: Snapshots,
    /// The export of this update, so that trying its upload again does not write another.
    taken: Mutex<Option<(Digest, ExportFile)>>,
    /// Attempts to fetch a package, one after the other, that brought nothing.
    stalls: AtomicU32,
    /// Held by work on the disk, which goes on after its future was dropped; whatever comes next waits for it.
    pub(super) disk: Arc<Mutex<()>>,
}

impl Host {
    pub(super) fn new(
        settings: Arc<Settings>,
        environment: Environment,
        transfer: Arc<dyn Transfer>,
        slots: Slots,
    ) -> Self {
        let bot = Bot::new(&settings.bot, &settings.root, &settings.state_dir);
        let snapshots = Snapshots::new(&settings.state_dir.join(SNAPSHOTS), &settings.root);
        let (taken, disk) = (Mutex::new(None), Arc::new(Mutex::new(())));
        Self { settings, environment, transfer, slots, bot, snapshots, taken, stalls: AtomicU32::new(0), disk }
    }

    /// Performs work and says what came of it. What has no outcome is [`Self::sweep`]'s or the driver's.
    pub(super) async fn perform(&self, effect: &Effect) -> Event {
        match effect {
            Effect::Verify { release, intent, attempt } => {
                tokio::time::sleep(pause_before(*attempt)).await;
                match verify::verify(self, release, *intent).await {
                    Ok(()) => Event::Verified,
                    Err((why, cause)) => Event::VerifyFailed { why, cause },
                }
            }
            Effect::Preflight { release, bot } => match preflight::preflight(self, release, *bot).await {
                Ok(()) => Event::PreflightPassed,
                Err(why) => Event::PreflightFailed { why },
            },
            Effect::Download { release, attempt } => match self.download(release, *attempt).await {
                Ok(()) => Event::Downloaded,
                Err((why, cause)) => Event::DownloadFailed { why, cause },
            },
            Effect::Stage(release) => match self.stage(release).await {
                Ok(()) => Event::Staged,
                Err(why) => Event::StageFailed { why },
            },
            Effect::Export { release, rollout, attempt } => match self.export(release, *rollout, *attempt).await {
                Ok(()) => Event::Exported,
                Err((why, cause)) => Event::ExportFailed { why, cause },
            },
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
            Effect::CheckHealth { of: _ } => match self.watch(self.settings.update.exchange_check).await {
                Ok(()) => Event::Healthy,
                Err(why) => Event::Unhealthy { why },
            },
            Effect::SwitchBack { to, snapshot } => match self.switch_back(*to, *snapshot).await {
                Ok(()) => Event::SwitchedBack,
                Err(why) => Event::SwitchBackFailed { why },
            },
            // An exchange that is down is no reason to stop a bot that is well.
            Effect::CheckFallbackHealth { of: _ } => match self.watch(ExchangeCheck::Skipped).await {
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
    pub(super) async fn sweep(&self, keep: Vec<Digest>) {
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
        *self.taken.lock().await = None;
    }

    async fn download(&self, release: &ReleaseRef, attempt: u32) -> Result<(), (String, Cause)> {
        let stalls = self.stalls.load(Ordering::Relaxed);
        tokio::time::sleep(pause_before(attempt.min(stalls.saturating_add(2)))).await;
        let permanent = |why| (why, Cause::Permanent);
        let parcel = stage::Parcel::of(&self.settings, release);
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
        let fetched = self.transfer.fetch(release, parcel.partial(), &seeds).await;
        // Pauses grow while nothing comes, not while a bad link brings some of it each time.
        let stalls = if parcel.received() > begun_with { 0 } else { stalls.saturating_add(1) };
        self.stalls.store(stalls, Ordering::Relaxed);
        fetched.map_err(|error| (chain(&error), error.cause()))?;
        // Damage on the way is mended by fetching again; the damaged file is gone by then.
        self.on_disk(move || parcel.complete()).await.map_err(|why| (why, Cause::Transient))
    }

    async fn stage(&self, release: &ReleaseRef) -> Result<(), String> {
        let (settings, slots, release) = (self.settings.clone(), self.slots.clone(), release.clone());
        self.on_disk(move || stage::stage(&settings, &slots, &release).map_err(|error| chain(&error))).await
    }

    async fn export(
        &self,
        release: &ReleaseRef,
        rollout: Option<RolloutId>,
        attempt: u32,
    ) -> Result<(), (String, Cause)> {
        tokio::time::sleep(pause_before(attempt)).await;
        let taken = self.taken.lock().await.clone().filter(|(before, _)| *before == release.digest);
        let file = if let Some((_, file)) = taken {
            file
        } else {
            let settings = self.settings.clone();
            let take = move || procedures::take_export(&settings, present()).map_err(|error| chain(&error));
            let file = self.on_disk(take).await.map_err(|why| (why, Cause::Permanent))?;
            *self.taken.lock().await = Some((release.digest, file.clone()));
            file
        };
        let uploaded = self.transfer.upload(&file.path, file.digest, file.size).await;
        uploaded.map_err(|error| (chain(&error), error.cause()))?;
        let archived = self.transfer.archive(&made(&file, rollout)).await;
        archived.map_err(|error| (chain(&error), error.cause()))
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
        match to {
            Some(_) => self.bot.start().await.map_err(failed),
            None => Ok(()),
        }
    }

    /// Runs what blocks, after whatever still runs from before.
    pub(super) async fn on_disk<T, F>(&self, work: F) -> Result<T, String>
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

fn made(file: &ExportFile, rollout: Option<RolloutId>) -> ExportMade {
    let ExportFile { path: _, digest, size, report } = file;
    ExportMade {
        blob: *digest,
        size: *size,
        audit_entries: report.audit_entries(),
        alert_entries: report.alert_entries().unwrap_or(0),
        status: report.status().name(),
        key_id: report.signature().key_id().unwrap_or_default().to_owned(),
        rollout,
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
