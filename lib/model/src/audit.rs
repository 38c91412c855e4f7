//! The hash-chained audit log: everything an operator or the system does is one row.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::{Digest, Timestamp};

/// What is put into the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: `operator/anna`, `host/<id>`, or `controller`.
    pub actor: String,
    /// What, in dotted words: `rollout.pause`.
    pub action: String,
    /// To what: `rollout/R-3`, `host/<id>`.
    pub object: String,
    /// `ok`, `denied`, `failed`, or a verdict.
    pub outcome: String,
    /// Particulars, a JSON object. Never a secret.
    pub details_json: String,
}

/// An entry in its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Counted from one, without gaps.
    pub sequence: u64,
    /// The entry.
    pub entry: AuditEntry,
    /// Hash of the row before; of nothing for the first.
    pub previous: Digest,
    /// Hash of this row.
    pub hash: Digest,
}

/// Domain separation of the chain's hashes; a change of the layout below needs a new one.
const LABEL: &[u8] = b"flota/audit/v1";

/// What stands in `previous` of the first row.
pub fn chain_start() -> Digest {
    Digest::of(LABEL)
}

/// The hash of a row: SHA-256 over label, sequence, previous hash and every field, each length-prefixed, so that no
/// two different rows have the same input.
pub fn row_hash(sequence: u64, previous: &Digest, entry: &AuditEntry) -> Digest {
    let AuditEntry { at, actor, action, object, outcome, details_json } = entry;
    let mut hasher = sha2::Sha256::new();
    hasher.update(LABEL);
    hasher.update(sequence.to_be_bytes());
    hasher.update(previous.as_bytes());
    hasher.update(at.as_micros().to_be_bytes());
    for field in [actor, action, object, outcome, details_json] {
        hasher.update((u64::try_from(field.len()).unwrap_or(u64::MAX)).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    Digest::from_bytes(hasher.finalize().into())
}

/// Why a chain is not intact, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// A row is missing or out of place.
    #[error("entry {expected} is missing: {found} stands in its place")]
    Gap {
        /// The sequence that should come next.
        expected: u64,
        /// The sequence found.
        found: u64,
    },
    /// A row was changed, or the one before it was.
    #[error("entry {0} does not follow from the entry before it: one of them was changed")]
    Previous(u64),
    /// A row's fields do not give its hash.
    #[error("entry {0} was changed after it was written")]
    Hash(u64),
}

/// Checks rows one after another.
#[derive(Debug, Clone)]
pub struct ChainVerifier {
    next: u64,
    head: Digest,
}

impl Default for ChainVerifier {
    fn default() -> Self {
        Self { next: 1, head: chain_start() }
    }
}

impl ChainVerifier {
    /// A stretch that begins with this entry, after an entry with this hash.
    pub fn following(first: u64, previous: Digest) -> Self {
        Self { next: first, head: previous }
    }

    /// Takes the next row.
    pub fn accept(&mut self, row: &AuditRow) -> Result<(), BrokenChain> {
        if row.sequence != self.next {
            return Err(BrokenChain::Gap { expected: self.next, found: row.sequence });
        }
        if row.previous != self.head {
            return Err(BrokenChain::Previous(row.sequence));
        }
        if row.hash != row_hash(row.sequence, &row.previous, &row.entry) {
            return Err(BrokenChain::Hash(row.sequence));
        }
        self.next = self.next.saturating_add(1);
        self.head = row.hash;
        Ok(())
    }

    /// How many rows were accepted.
    pub fn accepted(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// Hash of the last row accepted.
    pub fn head(&self) -> &Digest {
        &self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: u64) -> Vec<AuditRow> {
        let mut previous = chain_start();
        (1..=length)
            .map(|sequence| {
                let entry = AuditEntry {
                    at: Timestamp::from_micros(i64::try_from(sequence).unwrap()),
                    actor: "operator/anna".into(),
                    action: "rollout.pause".into(),
                    object: format!("rollout/R-{sequence}"),
                    outcome: "ok".into(),
                    details_json: "{}".into(),
                };
                let hash = row_hash(sequence, &previous, &entry);
                let row = AuditRow { sequence, entry, previous, hash };
                previous = hash;
                row
            })
            .collect()
    }

    fn verify(rows: &[AuditRow]) -> Result<(), BrokenChain> {
        let mut verifier = ChainVerifier::default();
        rows.iter().try_for_each(|row| verifier.accept(row))
    }

    #[test]
    fn an_untouched_chain_verifies() {
        assert_eq!(verify(&chain(5)), Ok(()));
    }

    #[test]
    fn a_changed_row_a_missing_row_and_a_forged_row_are_found() {
        let mut changed = chain(5);
        changed[2].entry.actor = "operator/eve".into();
        assert_eq!(verify(&changed), Err(BrokenChain::Hash(3)));

        let mut missing = chain(5);
        missing.remove(2);
        assert_eq!(verify(&missing), Err(BrokenChain::Gap { expected: 3, found: 4 }));

        let mut forged = chain(5);
        forged[2].entry.actor = "operator/eve".into();
        forged[2].hash = row_hash(3, &forged[2].previous, &forged[2].entry);
        assert_eq!(verify(&forged), Err(BrokenChain::Previous(4)));
    }
}
