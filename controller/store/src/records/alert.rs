//! Alerts as they are stored, and who is told of them.

use flota_model::Timestamp;
use flota_model::alert::Alert;
use flota_model::audit::AuditEntry;

/// A stored alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRecord {
    /// Its number, counted from one.
    pub id: u32,
    /// Grows with each change.
    pub revision: u64,
    /// The alert.
    pub alert: Alert,
}

/// A change of one alert.
#[derive(Debug, Clone)]
pub struct AlertChange {
    /// Number and revision that were read; none: it is a new one.
    pub before: Option<(u32, u64)>,
    /// What it becomes; none: it is forgotten.
    pub after: Option<Alert>,
    /// The entry of the log where people are told of it; none: nobody is.
    pub told: Option<AuditEntry>,
}

/// What a receiver has to be told of the alerts of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who.
    pub receiver: String,
    /// Which rule.
    pub rule: String,
    /// What there is to know, as a number that grows.
    pub revision: u64,
    /// When it is told, or told again; none: it knows all there is to know.
    pub due_at: Option<Timestamp>,
    /// When it was told last.
    pub told_at: Option<Timestamp>,
    /// Attempts that failed since then.
    pub attempts: u32,
    /// Why the last one did.
    pub failure: Option<String>,
}

/// When a receiver is told of what has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// Who is told.
    pub receivers: Vec<String>,
    /// At the earliest.
    pub from: Timestamp,
    /// Somebody who was told a moment ago is not told again before so many microseconds have passed since.
    pub pause_micros: i64,
}

/// What came of telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was told; what changed meanwhile is told after so many microseconds.
    Done {
        /// When.
        at: Timestamp,
        /// See [`Tell`].
        pause_micros: i64,
        /// When it is told again even if nothing changes; none: it is not.
        again: Option<Timestamp>,
    },
    /// It was not.
    Failed {
        /// When it is tried again; none: it is not, before something else changes.
        next: Option<Timestamp>,
        /// A sentence.
        why: String,
    },
}
