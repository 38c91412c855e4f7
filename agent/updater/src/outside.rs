//! What an updater needs of the world and does not do itself: everything that takes a network.
//!
//! Nothing that comes from there is believed for that. A package counts for its digest, metadata for their signatures; that
//! an export is safe and that the exchange answers is the outside's word, and the worst that word can do is to let an update
//! begin that somebody signed, or to keep one away.

use std::error::Error;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use flota_engine::Cause;
use flota_model::RolloutId;
use flota_model::release::ReleaseRef;
use flota_release::MetadataSource;
use serde::{Deserialize, Serialize};

use crate::history::Entry;

/// A future in a box, so that [`Outside`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who wants something of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A controller, through the agent.
    Controller,
    /// A person on the host.
    Host,
}

impl Origin {
    /// Of a goal, by the rollout that it names.
    pub fn of(rollout: RolloutId) -> Self {
        if rollout == RolloutId::ON_THE_HOST { Self::Host } else { Self::Controller }
    }
}

/// The side with the network.
///
/// Every future may be dropped at any await, and is then begun again later: keep what was fetched so far. What has a body here
/// is for an outside that has nothing to say on the matter.
pub trait Outside: Send + Sync {
    /// The program that is there at the moment, as it says itself; `None` if nobody is, or it is this one.
    fn program(&self) -> Option<PathBuf> {
        None
    }

    /// Who this host is in its fleet, for the waves of releases; `None` outside of one.
    fn host_id(&self) -> Option<String> {
        None
    }

    /// Where the signed metadata of releases come from at the moment.
    fn metadata(&self) -> Arc<dyn MetadataSource>;

    /// Brings the package to `into`, resuming from what is there; what lies below the folders `seeds` need not be fetched.
    /// The updater verifies size and digest afterwards; an implementation need not, but must not write more than
    /// `release.size` bytes.
    fn fetch<'a>(
        &'a self,
        release: &'a ReleaseRef,
        into: &'a Path,
        seeds: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<(), OutsideError>>;

    /// Makes the security export before the update to a release, and returns once it is safe elsewhere: no update begins
    /// without that. Asked again after a crash.
    fn export<'a>(
        &'a self,
        release: &'a ReleaseRef,
        rollout: Option<RolloutId>,
    ) -> BoxFuture<'a, Result<(), OutsideError>>;

    /// Whether the host can still prove who it is after an update that takes so many seconds; a sentence if not.
    fn certificate(&self, _seconds: u64) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether the exchange answers and would trade; a sentence if not. A host without one has nothing to say against it.
    fn exchange(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    /// An update has ended like this; it is on disk already.
    fn ended<'a>(&'a self, _entry: &'a Entry) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    /// Nothing that was brought is needed any more.
    fn tidy(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Why the outside did not do something.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// Trying again later may help: no connection, the other side is busy.
    #[error("{what}")]
    Transient {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Trying again changes nothing: there is no such package, or it may not be had.
    #[error("{what}")]
    Permanent {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl OutsideError {
    /// A failure that may go away.
    pub fn transient(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Transient { what: what.into(), source: Some(source.into()) }
    }

    /// A failure that stays.
    pub fn permanent(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Permanent { what: what.into(), source: Some(source.into()) }
    }

    /// Which of the two it is, in the engine's words.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Transient { .. } => Cause::Transient,
            Self::Permanent { .. } => Cause::Permanent,
        }
    }
}

/// The outside for each who may want something.
#[derive(Clone)]
pub struct Outsides {
    /// Where the controller is.
    pub controller: Arc<dyn Outside>,
    /// The command of a person on the host, while it runs.
    pub host: Arc<dyn Outside>,
}

impl Outsides {
    /// The one whose goal it is.
    pub fn of(&self, origin: Origin) -> &Arc<dyn Outside> {
        match origin {
            Origin::Controller => &self.controller,
            Origin::Host => &self.host,
        }
    }
}

impl std::fmt::Debug for Outsides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outsides")
    }
}
