//! What is wrong with a boot log that is well formed.

use std::fmt;

use super::{EventKind, text};

/// One reason not to believe a boot log. [`LogFinding::code`] is stable; `Display` is a sentence for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFinding {
    /// The log does not replay to the quoted value: an event was removed, inserted, moved or changed.
    Replay {
        /// The PCR.
        pcr: u8,
        /// Its value by the log.
        replayed: [u8; 32],
        /// Its value in the quote.
        quoted: [u8; 32],
    },
    /// A boot PCR with events and no separator: firmware never said that it was done with it.
    SeparatorMissing {
        /// The PCR.
        pcr: u8,
    },
    /// A second separator: one of them is made up.
    SeparatorRepeated {
        /// The PCR.
        pcr: u8,
        /// Number of the second one.
        event: u32,
    },
    /// A separator whose data is none of the three values that there are (section 10.4.1).
    SeparatorData {
        /// The PCR.
        pcr: u8,
        /// Number of the event.
        event: u32,
    },
    /// Data that does not hash to the digest of its event, in a type whose data does.
    EventData {
        /// The PCR.
        pcr: u8,
        /// Number of the event.
        event: u32,
        /// Its type.
        kind: EventKind,
    },
    /// A type that the PCR cannot have, or that the digest gives the lie to.
    EventType {
        /// The PCR.
        pcr: u8,
        /// Number of the event.
        event: u32,
        /// Its type.
        kind: EventKind,
    },
}

impl LogFinding {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Replay { .. } => "log_replay",
            Self::SeparatorMissing { .. } => "separator_missing",
            Self::SeparatorRepeated { .. } => "separator_repeated",
            Self::SeparatorData { .. } => "separator_data",
            Self::EventData { .. } => "event_data",
            Self::EventType { .. } => "event_type",
        }
    }

    /// The PCR that it is about.
    pub const fn pcr(&self) -> u8 {
        match *self {
            Self::Replay { pcr, .. }
            | Self::SeparatorMissing { pcr }
            | Self::SeparatorRepeated { pcr, .. }
            | Self::SeparatorData { pcr, .. }
            | Self::EventData { pcr, .. }
            | Self::EventType { pcr, .. } => pcr,
        }
    }
}

impl fmt::Display for LogFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replay { pcr, replayed, quoted } => {
                let (replayed, quoted) = (text::short(replayed), text::short(quoted));
                write!(f, "PCR {pcr}: the boot log replays to {replayed}, the TPM quoted {quoted}")
            }
            Self::SeparatorMissing { pcr } => write!(f, "PCR {pcr}: the boot log has events and no separator"),
            Self::SeparatorRepeated { pcr, event } => {
                write!(f, "PCR {pcr}, event {event}: a second separator, where there is one in a boot")
            }
            Self::SeparatorData { pcr, event } => {
                write!(f, "PCR {pcr}, event {event}: the separator has a value that no separator has")
            }
            Self::EventData { pcr, event, kind } => {
                write!(f, "PCR {pcr}, event {event}: the data of this {kind} is not what was measured")
            }
            Self::EventType { pcr, event, kind } => {
                write!(f, "PCR {pcr}, event {event}: {kind} is not what this event can be")
            }
        }
    }
}
