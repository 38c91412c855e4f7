//! What became of the updates of this host, for people and auditors: one line each, the newest last.
//!
//! The journal knows where an update stands, and forgets it with the next one; this remembers how each ended.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use flota_engine::{Phase, RUNS_ALREADY, State};
use flota_model::release::ReleaseRef;
use flota_model::update::{Generation, Goal, UpdatePhase};
use flota_model::{Digest, RolloutId};
use flota_package::{durable, iso_time};
use serde::{Deserialize, Serialize};

use crate::files::present;

/// The file, in the agent's state folder.
const FILE: &str = "history.jsonl";
/// Permissions: nothing in it is secret.
const MODE: u32 = 0o644;
/// Updates that are remembered: years of them. With two kilobytes each at most, a megabyte.
const KEPT: usize = 500;

/// How one update ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the host's clock (RFC 3339).
    pub at: String,
    /// Which goal of this host it was.
    pub generation: Generation,
    /// Of which rollout.
    pub rollout: RolloutId,
    /// What ran before; none: nothing.
    pub from: Option<Digest>,
    /// Its version.
    pub from_version: String,
    /// What was to run.
    pub to: Digest,
    /// Its version.
    pub to_version: String,
    /// `committed`, `rolled_back`, `refused` or `safe_hold`.
    pub outcome: UpdatePhase,
    /// Why, for people.
    pub detail: String,
}

/// The updates of this host, oldest first. A line that cannot be read is left out.
pub fn read(state_dir: &Path) -> io::Result<Vec<Entry>> {
    match fs::read_to_string(path(state_dir)) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Notes how the goal of this state ended, if it is an installation that has ended, changed or tried something, and was not
/// noted; returns it if so. May be called whenever a state was written down, and is called at every start: a crash in
/// between loses nothing.
pub(crate) fn note(state_dir: &Path, state: &State) -> Option<Entry> {
    let entry = ended(state)?;
    let noted = read(state_dir).and_then(|mut entries| {
        let is_this = |last: &Entry| {
            (last.generation, last.rollout, last.to, last.outcome)
                == (entry.generation, entry.rollout, entry.to, entry.outcome)
        };
        if entries.last().is_some_and(is_this) {
            return Ok(false);
        }
        entries.push(entry.clone());
        let first = entries.len().saturating_sub(KEPT);
        let lines = entries.iter().skip(first).map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let text = lines.join("\n") + "\n";
        durable::write_file(&path(state_dir), MODE, text.as_bytes()).map_err(io::Error::other)?;
        Ok(true)
    });
    match noted {
        Ok(is_new) => is_new.then_some(entry),
        Err(error) => {
            tracing::error!(%error, "how the update ended could not be noted; trying again at the next start");
            None
        }
    }
}

fn ended(state: &State) -> Option<Entry> {
    let accepted = state.accepted()?;
    let Goal::Install { release: ReleaseRef { digest, version, .. }, .. } = &accepted.goal else { return None };
    if !state.phase().is_rest() || state.detail() == RUNS_ALREADY {
        return None;
    }
    let from = match state.phase() {
        Phase::Committed => state.previous(),
        _ => state.running().or(state.previous()),
    };
    Some(Entry {
        at: iso_time::format(present()),
        generation: accepted.generation,
        rollout: accepted.rollout,
        from: from.map(|installed| installed.digest),
        from_version: from.map(|installed| installed.version.clone()).unwrap_or_default(),
        to: *digest,
        to_version: version.clone(),
        outcome: state.phase().public(),
        detail: state.detail().to_owned(),
    })
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}
