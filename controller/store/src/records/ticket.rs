//! What the ticket system is told.

use flota_model::{RolloutId, Timestamp};

/// What happened to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TicketEvent {
    /// An operator started it.
    Started,
    /// It ended.
    Ended,
}

impl TicketEvent {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ended => "ended",
        }
    }
}

/// A note for the ticket of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketNote {
    /// Of which rollout.
    pub rollout: RolloutId,
    /// About what.
    pub event: TicketEvent,
    /// In which ticket.
    pub ticket: String,
    /// Whether it is there.
    pub state: NoteState,
}

/// Whether a note is in the ticket system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoteState {
    /// Not yet.
    Waiting {
        /// Attempts that failed.
        attempts: u32,
        /// When the next is due.
        next: Timestamp,
        /// Why the last one failed.
        why: Option<String>,
    },
    /// It is.
    Recorded {
        /// Since when.
        at: Timestamp,
        /// What the ticket system calls it: an id or an address.
        reference: String,
    },
    /// Given up: a sentence.
    Failed {
        /// Why.
        why: String,
    },
}
