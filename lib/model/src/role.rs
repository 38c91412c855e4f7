//! What an operator may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operator's role. Each RPC names the roles it admits (`controller/src/grpc/access.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything but secrets.
    Viewer,
    /// Runs exports, health checks and rollouts.
    Operator,
    /// Approves what an operator proposed.
    Approver,
    /// Manages trust: attestation policy, quarantine, evidence.
    Security,
    /// Everything, operators and enrolment tokens included.
    Admin,
}

/// A word that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: expected viewer, operator, approver, security or admin")]
pub struct InvalidRole(String);

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Security => "security",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        [Self::Viewer, Self::Operator, Self::Approver, Self::Security, Self::Admin]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| InvalidRole(text.chars().take(40).collect()))
    }
}
