//! Attestation policies.

use flota_model::{Digest, Timestamp};

/// A policy to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// SHA-256 of the canonical document.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// Canonical JSON.
    pub document_json: String,
    /// Operator.
    pub author: String,
    /// Why; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// What came of entering a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddPolicy {
    /// It is a draft of this version (from one, for each name).
    Added {
        /// Its version.
        version: u32,
    },
    /// This very document is there.
    AlreadyThere {
        /// Its version.
        version: u32,
    },
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    /// SHA-256 of the canonical document.
    pub digest: Digest,
    /// Its name.
    pub name: String,
    /// From one, for each name.
    pub version: u32,
    /// Where it stands.
    pub state: PolicyState,
    /// Canonical JSON.
    pub document_json: String,
    /// Operator.
    pub author: String,
    /// Operators who approved it, in order of time.
    pub approvers: Vec<String>,
    /// Why; may be empty.
    pub note: String,
    /// When it was entered.
    pub created_at: Timestamp,
    /// When it last became active; none: never.
    pub activated_at: Option<Timestamp>,
    /// A change that waits for a second person.
    pub request: Option<PolicyRequest>,
}

/// A change of a policy that one person asked for, and that takes two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRequest {
    /// Which change.
    pub change: PolicyChange,
    /// Operator.
    pub author: String,
    /// Why; may be empty.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A change that asks less of hosts than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyChange {
    /// The active one is taken out of use.
    Retire {
        /// It stays accepted for so long, in seconds.
        after_seconds: u32,
    },
    /// One that was active before is active again.
    Rollback,
}

impl PolicyChange {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retire { .. } => "retire",
            Self::Rollback => "rollback",
        }
    }
}

/// Where a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyState {
    /// Proposed.
    Draft,
    /// By somebody else than its author.
    Approved,
    /// Accepted beside the active one in a window.
    Staged {
        /// From when.
        from: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// What hosts are held to.
    Active,
    /// Was active and is accepted until then.
    Retiring {
        /// Until when.
        until: Timestamp,
    },
    /// No longer accepted.
    Retired,
}

impl PolicyState {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Staged { .. } => "staged",
            Self::Active => "active",
            Self::Retiring { .. } => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// What came of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovePolicy {
    /// It is approved.
    Approved,
    /// Nothing changed: its author may not.
    AuthorMayNot,
    /// Nothing changed: it is no draft.
    NoDraft {
        /// What it is.
        state: PolicyState,
    },
    /// Nothing changed: no such policy.
    NoSuchPolicy,
}

/// What becomes of the policy that was active before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// Retired at once.
    Retired,
    /// Accepted until then.
    AcceptedUntil(Timestamp),
}
