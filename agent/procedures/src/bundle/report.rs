//! What an export did, for the operator and the controller.

use std::path::PathBuf;

use flota_seal::json::Json;
use flota_seal::signature::Signature;

/// An export that was written.
#[derive(Debug, Clone)]
pub struct ExportReport {
    pub(super) bundle_path: PathBuf,
    pub(super) generated_at: String,
    pub(super) signature: Signature,
    pub(super) files: Vec<FileReport>,
    pub(super) notes: Vec<String>,
}

/// Whether an export holds everything that there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything.
    Ok,
    /// Something that exists could not be read, or not whole. The export is valid all the same.
    Partial,
}

/// One log of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// What the log is to the export.
    pub role: Role,
    /// Its path as the request gives it.
    pub path: PathBuf,
    /// What became of it.
    pub state: FileState,
}

/// What a log is to an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The audit log: every entry.
    Audit,
    /// The alerts: every entry.
    Alerts,
    /// Another log: its end.
    Log,
}

/// What became of a log. Counts are entries of the audit log and the alerts, and lines of other logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// It was read whole.
    Read {
        /// Entries or lines.
        count: u64,
        /// Entries that are not UTF-8 and stand in the export with U+FFFD, as raw text.
        undecodable: u64,
    },
    /// Nothing stands at its path.
    Missing,
    /// It stands there and cannot be read.
    Unreadable {
        /// Why.
        problem: String,
    },
    /// Reading broke off, or lines are too long to be taken whole.
    Partial {
        /// Entries or lines that were taken.
        count: u64,
        /// As in [`FileState::Read`].
        undecodable: u64,
        /// What is missing, and why.
        problem: String,
    },
}

impl ExportReport {
    /// The path of the export, as the request would spell it.
    pub fn bundle_path(&self) -> &std::path::Path {
        &self.bundle_path
    }

    /// The instant that the export carries, ISO 8601 in UTC.
    pub fn generated_at(&self) -> &str {
        &self.generated_at
    }

    /// The signature that the export carries.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The logs, in the order in which they were read.
    pub fn files(&self) -> &[FileReport] {
        &self.files
    }

    /// What the operator may want to mend although the export holds everything, such as a damaged file of line counts.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether everything was read.
    pub fn status(&self) -> Status {
        if self.files.iter().any(|file| file.state.problem().is_some()) { Status::Partial } else { Status::Ok }
    }

    /// Entries of the audit log.
    pub fn audit_entries(&self) -> u64 {
        self.entries(Role::Audit).unwrap_or(0)
    }

    /// Alerts; `None` if the export is of the audit log alone.
    pub fn alert_entries(&self) -> Option<u64> {
        self.entries(Role::Alerts)
    }

    /// The document that the command prints.
    pub fn to_json(&self) -> Json {
        let entry_count = self.audit_entries() + self.alert_entries().unwrap_or(0);
        let members = [
            ("bundle_path", super::path_text(&self.bundle_path)),
            ("entry_count", entry_count.into()),
            ("generated_at", self.generated_at.as_str().into()),
            ("signature", self.signature.to_json()),
            ("status", self.status().name().into()),
            ("audit_entries", self.audit_entries().into()),
            ("files", self.files.iter().map(FileReport::to_json).collect::<Vec<_>>().into()),
        ];
        let alerts = self.alert_entries().map(|count| ("alert_entries", count.into()));
        let notes: Vec<Json> = self.notes.iter().map(|note| note.as_str().into()).collect();
        let notes = (!notes.is_empty()).then(|| ("notes", notes.into()));
        Json::object(members.into_iter().chain(alerts).chain(notes))
    }

    fn entries(&self, role: Role) -> Option<u64> {
        self.files.iter().find(|file| file.role == role).map(|file| file.state.count())
    }
}

impl Status {
    /// `ok` or `partial`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
        }
    }
}

impl FileReport {
    /// The log's part of [`ExportReport::to_json`].
    pub fn to_json(&self) -> Json {
        let count_name = if self.role == Role::Log { "line_count" } else { "entries" };
        let (status, undecodable) = match &self.state {
            FileState::Read { undecodable, .. } => ("ok", *undecodable),
            FileState::Missing => ("missing", 0),
            FileState::Unreadable { .. } => ("unreadable", 0),
            FileState::Partial { undecodable, .. } => ("partial", *undecodable),
        };
        let members = [
            ("role", self.role.name().into()),
            ("path", super::path_text(&self.path)),
            ("status", status.into()),
            (count_name, self.state.count().into()),
        ];
        let undecodable = (undecodable > 0).then(|| ("undecodable_entries", undecodable.into()));
        let problem = self.state.problem().map(|problem| ("problem", problem.into()));
        Json::object(members.into_iter().chain(undecodable).chain(problem))
    }
}

impl Role {
    /// `audit`, `alerts` or `log`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Alerts => "alerts",
            Self::Log => "log",
        }
    }
}

impl FileState {
    /// What is missing of a log that exists, and why.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Unreadable { problem } | Self::Partial { problem, .. } => Some(problem),
            Self::Read { .. } | Self::Missing => None,
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Read { count, .. } | Self::Partial { count, .. } => *count,
            Self::Missing | Self::Unreadable { .. } => 0,
        }
    }
}
