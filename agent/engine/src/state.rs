//! All that a host remembers of its updates.

use std::collections::BTreeMap;

use flota_model::Digest;
use flota_model::release::ReleaseRef;
use flota_model::update::DesiredState;
use serde::{Deserialize, Serialize};

use crate::phase::Phase;

/// A release on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// SHA-256 of its package; the name of its folder.
    pub digest: Digest,
    /// Version as its manifest has it; empty when unknown.
    pub version: String,
}

/// The state of a host's updates: data, fit to be written down whole before each effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Grows with every change; orders the journal and the reports.
    pub(crate) sequence: u64,
    /// The goal that is worked on or has ended; none before the first.
    pub(crate) accepted: Option<DesiredState>,
    /// The newest goal that came when it was too late to change course; taken up at rest.
    pub(crate) waiting: Option<DesiredState>,
    /// What runs, and is gone back to while something else is tried.
    pub(crate) running: Option<Installed>,
    /// What ran before.
    pub(crate) previous: Option<Installed>,
    /// Releases that this host went back from, and why. Never started again: what broke once here is not tried twice.
    pub(crate) denied: BTreeMap<Digest, String>,
    /// Why no release is healthy, from safe-hold until one is.
    pub(crate) held: Option<String>,
    /// How far the accepted goal is.
    pub(crate) phase: Phase,
    /// A sentence for people on how it came to that.
    pub(crate) detail: String,
}

impl State {
    /// A host at rest that has had no goal yet.
    pub fn new(running: Option<Installed>) -> Self {
        Self {
            sequence: 1,
            accepted: None,
            waiting: None,
            running,
            previous: None,
            denied: BTreeMap::new(),
            held: None,
            phase: Phase::Committed,
            detail: String::new(),
        }
    }

    /// Number of changes so far.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How far the accepted goal is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The goal that is worked on or has ended; none before the first.
    pub fn accepted(&self) -> Option<&DesiredState> {
        self.accepted.as_ref()
    }

    /// The goal that will be taken up when this one has ended.
    pub fn waiting(&self) -> Option<&DesiredState> {
        self.waiting.as_ref()
    }

    /// What runs; while something else is tried, what is gone back to. None in safe-hold.
    pub fn running(&self) -> Option<&Installed> {
        self.running.as_ref()
    }

    /// What ran before.
    pub fn previous(&self) -> Option<&Installed> {
        self.previous.as_ref()
    }

    /// Releases that are refused here, and why.
    pub fn denied(&self) -> &BTreeMap<Digest, String> {
        &self.denied
    }

    /// A sentence for people on how it came to this.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<&ReleaseRef> for Installed {
    fn from(release: &ReleaseRef) -> Self {
        Self { digest: release.digest, version: release.version.clone() }
    }
}
