//! What is said over the socket.

use std::path::PathBuf;

use flota_engine::{Cause, State};
use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, UpdateReport};
use flota_model::{Digest, Generation, RolloutId};
use serde::{Deserialize, Serialize};

use crate::history::Entry;
use crate::outside::Origin;
use crate::settings::Component;

/// Version of all this. Both ends come from one package; a mismatch is an installation that was not finished.
pub(super) const PROTOCOL: u32 = 1;

/// From whoever connected to the updater.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FromClient {
    /// The first message, once.
    Hello {
        protocol: u32,
        /// Whose goals it is the outside of; none: it only asks.
        serves: Option<Origin>,
        /// Who the host is in its fleet, as far as the client knows.
        host_id: Option<String>,
        /// Where the client's own program is.
        program: Option<PathBuf>,
    },
    /// A question or a wish; answered by [`FromServer::Returned`] of the same number.
    Call { number: u64, of: Component, call: Call },
    /// The answer to [`FromServer::Ask`] of that number.
    Answer { number: u64, answer: Result<Given, Trouble> },
}

/// From the updater.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FromServer {
    /// The connection ends, for this reason.
    Goodbye { why: String },
    /// Where one thing that is updated stands: first at once, then whenever that changes.
    Report { of: Component, report: UpdateReport },
    /// What came of a call; an error is a sentence.
    Returned { number: u64, outcome: Result<Returned, String> },
    /// Something to do for an update.
    Ask { number: u64, ask: Ask },
    /// That is not needed any more.
    Forget { number: u64 },
}

/// A question or a wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// The controller wants this of the host.
    Want {
        /// What.
        desired: DesiredState,
    },
    /// A person wants this release to run.
    Apply {
        /// Which.
        release: ReleaseRef,
    },
    /// A person wants the update to be called off, as long as nothing was changed.
    Cancel,
    /// A person wants the release before to run again.
    RollBack {
        /// Which they believe that is; a mismatch is refused.
        expected: Option<Digest>,
    },
    /// Where the update stands.
    State,
    /// How the updates of this host ended.
    History,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "returned", rename_all = "snake_case", deny_unknown_fields)]
pub enum Returned {
    /// The updater has it on disk and works on it.
    Accepted {
        /// As this goal of the host.
        generation: Generation,
    },
    /// As the journal has it; none before the first update.
    State {
        /// All of it.
        state: Option<Box<State>>,
    },
    /// Oldest first.
    History {
        /// One for each update.
        entries: Vec<Entry>,
    },
}

/// What an updater asks of its outside. See [`crate::Outside`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Ask {
    Metadata { name: String },
    Fetch { release: ReleaseRef, into: PathBuf, seeds: Vec<PathBuf> },
    Export { release: ReleaseRef, rollout: Option<RolloutId> },
    Certificate { seconds: u64 },
    Exchange,
    Ended { entry: Entry },
    Tidy,
}

/// What came of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "given", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Given {
    /// It was done, or there is nothing against it.
    Done,
    /// A file, in base64; none: there is no such file.
    File { contents: Option<String> },
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trouble {
    /// For people.
    pub(super) why: String,
    /// Whether it may go away.
    pub(super) may_pass: bool,
}

impl Trouble {
    pub(super) fn new(why: String, cause: Cause) -> Self {
        Self { why, may_pass: cause == Cause::Transient }
    }
}
