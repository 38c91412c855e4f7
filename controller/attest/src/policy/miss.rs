//! In what a host misses its policy.

use std::fmt;

use crate::event_log::{LogFinding, text};

/// One reason against what a host booted. [`Miss::code`] is stable; `Display` is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// A quoted PCR that the policy does not name: it is denied, never skipped.
    PcrNotNamed {
        /// The PCR.
        pcr: u8,
        /// Its quoted value.
        value: [u8; 32],
    },
    /// A PCR that the policy names and the quote does not have.
    PcrNotQuoted {
        /// The PCR.
        pcr: u8,
    },
    /// A value that is not among the approved ones.
    PcrNotAllowed {
        /// The PCR.
        pcr: u8,
        /// Its quoted value.
        value: [u8; 32],
    },
    /// The policy needs a boot log and there is none.
    LogMissing,
    /// The boot log is not to be believed.
    Log(LogFinding),
    /// A PCR that the system extended after the boot log was written: its events are not all known.
    PcrBeyondLog {
        /// The PCR.
        pcr: u8,
    },
    /// A PCR judged by its events, into which nothing was measured.
    PcrWithoutEvents {
        /// The PCR.
        pcr: u8,
    },
    /// An event that is not among the approved ones.
    EventNotApproved {
        /// The PCR.
        pcr: u8,
        /// Number of the event in the log.
        number: u32,
        /// Its digest.
        digest: [u8; 32],
        /// What it is, by [`crate::event_log::describe`].
        event: String,
    },
    /// More events that are not approved, which are not listed.
    MoreEventsNotApproved {
        /// The PCR.
        pcr: u8,
        /// How many.
        count: usize,
    },
    /// An event that must be there and was not measured.
    EventMissing {
        /// The PCR.
        pcr: u8,
        /// Its digest.
        digest: [u8; 32],
        /// What the policy says that it is.
        note: String,
    },
    /// Secure Boot is required and was off.
    SecureBootOff,
    /// Secure Boot is required and the boot log does not tell.
    SecureBootUnknown,
    /// The firmware of the TPM is older than the policy allows.
    FirmwareBelowMinimum {
        /// Its version.
        found: u64,
        /// The lowest one allowed.
        minimum: u64,
    },
    /// The firmware of the TPM is not among the approved versions.
    FirmwareNotApproved {
        /// Its version.
        found: u64,
    },
}

impl Miss {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PcrNotNamed { .. } => "pcr_not_named",
            Self::PcrNotQuoted { .. } => "pcr_not_quoted",
            Self::PcrNotAllowed { .. } => "pcr_not_allowed",
            Self::LogMissing => "log_missing",
            Self::Log(finding) => finding.code(),
            Self::PcrBeyondLog { .. } => "pcr_beyond_log",
            Self::PcrWithoutEvents { .. } => "pcr_without_events",
            Self::EventNotApproved { .. } | Self::MoreEventsNotApproved { .. } => "event_not_approved",
            Self::EventMissing { .. } => "event_missing",
            Self::SecureBootOff => "secure_boot_off",
            Self::SecureBootUnknown => "secure_boot_unknown",
            Self::FirmwareBelowMinimum { .. } => "firmware_below_minimum",
            Self::FirmwareNotApproved { .. } => "firmware_not_approved",
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PcrNotNamed { pcr, value } => {
                write!(f, "PCR {pcr} is {} and the policy does not name it", text::short(value))
            }
            Self::PcrNotQuoted { pcr } => write!(f, "PCR {pcr} is named by the policy and was not quoted"),
            Self::PcrNotAllowed { pcr, value } => {
                write!(f, "PCR {pcr} is {}, which the policy does not allow", text::short(value))
            }
            Self::LogMissing => f.write_str("the policy needs a boot log and the host sent none"),
            Self::Log(finding) => finding.fmt(f),
            Self::PcrBeyondLog { pcr } => {
                write!(f, "PCR {pcr} was extended after the boot log was written, so its events are not all known")
            }
            Self::PcrWithoutEvents { pcr } => write!(f, "PCR {pcr}: nothing was measured, and the policy names events"),
            Self::EventNotApproved { pcr, number, digest, event } => {
                write!(f, "PCR {pcr}, event {number}: {event} ({}) is not approved", text::short(digest))
            }
            Self::MoreEventsNotApproved { pcr, count } => {
                write!(f, "PCR {pcr}: {count} more events are not approved")
            }
            Self::EventMissing { pcr, digest, note } => {
                let what = if note.is_empty() { "an event" } else { note };
                write!(f, "PCR {pcr}: {what} ({}) must have been measured and was not", text::short(digest))
            }
            Self::SecureBootOff => f.write_str("PCR 7: Secure Boot is off and the policy requires it"),
            Self::SecureBootUnknown => {
                f.write_str("PCR 7: the policy requires Secure Boot and the boot log does not tell whether it is on")
            }
            Self::FirmwareBelowMinimum { found, minimum } => {
                write!(f, "the TPM's firmware is {found:#x}, the policy wants {minimum:#x} or newer")
            }
            Self::FirmwareNotApproved { found } => {
                write!(f, "the TPM's firmware is {found:#x}, which the policy does not approve")
            }
        }
    }
}
