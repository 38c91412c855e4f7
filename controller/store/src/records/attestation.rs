//! Verdicts, and what they are based on.

use flota_model::host::{Confirmed, OemStanding, Trust, VerdictKind};
use flota_model::{Digest, HostId, Timestamp};

use super::escalation::NewEscalation;

/// Verdicts of a host that are kept, the newest: enough to see how a failure began, and a bound on what thousands of hosts
/// that are asked every few minutes for years leave behind. The audit log forgets nothing.
pub const ATTESTATIONS_KEPT: u32 = 200;

/// Outcome of one attestation, to be stored with its consequences.
pub struct VerdictRecord {
    /// Whose.
    pub host: HostId,
    /// When.
    pub at: Timestamp,
    /// Pass, fail or retry.
    pub verdict: VerdictKind,
    /// Why, stable codes with sentences; empty on a pass.
    pub reasons: Vec<String>,
    /// What the host's trust becomes; none: stays.
    pub trust: Option<(Trust, String)>,
    /// What the quote confirmed; none unless it was genuine.
    pub confirmed: Option<Confirmed>,
    /// New measurements; none unless the quote was genuine.
    pub measurements: Option<HostMeasurements>,
    /// Lease after it. `Keep` on a retry.
    pub lease: Lease,
    /// Policy (name@version) the quote was held to; none: unchanged.
    pub policy: Option<String>,
    /// What the host said of its OEM evidence; none: unchanged.
    pub oem: Option<OemStanding>,
    /// A boot log that is new; stored under its digest.
    pub boot_log: Option<BootLog>,
    /// Escalations that it opens. One that is open already for this host and kind is left as it is.
    pub escalations: Vec<NewEscalation>,
}

/// What a verdict does to a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Nothing.
    Keep,
    /// It lasts until then.
    Until(Timestamp),
    /// It ends.
    Drop,
}

/// What a host's quotes are compared with. JSON documents of `flota_attest`, opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostMeasurements {
    /// PCRs expected, JSON.
    pub baseline_json: String,
    /// Newest clock values, JSON; the epoch rules need them.
    pub clock_json: String,
    /// Newest quoted PCRs, JSON.
    pub quoted_json: String,
    /// SHA-256 of the boot log that came with the baseline; none: there was no log.
    pub baseline_log: Option<Digest>,
    /// SHA-256 of the newest boot log.
    pub quoted_log: Option<Digest>,
}

/// The boot log of a host, as its firmware wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootLog {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// TCG crypto-agile log.
    pub bytes: Vec<u8>,
}

/// One attestation of a host's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationRecord {
    /// When.
    pub at: Timestamp,
    /// Pass, fail or retry.
    pub verdict: VerdictKind,
    /// Why.
    pub reasons: Vec<String>,
}
