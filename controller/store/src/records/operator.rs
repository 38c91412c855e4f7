//! Operators.

use flota_model::{Digest, Role, Timestamp};

/// An operator: a certificate with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// Name in audit entries.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of its certificate, DER.
    pub certificate: Digest,
    /// When it was made.
    pub created_at: Timestamp,
}
