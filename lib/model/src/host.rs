//! A host as the controller knows it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::update::{Generation, UpdateReport};
use crate::{Digest, HostId, HostName, Labels, Timestamp};

/// How far a host is trusted (reference: attestation, cadence and states). The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Enrolled; no quote has passed yet.
    Pending,
    /// Has no TPM and a policy allows that; never more than this.
    Unattested,
    /// Its newest quote passed and is fresh.
    Trusted,
    /// No quote for too long; a pass mends it.
    Stale,
    /// Its quote is genuine and its measurements differ from the baseline.
    Drifted,
    /// Its evidence is not genuine.
    Untrusted,
    /// An operator shut it out.
    Quarantined,
    /// Decommissioned.
    Retired,
}

/// A word that names no trust state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a trust state")]
pub struct InvalidTrust(String);

impl Trust {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Unattested,
        Self::Trusted,
        Self::Stale,
        Self::Drifted,
        Self::Untrusted,
        Self::Quarantined,
        Self::Retired,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unattested => "unattested",
            Self::Trusted => "trusted",
            Self::Stale => "stale",
            Self::Drifted => "drifted",
            Self::Untrusted => "untrusted",
            Self::Quarantined => "quarantined",
            Self::Retired => "retired",
        }
    }

    /// May be given new work.
    pub const fn admits_work(self) -> bool {
        matches!(self, Self::Trusted | Self::Unattested)
    }

    /// May hold a session at all.
    pub const fn admits_connection(self) -> bool {
        !matches!(self, Self::Quarantined | Self::Retired)
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Trust {
    type Err = InvalidTrust;

    fn from_str(text: &str) -> Result<Self, InvalidTrust> {
        let found = Self::ALL.into_iter().find(|trust| trust.as_str() == text);
        found.ok_or_else(|| InvalidTrust(text.chars().take(40).collect()))
    }
}

/// Outcome of one attestation. Three-valued, so that a reboot or a busy TPM is not an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// Genuine and as expected.
    Pass,
    /// Not genuine, or not as expected.
    Fail,
    /// Inconclusive; asked again soon.
    Retry,
}

impl VerdictKind {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Retry => "retry",
        }
    }
}

/// What a quote confirmed of a host's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// Package that ran when the quote was made; none on a host without a release.
    pub running: Option<Digest>,
    /// Generation the host stood at.
    pub generation: Option<Generation>,
    /// When the verdict was given.
    pub at: Timestamp,
}

/// A host in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// For ever.
    pub id: HostId,
    /// Given by an operator.
    pub name: HostName,
    /// Given by an operator.
    pub labels: Labels,
    /// How far it is trusted.
    pub trust: Trust,
    /// Why, in a sentence; empty when there is nothing to say.
    pub trust_reason: String,
    /// When it was last heard of; none before its first session.
    pub last_seen: Option<Timestamp>,
    /// Software version of its agent; empty before its first session.
    pub agent_version: String,
    /// What it said last; none before its first report.
    pub observed: Option<UpdateReport>,
    /// What a quote last confirmed.
    pub confirmed: Option<Confirmed>,
    /// Newest desired state; none before the first rollout that reached it.
    pub desired: Option<crate::update::DesiredState>,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
}
