//! What happens to a host, and what is to be done about it.

use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction};
use flota_model::{Digest, Generation, RolloutId};

use crate::state::Installed;

/// What preflight may expect of the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BotBefore {
    /// It runs; if it is sick, the update is refused unless the settings allow it.
    Running,
    /// The host is in safe-hold: the bot was stopped, and an update is the way out.
    Held,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The controller wants this.
    Desired(DesiredState),
    /// The state that was just entered is on disk, and asks for nothing else: [`Effect::Proceed`].
    Proceed,
    /// The shell begins with a state from an earlier life.
    Restarted {
        /// What `current` names; none if there is none.
        current: Option<Installed>,
    },
    /// The release is signed, and its terms allow it here.
    Verified,
    /// It is not, or they do not, or that cannot be told.
    VerifyFailed {
        /// Why, for people.
        why: String,
        /// Whether to try again.
        cause: Cause,
    },
    /// [`Effect::Preflight`] found nothing against it.
    PreflightPassed,
    /// The host cannot take the release now.
    PreflightFailed {
        /// Why, for people.
        why: String,
    },
    /// The package is on the host, whole.
    Downloaded,
    /// It is not.
    DownloadFailed {
        /// Why, for people.
        why: String,
        /// Whether to try again.
        cause: Cause,
    },
    /// The package is authentic and stands unpacked in its own folder.
    Staged,
    /// It is not authentic, or could not be unpacked.
    StageFailed {
        /// Why, for people.
        why: String,
    },
    /// The security export was written and is safe elsewhere.
    Exported,
    /// It is not.
    ExportFailed {
        /// Why, for people.
        why: String,
        /// Whether to try again.
        cause: Cause,
    },
    /// The bot is at rest.
    Quiesced,
    /// It is not.
    QuiesceFailed {
        /// Why, for people.
        why: String,
        /// Whether to ask again: it holds positions that it cannot close now, say.
        cause: Cause,
    },
    /// The bot's data are copied, and the copy is on disk.
    SnapshotTaken,
    /// They are not.
    SnapshotFailed {
        /// Why, for people.
        why: String,
    },
    /// The bot trades again.
    Resumed,
    /// It does not, and could not be started anew either.
    ResumeFailed {
        /// Why, for people.
        why: String,
    },
    /// `current` names the new release and its bot was started.
    Switched,
    /// It could not be started.
    SwitchFailed {
        /// Why, for people.
        why: String,
    },
    /// The new release proved healthy.
    Healthy,
    /// It did not in its time.
    Unhealthy {
        /// Why, for people.
        why: String,
    },
    /// It stayed so.
    Soaked,
    /// It did not.
    SoakFailed {
        /// Why, for people.
        why: String,
    },
    /// `current` names the release before, and its bot was started; or nothing was before, and nothing runs.
    SwitchedBack,
    /// Going back failed.
    SwitchBackFailed {
        /// Why, for people.
        why: String,
    },
    /// The release before is healthy.
    FallbackHealthy,
    /// It is not.
    FallbackUnhealthy {
        /// Why, for people.
        why: String,
    },
    /// The bot is down, for safe-hold.
    BotStopped,
    /// The bot could not be stopped.
    StopFailed {
        /// Why, for people.
        why: String,
    },
}

/// Whether a failure may go away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It may: no connection, the other side is busy.
    Transient,
    /// It stays until somebody changes something.
    Permanent,
}

/// Something to do. Each may be performed again after a crash, and then ends as if performed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing but feed [`Event::Proceed`]: the state had to be on disk before what comes next.
    Proceed,
    /// Check that the release is signed and that its terms allow it here.
    Verify {
        /// Which.
        release: ReleaseRef,
        /// Whether the fleet goes forward with it or back to it.
        intent: Direction,
        /// Counted from one; the shell waits before every one but the first.
        attempt: u32,
    },
    /// Look whether the host can take the release.
    Preflight {
        /// What is to be installed.
        release: ReleaseRef,
        /// Whether the bot must be healthy before its update.
        bot: BotBefore,
    },
    /// Bring the package here.
    Download {
        /// Which.
        release: ReleaseRef,
        /// Counted from one; the shell waits before every one but the first.
        attempt: u32,
    },
    /// Check the package and unpack it into its own folder.
    Stage(ReleaseRef),
    /// Write the security export and take it away.
    Export {
        /// Before the update to this release.
        release: ReleaseRef,
        /// By this rollout.
        rollout: Option<RolloutId>,
        /// Counted from one; the shell waits before every one but the first.
        attempt: u32,
    },
    /// Ask the bot to come to rest, and wait until it has.
    Quiesce {
        /// Counted from one; the shell waits before every one but the first.
        attempt: u32,
    },
    /// Copy the bot's data, under the number of the goal. A copy of that number stays as it is.
    Snapshot {
        /// Of the goal that is worked on.
        generation: Generation,
    },
    /// Let the bot trade again, if need be by starting it anew.
    Resume,
    /// Stop the bot, let `current` name this release, start the bot.
    Switch {
        /// Which.
        to: Digest,
        /// Counted from one.
        attempt: u32,
    },
    /// Watch the new release until it proved healthy or its time is over.
    CheckHealth {
        /// Which release runs.
        of: Digest,
    },
    /// Go on watching the new release, for as long as the settings say. Begun again after a restart.
    Soak {
        /// Which release runs.
        of: Digest,
    },
    /// Stop the bot, let `current` name what was before, restore what of the data it could not read, start the bot. With
    /// nothing before: stop, and remove `current`.
    SwitchBack {
        /// What was before.
        to: Option<Digest>,
        /// The goal before which the data were copied.
        snapshot: Option<Generation>,
    },
    /// Watch the release before until it proved healthy or its time is over.
    CheckFallbackHealth {
        /// Which release runs.
        of: Digest,
    },
    /// Stop the bot, for safe-hold.
    StopBot,
    /// Remove packages, half-made folders, and every release but these.
    Cleanup {
        /// What runs, and what ran before.
        keep: Vec<Digest>,
    },
    /// Tell the controller where the host stands.
    Report,
}

/// An event that changes nothing, and why. The state stays what it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The controller's fault, or a delayed message: a newer generation was accepted.
    #[error("generation {got} is older than {have}, which this host accepted")]
    Stale {
        /// Newest accepted.
        have: Generation,
        /// Offered.
        got: Generation,
    },
    /// The controller's fault: a generation means one thing for ever.
    #[error("generation {generation} came again with another content")]
    Conflict {
        /// Which.
        generation: Generation,
    },
    /// The shell's fault: nothing is under way that this could be the outcome of.
    #[error("the event {event} means nothing in the state {state}")]
    Unexpected {
        /// Name of the state.
        state: &'static str,
        /// Name of the event.
        event: &'static str,
    },
}

impl Event {
    /// Its name, for logs and tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Desired(_) => "desired",
            Self::Proceed => "proceed",
            Self::Restarted { .. } => "restarted",
            Self::Verified => "verified",
            Self::VerifyFailed { cause: Cause::Transient, .. } => "verify failed for now",
            Self::VerifyFailed { cause: Cause::Permanent, .. } => "verify failed for good",
            Self::PreflightPassed => "preflight passed",
            Self::PreflightFailed { .. } => "preflight failed",
            Self::Downloaded => "downloaded",
            Self::DownloadFailed { cause: Cause::Transient, .. } => "download failed for now",
            Self::DownloadFailed { cause: Cause::Permanent, .. } => "download failed for good",
            Self::Staged => "staged",
            Self::StageFailed { .. } => "stage failed",
            Self::Exported => "exported",
            Self::ExportFailed { cause: Cause::Transient, .. } => "export failed for now",
            Self::ExportFailed { cause: Cause::Permanent, .. } => "export failed for good",
            Self::Quiesced => "quiesced",
            Self::QuiesceFailed { cause: Cause::Transient, .. } => "quiesce failed for now",
            Self::QuiesceFailed { cause: Cause::Permanent, .. } => "quiesce failed for good",
            Self::SnapshotTaken => "snapshot taken",
            Self::SnapshotFailed { .. } => "snapshot failed",
            Self::Resumed => "resumed",
            Self::ResumeFailed { .. } => "resume failed",
            Self::Switched => "switched",
            Self::SwitchFailed { .. } => "switch failed",
            Self::Healthy => "healthy",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Soaked => "soaked",
            Self::SoakFailed { .. } => "soak failed",
            Self::SwitchedBack => "switched back",
            Self::SwitchBackFailed { .. } => "switch back failed",
            Self::FallbackHealthy => "fallback healthy",
            Self::FallbackUnhealthy { .. } => "fallback unhealthy",
            Self::BotStopped => "bot stopped",
            Self::StopFailed { .. } => "stop failed",
        }
    }
}

impl Effect {
    /// Whether it is what the state waits for: exactly one such effect is under way in every state that does not rest.
    /// The others ([`Self::Cleanup`], [`Self::Report`]) have no outcome.
    pub fn is_work(&self) -> bool {
        !matches!(self, Self::Cleanup { .. } | Self::Report)
    }
}
