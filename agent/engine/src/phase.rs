//! How far an update has come, with what only that stage knows.

use flota_model::release::ReleaseRef;
use flota_model::update::UpdatePhase;
use serde::{Deserialize, Serialize};

/// A stage of an update. Several of them are one [`UpdatePhase`] to the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub enum Phase {
    /// Rest: runs what it should.
    Committed,
    /// Accepted a release.
    Offered {
        /// Which.
        target: ReleaseRef,
    },
    /// Checks that it is signed, and that its terms allow it here.
    Verifying {
        /// Which.
        target: ReleaseRef,
        /// Counted from one.
        attempt: u32,
    },
    /// Looks whether the host can take it.
    Preflight {
        /// Which.
        target: ReleaseRef,
    },
    /// Fetches the package.
    Downloading {
        /// Which.
        target: ReleaseRef,
        /// Counted from one.
        attempt: u32,
    },
    /// Checks and unpacks it.
    Unpacking {
        /// Which.
        target: ReleaseRef,
    },
    /// It stands beside the release that runs.
    Staged {
        /// Which.
        target: ReleaseRef,
    },
    /// Makes the security export.
    Exporting {
        /// Before which release.
        target: ReleaseRef,
        /// Counted from one.
        attempt: u32,
    },
    /// Asks the bot to come to rest: no new orders, positions closed or protected.
    Quiescing {
        /// Before which release.
        target: ReleaseRef,
        /// Counted from one.
        attempt: u32,
    },
    /// Copies the bot's data.
    Snapshotting {
        /// Before which release.
        target: ReleaseRef,
    },
    /// Lets the bot trade again: it did not come to rest, or a newer goal came.
    Resuming {
        /// What is not installed, or not yet.
        target: ReleaseRef,
        /// What follows, unless a newer goal waits.
        then: AfterResume,
    },
    /// The point of no return.
    Armed {
        /// Which.
        target: ReleaseRef,
    },
    /// Stops, moves `current`, starts.
    Switching {
        /// To which.
        target: ReleaseRef,
        /// Counted from one, before the start that it counts.
        attempt: u32,
    },
    /// The new release must prove healthy.
    Probation {
        /// Which.
        target: ReleaseRef,
        /// The attempt that started it.
        attempt: u32,
    },
    /// The new release proved healthy, and must stay so for a while.
    Soaking {
        /// Which.
        target: ReleaseRef,
    },
    /// Moves `current` back.
    SwitchingBack {
        /// From which.
        target: ReleaseRef,
    },
    /// The release before must prove healthy again.
    FallbackProbation {
        /// What was tried.
        target: ReleaseRef,
    },
    /// Rest: went back.
    RolledBack,
    /// Rest: refused before anything was changed.
    Refused,
    /// Rest, once the bot is down: neither release is healthy.
    SafeHold {
        /// Whether the bot is down.
        bot: HeldBot,
    },
}

/// What follows when the bot trades again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum AfterResume {
    /// It is asked to come to rest again.
    AskAgain {
        /// Counted from one.
        attempt: u32,
    },
    /// The goal is refused.
    Refuse,
}

/// The bot of a host in safe-hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBot {
    /// Being stopped.
    Stopping,
    /// Left to people: stopped, or impossible to stop. The agent does not stop it again, so as not to undo a repair.
    Left,
}

impl Phase {
    /// What the controller is told.
    pub fn public(&self) -> UpdatePhase {
        match self {
            Self::Committed => UpdatePhase::Committed,
            Self::Offered { .. } | Self::Verifying { .. } => UpdatePhase::Offered,
            Self::Preflight { .. } => UpdatePhase::Preflight,
            Self::Downloading { .. } | Self::Unpacking { .. } => UpdatePhase::Downloading,
            // The release stands ready beside the one that runs; the detail says what is waited for.
            Self::Staged { .. } | Self::Quiescing { .. } | Self::Snapshotting { .. } | Self::Resuming { .. } => {
                UpdatePhase::Staged
            }
            Self::Exporting { .. } => UpdatePhase::Exporting,
            Self::Armed { .. } => UpdatePhase::Armed,
            Self::Switching { .. } => UpdatePhase::Switching,
            // Nothing is decided yet.
            Self::Probation { .. } | Self::Soaking { .. } => UpdatePhase::Probation,
            Self::SwitchingBack { .. } | Self::FallbackProbation { .. } => UpdatePhase::RollingBack,
            Self::RolledBack => UpdatePhase::RolledBack,
            Self::Refused => UpdatePhase::Refused,
            Self::SafeHold { .. } => UpdatePhase::SafeHold,
        }
    }

    /// Its name, for errors and tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Offered { .. } => "offered",
            Self::Verifying { .. } => "verifying",
            Self::Preflight { .. } => "preflight",
            Self::Downloading { .. } => "downloading",
            Self::Unpacking { .. } => "unpacking",
            Self::Staged { .. } => "staged",
            Self::Exporting { .. } => "exporting",
            Self::Quiescing { .. } => "quiescing",
            Self::Snapshotting { .. } => "snapshotting",
            Self::Resuming { .. } => "resuming",
            Self::Armed { .. } => "armed",
            Self::Switching { .. } => "switching",
            Self::Probation { .. } => "probation",
            Self::Soaking { .. } => "soaking",
            Self::SwitchingBack { .. } => "switching_back",
            Self::FallbackProbation { .. } => "fallback_probation",
            Self::RolledBack => "rolled_back",
            Self::Refused => "refused",
            Self::SafeHold { bot: HeldBot::Stopping } => "safe_hold_stopping",
            Self::SafeHold { bot: HeldBot::Left } => "safe_hold",
        }
    }

    /// The release under way.
    pub fn target(&self) -> Option<&ReleaseRef> {
        match self {
            Self::Offered { target }
            | Self::Verifying { target, .. }
            | Self::Preflight { target }
            | Self::Downloading { target, .. }
            | Self::Unpacking { target }
            | Self::Staged { target }
            | Self::Exporting { target, .. }
            | Self::Quiescing { target, .. }
            | Self::Snapshotting { target }
            | Self::Resuming { target, .. }
            | Self::Armed { target }
            | Self::Switching { target, .. }
            | Self::Probation { target, .. }
            | Self::Soaking { target }
            | Self::SwitchingBack { target }
            | Self::FallbackProbation { target } => Some(target),
            Self::Committed | Self::RolledBack | Self::Refused | Self::SafeHold { .. } => None,
        }
    }

    /// Nothing is under way.
    pub fn is_rest(&self) -> bool {
        self.target().is_none() && *self != Self::SafeHold { bot: HeldBot::Stopping }
    }

    /// Whether a newer goal may take over at once: nothing was changed yet, or everything is over. While the bot comes to
    /// rest, or is to trade again, a newer goal waits until it trades.
    pub(crate) fn may_be_superseded(&self) -> bool {
        match self {
            Self::Committed
            | Self::Offered { .. }
            | Self::Verifying { .. }
            | Self::Preflight { .. }
            | Self::Downloading { .. }
            | Self::Unpacking { .. }
            | Self::Staged { .. }
            | Self::Exporting { .. }
            | Self::RolledBack
            | Self::Refused
            | Self::SafeHold { bot: HeldBot::Left } => true,
            Self::Quiescing { .. }
            | Self::Snapshotting { .. }
            | Self::Resuming { .. }
            | Self::Armed { .. }
            | Self::Switching { .. }
            | Self::Probation { .. }
            | Self::Soaking { .. }
            | Self::SwitchingBack { .. }
            | Self::FallbackProbation { .. }
            | Self::SafeHold { bot: HeldBot::Stopping } => false,
        }
    }
}
