//! Recoveries as they are stored.

use flota_model::recovery::Recovery;

/// A stored recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRecord {
    /// Its number, counted from one.
    pub id: u32,
    /// Grows with each change.
    pub revision: u64,
    /// The recovery.
    pub recovery: Recovery,
}
