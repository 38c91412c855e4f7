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

    /// May be given new work while its lease lasts. A stale host keeps the lease of its last pass until it lapses.
    pub const fn admits_work(self) -> bool {
        matches!(self, Self::Trusted | Self::Stale | Self::Unattested)
    }

    /// May hold a session at all. An untrusted host may not: its certificate may be used by who knows whom.
    pub const fn admits_connection(self) -> bool {
        !matches!(self, Self::Untrusted | Self::Quarantined | Self::Retired)
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
    /// Until when it may be given new work: so long after its last pass. None: it may not.
    pub lease_until: Option<Timestamp>,
    /// Where its TLS key lives.
    pub key_storage: KeyStorage,
    /// Enrolled with a token that asks for a person's approval, which has not been given.
    pub awaits_approval: bool,
    /// Policy (name@version) that its newest genuine quote was held to; empty: its own first quote.
    pub policy: String,
    /// What it says of its OEM evidence and licence (manual §3).
    pub oem: OemStanding,
}

impl Host {
    /// Whether it may be given new work now. A host without a TPM has no lease; it is let work by the policy that let
    /// it in.
    pub fn admits_work(&self, now: Timestamp) -> bool {
        let leased = self.lease_until.is_some_and(|until| until > now);
        self.trust.admits_work() && !self.awaits_approval && (leased || self.trust == Trust::Unattested)
    }
}

/// Where a host's TLS key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyStorage {
    /// In its TPM: whoever uses the certificate has the machine.
    Tpm,
    /// In a file: whoever has the file has the identity.
    File,
}

impl KeyStorage {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tpm => "tpm",
            Self::File => "file",
        }
    }
}

/// Statuses of manual §3 that the host reported with its newest genuine quote, in the words of `check-tpm-status`; empty
/// where it checks none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OemStanding {
    /// Of the evidence file.
    pub evidence: String,
    /// Of the licence.
    pub licence: String,
}

impl OemStanding {
    /// Words a status can be; anything else a host says is refused.
    pub const STATUSES: [&str; 6] = ["ok", "mismatch", "expired", "unverified", "invalid", "missing"];

    /// Statuses that the manual escalates to the security team.
    pub fn escalates(status: &str) -> bool {
        matches!(status, "invalid" | "missing")
    }
}
