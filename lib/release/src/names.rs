//! The four roles of TUF and the files they are in.

use std::fmt;

use serde::{Deserialize, Serialize};
use tough::schema::RoleType;

/// A role (TUF specification §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Says which keys the roles have. Its keys are kept offline.
    Root,
    /// Says which releases there are. Its keys are kept offline.
    Targets,
    /// Says which metadata belong together.
    Snapshot,
    /// Says which snapshot is the newest.
    Timestamp,
}

impl Role {
    /// All four, in the order in which they vouch for each other.
    pub const ALL: [Self; 4] = [Self::Root, Self::Targets, Self::Snapshot, Self::Timestamp];

    /// Its name, as in the metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        }
    }

    /// Name of the file of one of its versions, with consistent snapshots (TUF specification §6.2).
    pub fn file(self, version: u64) -> String {
        match self {
            Self::Timestamp => "timestamp.json".to_owned(),
            other => format!("{version}.{}.json", other.name()),
        }
    }

    pub(crate) const fn kind(self) -> RoleType {
        match self {
            Self::Root => RoleType::Root,
            Self::Targets => RoleType::Targets,
            Self::Snapshot => RoleType::Snapshot,
            Self::Timestamp => RoleType::Timestamp,
        }
    }

    pub(crate) const fn of_kind(kind: RoleType) -> Self {
        match kind {
            RoleType::Root => Self::Root,
            RoleType::Snapshot => Self::Snapshot,
            RoleType::Timestamp => Self::Timestamp,
            // We delegate nothing; a delegated role is refused where it is met.
            RoleType::Targets | RoleType::DelegatedTargets => Self::Targets,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether this may be the name of a metadata file. Names travel; nothing else is ever opened for one.
pub(crate) fn is_metadata_name(name: &str) -> bool {
    let version = |text: &str| !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    match name.split_once('.') {
        Some(("timestamp", "json")) => true,
        Some((number, "root.json" | "targets.json" | "snapshot.json")) => version(number),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_metadata_are_names_of_metadata() {
        for role in Role::ALL {
            assert!(is_metadata_name(&role.file(12)), "{role}");
        }
        for name in [
            "",
            "root.json",
            "../1.root.json",
            "1.root.json/",
            "x.root.json",
            "1.timestamp.json",
            "12345678901.root.json",
        ] {
            assert!(!is_metadata_name(name), "{name}");
        }
    }
}
