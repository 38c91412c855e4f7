//! What people of the security role must look at.

use flota_model::{HostId, HostName, Timestamp};

/// An escalation to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEscalation {
    /// Word: `oem_evidence`, `oem_licence`, `untrusted`, `quarantined`, `enrolment`, `export_missing`, `export_signature`.
    pub kind: String,
    /// A sentence for the security role.
    pub summary: String,
}

/// An escalation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscalationRecord {
    /// Made of its host, its kind and the microsecond it was opened at.
    pub id: String,
    /// See [`NewEscalation`].
    pub kind: String,
    /// Which host.
    pub host: HostId,
    /// Its name.
    pub host_name: HostName,
    /// A sentence.
    pub summary: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When and by whom it was resolved, and how; none: it is open.
    pub resolved: Option<Resolution>,
    /// What became of the webhook.
    pub delivery: Delivery,
}

/// How an escalation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// When.
    pub at: Timestamp,
    /// By which operator.
    pub by: String,
    /// A sentence.
    pub text: String,
}

/// Delivery of an escalation to the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Still to be delivered; `attempts` have failed, the next is due at `next`.
    Waiting {
        /// Failed attempts.
        attempts: u32,
        /// When the next is due.
        next: Timestamp,
    },
    /// Taken by the other side.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// Given up, or no webhook is configured: a sentence.
    Failed {
        /// Why.
        why: String,
    },
}
