//! The log of a measured boot (TCG PC Client Platform Firmware Profile 1.05, section 10; attestation specification,
//! V13): parsed strictly, replayed, and believed as far as a quote and its own digests go.
//!
//! A quote vouches for PCR values. If the log replays to them, it vouches for the **PCR and digest** of every event, and
//! for nothing else: not for the types, not for the data. Data is believed where it hashes to its digest; where it is a
//! name for what was hashed it is a claim of the host, and where it should hash to its digest and does not, it is never
//! handed out ([`DataStanding`]).
//!
//! Start at [`EventLog::parse`], then [`EventLog::check`] with the quoted values. A log with findings proves nothing.

mod bytes;
mod describe;
mod device_path;
mod difference;
mod finding;
mod kind;
mod parse;
mod replay;
mod rules;
mod secure_boot;
pub(crate) mod text;
mod variable;

pub use describe::describe;
pub use difference::{Difference, first_difference};
pub use finding::LogFinding;
pub use kind::EventKind;
pub use parse::EventLogError;
pub(crate) use secure_boot::SECURE_BOOT_PCR;

/// Largest log, in bytes. Firmware reserves 64 to 256 KiB; what is measured later adds some tens.
pub const MAX_LOG_BYTES: usize = 1 << 20;

/// Most events after the header. A boot has 25 to 300; each GRUB command is one.
pub const MAX_EVENTS: u32 = 4096;

/// Most data of one event, in bytes. The largest in use is the `dbx` variable, tens of KiB and growing.
pub const MAX_EVENT_DATA_BYTES: usize = 256 << 10;

/// Most digests of one event: as many as there are algorithms that a TPM may have a bank of.
pub const MAX_DIGESTS: u32 = 8;

/// Most findings that [`EventLog::check`] lists. One is enough to refuse a log, and a hostile one has thousands.
pub const MAX_FINDINGS: usize = 64;

/// PCRs 0 to 7 are measured by firmware and never after the boot (section 3.3.4): the log accounts for all of them.
pub const LAST_BOOT_PCR: u8 = 7;

/// A boot log that is well formed. Nothing in it is believed before [`EventLog::check`] has compared it with a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    events: Vec<Event>,
    startup: Option<StartupLocality>,
}

/// One event: the SHA-256 digest that was extended, and what the log says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    number: u32,
    pcr: u8,
    kind: EventKind,
    sha256: [u8; 32],
    data: Vec<u8>,
    standing: DataStanding,
}

/// How far the data of an event can be believed, once its digest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataStanding {
    /// It hashes to the event's digest: it is what was measured.
    Measured,
    /// The digest is of something else, and this is what the host says that was: the path of a program, a description.
    Claimed,
    /// Data of this type hashes to the digest, and this does not: somebody altered it. It is never shown or used.
    Altered,
}

/// The locality of `TPM2_Startup`, which PCR 0 starts with (section 10.4.5.3), and the event that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StartupLocality {
    locality: u8,
    event: u32,
}

impl EventLog {
    /// Parses a crypto-agile log: the header `TCG_EfiSpecIDEvent` ("Spec ID Event03") and `TCG_PCR_EVENT2`s up to the
    /// end, every event with exactly one digest of each algorithm that the header names, SHA-256 among them.
    ///
    /// Behind the last event there may be the unused rest of the firmware's buffer: bytes that are all 0x00 or all 0xFF.
    /// Anything else there is refused, and so is the older format, which has SHA-1 digests only.
    pub fn parse(bytes: &[u8]) -> Result<Self, EventLogError> {
        parse::log(bytes)
    }

    /// Every event behind the header, in the order of the log, those that are not extended (EV_NO_ACTION) included.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The events that were extended into a PCR, in their order.
    pub fn measured(&self, pcr: u8) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.pcr == pcr && event.is_extended())
    }
}

impl Event {
    fn new(number: u32, pcr: u8, kind: EventKind, sha256: [u8; 32], data: Vec<u8>) -> Self {
        let standing = rules::standing(kind, &sha256, &data);
        Self { number, pcr, kind, sha256, data, standing }
    }

    /// Its place in the log. The header is number 0, as in the output of `tpm2_eventlog`.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The PCR, 0 to 23.
    pub const fn pcr(&self) -> u8 {
        self.pcr
    }

    /// What the log says the event is. Not hashed: see [`EventKind`].
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// The digest that was extended into the SHA-256 bank.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// How far its data can be believed.
    pub const fn standing(&self) -> DataStanding {
        self.standing
    }

    /// The data, if it hashes to the digest.
    pub fn measured_data(&self) -> Option<&[u8]> {
        (self.standing == DataStanding::Measured).then_some(&self.data)
    }

    /// Whether the event was extended into its PCR: all are but EV_NO_ACTION, which only informs (section 10.4.5).
    pub fn is_extended(&self) -> bool {
        self.kind != EventKind::NO_ACTION
    }
}
