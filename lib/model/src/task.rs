//! Work offered to one host: a security export, a health check.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ExportId, HostId, HostName, RolloutId, TaskId, Timestamp};

/// What a host is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskKind {
    /// A security export (manual §1), uploaded.
    Export {
        /// Why, for the audit log.
        reason: String,
    },
    /// A health check (manual §4).
    Health {
        /// Names of checks; empty means all.
        checks: Vec<String>,
    },
}

impl TaskKind {
    /// One word for tables and the audit log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Export { .. } => "export",
            Self::Health { .. } => "health",
        }
    }
}

/// Where a task stands. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// The host has not been offered it yet.
    Waiting,
    /// Offered; no result yet.
    Offered,
    /// Terminal: done.
    Done,
    /// Terminal: the host could not.
    Failed,
    /// Terminal: no result by the deadline.
    Expired,
}

/// A word that names no task state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a task state")]
pub struct InvalidTaskState(String);

impl TaskState {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// Nothing more happens.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Expired)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TaskState {
    type Err = InvalidTaskState;

    fn from_str(text: &str) -> Result<Self, InvalidTaskState> {
        [Self::Waiting, Self::Offered, Self::Done, Self::Failed, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| InvalidTaskState(text.chars().take(40).collect()))
    }
}

/// A task as the controller keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whom it was given.
    pub host: HostId,
    /// That host's name.
    pub host_name: HostName,
    /// What to do.
    pub kind: TaskKind,
    /// Where it stands.
    pub state: TaskState,
    /// Why it failed, or what came of it.
    pub detail: String,
    /// When an operator asked for it.
    pub created_at: Timestamp,
    /// By when there must be a result.
    pub deadline: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The export it made.
    pub export: Option<ExportId>,
    /// The overall health it found.
    pub health: Option<String>,
}

/// What came of checking the signature of an export. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportSignature {
    /// The controller was not given the keys.
    NotChecked,
    /// It is what was signed with the host's key.
    Valid,
    /// It is not, or it is no security export.
    Mismatch,
    /// No key of that name, or of that host, is known.
    UnknownKey,
}

impl ExportSignature {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotChecked, Self::Valid, Self::Mismatch, Self::UnknownKey];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotChecked => "not_checked",
            Self::Valid => "valid",
            Self::Mismatch => "mismatch",
            Self::UnknownKey => "unknown_key",
        }
    }
}

/// A security export in the controller's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Whose.
    pub host: HostId,
    /// That host's name.
    pub host_name: HostName,
    /// When it arrived.
    pub at: Timestamp,
    /// SHA-256 of the bundle file, under which the blob is kept.
    pub blob: crate::Digest,
    /// Size of the bundle file, in bytes.
    pub size: u64,
    /// Audit entries in it.
    pub audit_entries: u64,
    /// Alert entries in it.
    pub alert_entries: u64,
    /// `ok`, or `partial` when a log could not be read.
    pub status: String,
    /// Key id of its HMAC signature; empty if it names none.
    pub key_id: String,
    /// What came of checking that signature when it arrived.
    pub signature: ExportSignature,
    /// Why it was made.
    pub reason: String,
    /// The rollout before whose update it was made.
    pub rollout: Option<RolloutId>,
}

/// A host's newest health report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostHealth {
    /// Whose.
    pub host: HostId,
    /// `healthy`, `degraded` or `unavailable`.
    pub overall: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The whole report, JSON.
    pub report_json: String,
}
