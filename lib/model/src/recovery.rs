//! The recovery of a host (manual §6) as the fleet drives it: six steps, each with what proves it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::release::ReleaseRef;
use crate::{HostName, RolloutId, TaskId, Timestamp};

/// Longest reason of a recovery, in characters.
pub const MAX_RECOVERY_REASON: usize = 500;

/// A step. The words are on the wire and in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryStep {
    /// The last usable export and the last approved release.
    Find,
    /// The host is there again, with what its backup had.
    Restore,
    /// It runs that release, confirmed.
    Apply,
    /// Its TPM and its licence.
    Prove,
    /// Its exchanges.
    Health,
    /// The report to SRE, signed.
    Report,
}

impl RecoveryStep {
    /// In their order.
    pub const ALL: [Self; 6] = [Self::Find, Self::Restore, Self::Apply, Self::Prove, Self::Health, Self::Report];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Restore => "restore",
            Self::Apply => "apply",
            Self::Prove => "prove",
            Self::Health => "health",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for RecoveryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where a step stands. The words are on the wire and in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its turn has not come.
    Ahead,
    /// The controller or the host works on it.
    Working,
    /// It waits for a person.
    Waiting,
    /// It was tried, and cannot be done as things are; it is looked at again.
    Failed,
    /// Done, and proved.
    Done,
    /// There was nothing to do; the detail says why.
    Skipped,
}

impl StepState {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ahead => "ahead",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Done => "done",
            Self::Skipped => "skipped",
        }
    }

    /// The next step may begin.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Skipped)
    }
}

/// What proves a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepProof {
    /// As in `export`, `release`, `rollout`, `quote`, `task`.
    pub kind: String,
    /// Its name: an id, a digest, a time.
    pub name: String,
}

/// A step and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// Which.
    pub step: RecoveryStep,
    /// Where it stands.
    pub state: StepState,
    /// A sentence.
    pub detail: String,
    /// What a person does next; empty: nothing.
    pub next: String,
    /// Since when.
    pub since: Timestamp,
    /// What proves it.
    pub proofs: Vec<StepProof>,
}

/// How a recovery ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecoveryEnd {
    /// Every step is done or skipped.
    Recovered,
    /// A person ended it: by whom, and why.
    Aborted(String),
}

/// Whether it asks for a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryHealth {
    /// The exchanges must answer.
    Asked,
    /// The host has none.
    NotAsked,
}

/// A recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// The host that was lost.
    pub host: HostName,
    /// The host that is to do its work: itself, or the machine that takes its place.
    pub onto: HostName,
    /// The last approved release, which it is to run.
    pub release: ReleaseRef,
    /// Why it is this one.
    pub release_from: String,
    /// Whether the exchanges are asked.
    pub health: RecoveryHealth,
    /// By which operator.
    pub begun_by: String,
    /// When.
    pub begun_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Change ticket; empty when none was given.
    pub ticket: String,
    /// The rollout that brings the release.
    pub rollout: Option<RolloutId>,
    /// The health check that was asked for.
    pub check: Option<TaskId>,
    /// When a fresh quote was asked for last.
    pub challenged_at: Option<Timestamp>,
    /// The steps, in their order.
    pub steps: Vec<StepRecord>,
    /// How it ended, and when.
    pub ended: Option<(RecoveryEnd, Timestamp)>,
}

impl Recovery {
    /// Steps that nobody has looked at yet.
    pub fn steps_ahead(at: Timestamp) -> Vec<StepRecord> {
        let ahead = |step| StepRecord {
            step,
            state: StepState::Ahead,
            detail: String::new(),
            next: String::new(),
            since: at,
            proofs: Vec::new(),
        };
        RecoveryStep::ALL.map(ahead).into()
    }

    /// The first step that is not over.
    pub fn current(&self) -> Option<&StepRecord> {
        self.steps.iter().find(|record| !record.state.is_over())
    }

    /// One of its steps.
    pub fn step(&self, step: RecoveryStep) -> Option<&StepRecord> {
        self.steps.iter().find(|record| record.step == step)
    }

    /// One word for lists: `recovered`, `aborted`, or the state of the current step.
    pub fn state(&self) -> &'static str {
        match &self.ended {
            Some((RecoveryEnd::Recovered, _)) => "recovered",
            Some((RecoveryEnd::Aborted(_), _)) => "aborted",
            None => self.current().map_or("working", |record| match record.state {
                StepState::Ahead => "working",
                state => state.as_str(),
            }),
        }
    }
}
