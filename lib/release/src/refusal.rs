//! Why metadata are not believed, or could not be had.

use std::error::Error as StdError;

use jiff::Timestamp;
use tough::error::Error as Tuf;
use tough::schema::RoleType;

use crate::names::Role;

/// Metadata that are not what they have to be. Somebody made a mistake, or somebody attacks; other metadata are needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Too few of the keys that root names for this role have signed (TUF: arbitrary software, key compromise).
    #[error("the {0} metadata have not enough valid signatures")]
    Signatures(Role),
    /// Older than what was seen before (TUF: rollback attack).
    #[error("the {0} metadata are older than those seen before")]
    Older(Role),
    /// Expired (TUF: indefinite freeze attack).
    #[error("the {role} metadata expired: sign newer ones (flota release sign --extend)")]
    Expired {
        /// Whose.
        role: Role,
    },
    /// Files that do not belong together (TUF: mix-and-match attack).
    #[error("the {0} metadata are not those that the other roles name")]
    Mixed(Role),
    /// Too large, or without an end (TUF: endless data attack).
    #[error("a metadata file is larger than it may be")]
    TooLarge,
    /// More new root files than anybody ever made.
    #[error("there are more new root files than are believed")]
    TooManyRoots,
    /// Not metadata at all.
    #[error("the {0} metadata cannot be read")]
    Unreadable(Role),
    /// A role handed its work on to another, which we do not do.
    #[error("the targets metadata delegate, which is not supported")]
    Delegated,
    /// More releases than are believed.
    #[error("more releases are signed than are believed: withdraw old ones")]
    TooMany,
    /// A target without terms that this version understands.
    #[error("the terms of the release {name} cannot be kept by this version: {why}")]
    Terms {
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Two releases with one place in the order.
    #[error("two releases have one sequence number")]
    SameSequence,
}

impl Refusal {
    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signatures(_) => "metadata_signatures",
            Self::Older(_) => "metadata_rollback",
            Self::Expired { .. } => "metadata_expired",
            Self::Mixed(_) => "metadata_mixed",
            Self::TooLarge | Self::TooManyRoots | Self::TooMany => "metadata_too_large",
            Self::Unreadable(_) | Self::Terms { .. } | Self::SameSequence => "metadata_unreadable",
            Self::Delegated => "metadata_delegated",
        }
    }
}

/// Why nothing newer came to be believed. What was believed before is believed still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// The metadata are refused.
    #[error("{refusal} [{}]", refusal.code())]
    Refused {
        /// Why.
        refusal: Refusal,
        /// In the TUF client's words.
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// They could not be had. Trying again may help.
    #[error("the release metadata could not be fetched")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
    /// The clock of this machine runs behind one that it showed before, so what has expired cannot be told.
    #[error("the clock shows {now}, and it showed {before} before: set it right, then try again")]
    Clock {
        /// What it shows.
        now: Timestamp,
        /// What it showed.
        before: Timestamp,
    },
    /// The trust of this machine cannot be read or written.
    #[error("keeping the release trust on this machine")]
    Local(#[source] Box<dyn StdError + Send + Sync>),
}

impl RefreshError {
    /// Whether trying again may help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Local(_))
    }

    /// The refusal, if it is one.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

impl From<Refusal> for RefreshError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, source: None }
    }
}

/// Sorts the client's errors by what they mean.
pub(crate) fn sort(error: Tuf) -> RefreshError {
    let role = |kind: RoleType| Role::of_kind(kind);
    let refusal = match &error {
        Tuf::VerifyMetadata { role: kind, .. } => Refusal::Signatures(role(*kind)),
        Tuf::VerifyTrustedMetadata { .. } => Refusal::Signatures(Role::Root),
        Tuf::OlderMetadata { role: kind, .. } => Refusal::Older(role(*kind)),
        Tuf::OlderSnapshotInTimestamp { .. } => Refusal::Older(Role::Snapshot),
        Tuf::SnapshotRoleRollback { .. } | Tuf::SnapshotRoleMissing { .. } => Refusal::Older(Role::Targets),
        Tuf::ExpiredMetadata { role: kind, .. } => Refusal::Expired { role: role(*kind) },
        Tuf::VersionMismatch { role: kind, .. } => Refusal::Mixed(role(*kind)),
        Tuf::TimestampMetaLength { .. } | Tuf::MissingSnapshotMeta { .. } => Refusal::Unreadable(Role::Timestamp),
        Tuf::SnapshotTargetsMetaMissing { .. } | Tuf::MetaMissing { .. } => Refusal::Unreadable(Role::Snapshot),
        Tuf::ParseMetadata { role: kind, .. } => Refusal::Unreadable(role(*kind)),
        Tuf::ParseTrustedMetadata { .. } => Refusal::Unreadable(Role::Root),
        Tuf::MaxUpdatesExceeded { .. } => Refusal::TooManyRoots,
        Tuf::SystemTimeSteppedBackward { sys_time, latest_known_time, .. } => {
            return RefreshError::Clock { now: *sys_time, before: *latest_known_time };
        }
        Tuf::Transport { .. } => return of_transport(error),
        _ => return RefreshError::Local(error.into()),
    };
    RefreshError::Refused { refusal, source: Some(error.into()) }
}

/// A stream that broke because of what came, not because it did not come.
fn of_transport(error: Tuf) -> RefreshError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(one) = cause {
        let refusal = match one.downcast_ref::<Tuf>() {
            Some(Tuf::MaxSizeExceeded { .. }) => Some(Refusal::TooLarge),
            Some(Tuf::HashMismatch { context, .. }) => {
                let role = if context.contains("targets") { Role::Targets } else { Role::Snapshot };
                Some(Refusal::Mixed(role))
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            return RefreshError::Refused { refusal, source: Some(error.into()) };
        }
        cause = one.source();
    }
    RefreshError::Unavailable(error.into())
}
