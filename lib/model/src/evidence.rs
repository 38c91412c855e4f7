//! What is handed to auditors: a stretch of the audit log with a signed head, and what it was about.

use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, AuditRow};
use crate::{Digest, RolloutId, Timestamp};

/// Names the form of the document; another form has another word.
pub const FORMAT: &str = "flota evidence 1";
/// Says what is signed, so that this signature is good for nothing else that the key signs.
const CONTEXT: &[u8] = b"flota audit checkpoint 1\0";

/// The audit log as it was at one of its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The entry.
    pub sequence: u64,
    /// Its hash, and so that of everything before it.
    pub head: Digest,
    /// When this was signed.
    pub signed_at: Timestamp,
}

/// A checkpoint and the signature of the controller's audit key over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedCheckpoint {
    /// The checkpoint, as the very text that was signed.
    pub checkpoint: String,
    /// Ed25519 public key, 32 bytes, hex.
    pub public_key: String,
    /// Ed25519 over [`SealedCheckpoint::message`] (RFC 8032), hex.
    pub signature: String,
}

impl SealedCheckpoint {
    /// What is signed of a checkpoint with this text.
    pub fn message(checkpoint: &str) -> Vec<u8> {
        [CONTEXT, checkpoint.as_bytes()].concat()
    }
}

/// What a signed document is; a signature over one kind is good for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// The checklist of hosts (manual §7).
    Checklist,
    /// The report on a recovery (manual §6).
    Recovery,
}

impl DocumentKind {
    /// The form of the document; another form has another word.
    pub const fn format(self) -> &'static str {
        match self {
            Self::Checklist => "flota checklist 1",
            Self::Recovery => "flota recovery 1",
        }
    }
}

/// A document and the signature of the controller's audit key over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedDocument {
    /// The document, as the very text that was signed.
    pub document: String,
    /// Ed25519 public key, 32 bytes, hex.
    pub public_key: String,
    /// Ed25519 over [`SealedDocument::message`] (RFC 8032), hex.
    pub signature: String,
}

impl SealedDocument {
    /// What is signed of a document with this text: its form, a zero byte, the text.
    pub fn message(kind: DocumentKind, document: &str) -> Vec<u8> {
        [kind.format().as_bytes(), b"\0", document.as_bytes()].concat()
    }
}

/// Everything a third party needs, in one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// [`FORMAT`].
    pub format: String,
    /// What it is about; none: the log alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutEvidence>,
    /// Consecutive entries of the log, up to that of the checkpoint.
    pub entries: Vec<EvidenceEntry>,
    /// The head of them, signed.
    pub checkpoint: SealedCheckpoint,
}

/// A rollout's documents. The log names each by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutEvidence {
    /// Which.
    pub id: RolloutId,
    /// What it was to do, as the very text whose digest was approved.
    pub specification: String,
    /// Its plans wherever its state changed, and the last, each as the very text whose digest is its name.
    pub plans: Vec<String>,
}

/// An entry of the log in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceEntry {
    /// Counted from one, without gaps.
    pub sequence: u64,
    /// Hash of the entry before.
    pub previous: Digest,
    /// Hash of this one.
    pub hash: Digest,
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

impl From<AuditRow> for EvidenceEntry {
    fn from(row: AuditRow) -> Self {
        let AuditRow { sequence, entry, previous, hash } = row;
        Self { sequence, previous, hash, entry }
    }
}

impl From<&EvidenceEntry> for AuditRow {
    fn from(entry: &EvidenceEntry) -> Self {
        let EvidenceEntry { sequence, previous, hash, entry } = entry;
        Self { sequence: *sequence, entry: entry.clone(), previous: *previous, hash: *hash }
    }
}
