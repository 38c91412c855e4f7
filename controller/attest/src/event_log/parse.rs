//! The bytes of a crypto-agile log, field by field (PC Client Platform Firmware Profile 1.05, sections 10.2 and 10.4.5).
//!
//! No length is believed: what it counts is taken from what is left or refused, and nothing is allocated before that.

use super::bytes::Bytes;
use super::{
    Event, EventKind, EventLog, MAX_DIGESTS, MAX_EVENT_DATA_BYTES, MAX_EVENTS, MAX_LOG_BYTES, StartupLocality,
};
use crate::selection::{Bank, PCR_COUNT};

const SPEC_ID_03: &[u8; 16] = b"Spec ID Event03\0";
/// What begins every `TCG_EfiSpecIDEvent`; other numbers follow in the formats with SHA-1 digests only.
const SPEC_ID: &[u8] = b"Spec ID Event";
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";

/// Size of the SHA-1 digest in the header event, which keeps the older format so that older parsers find it.
const HEADER_DIGEST_BYTES: usize = 20;

/// Hash algorithms of the TCG Algorithm Registry that a PCR bank may have, with the size of their digests.
const ALGORITHMS: [(u16, u16); MAX_DIGESTS as usize] = [
    (0x0004, 20), // SHA-1
    (0x000b, 32), // SHA-256
    (0x000c, 48), // SHA-384
    (0x000d, 64), // SHA-512
    (0x0012, 32), // SM3-256
    (0x0027, 32), // SHA3-256
    (0x0028, 48), // SHA3-384
    (0x0029, 64), // SHA3-512
];

pub(super) fn log(bytes: &[u8]) -> Result<EventLog, EventLogError> {
    if bytes.len() > MAX_LOG_BYTES {
        return Err(EventLogError::TooLarge { len: bytes.len() });
    }
    let mut bytes = Bytes::new(bytes);
    let algorithms = header(&mut bytes)?;
    let mut log = EventLog { events: Vec::new(), startup: None };
    let mut pcr_0_extended = false;
    for number in 1.. {
        if is_padding(bytes.rest()) {
            break;
        }
        if number > MAX_EVENTS {
            return Err(EventLogError::TooManyEvents);
        }
        let event = event(&mut bytes, number, &algorithms)?;
        if let Some(startup) = startup_locality(&event)? {
            if log.startup.is_some() || pcr_0_extended {
                return Err(EventLogError::StartupLocality { event: number });
            }
            log.startup = Some(startup);
        }
        pcr_0_extended |= event.pcr == 0 && event.is_extended();
        log.events.push(event);
    }
    Ok(log)
}

/// `TCG_PCClientPCREvent` with a `TCG_EfiSpecIDEvent` in it; gives the algorithms of the log.
fn header(bytes: &mut Bytes<'_>) -> Result<Vec<u16>, EventLogError> {
    let truncated = |field| EventLogError::Truncated { event: 0, field };
    let unsupported = |field| EventLogError::Header { field };
    let pcr = bytes.u32().ok_or(truncated("pcrIndex"))?;
    let kind = bytes.u32().ok_or(truncated("eventType"))?;
    bytes.take(HEADER_DIGEST_BYTES).ok_or(truncated("digest"))?;
    let len = bytes.u32().ok_or(truncated("eventDataSize"))?;
    let mut data = Bytes::new(data(bytes, 0, len)?);

    let signature = data.array::<16>().ok_or(EventLogError::NoSpecId)?;
    if pcr != 0 || kind != EventKind::NO_ACTION.number() || !signature.starts_with(SPEC_ID) {
        return Err(EventLogError::NoSpecId);
    }
    if signature != *SPEC_ID_03 {
        return Err(EventLogError::OldFormat);
    }
    // 0 is a client, 1 a server.
    data.u32().filter(|class| *class <= 1).ok_or(unsupported("platformClass"))?;
    let [minor, major, _errata, uintn] = data.array().ok_or(unsupported("specVersion"))?;
    if (major, minor) != (2, 0) {
        return Err(unsupported("specVersion"));
    }
    if !matches!(uintn, 1 | 2) {
        return Err(unsupported("uintnSize"));
    }
    let count = data.u32().ok_or(unsupported("numberOfAlgorithms"))?;
    if count == 0 || count > MAX_DIGESTS {
        return Err(unsupported("numberOfAlgorithms"));
    }
    let mut algorithms = Vec::new();
    for _ in 0..count {
        let (Some(id), Some(size)) = (data.u16(), data.u16()) else { return Err(unsupported("digestSizes")) };
        if !ALGORITHMS.contains(&(id, size)) || algorithms.contains(&id) {
            return Err(EventLogError::Algorithm { id });
        }
        algorithms.push(id);
    }
    if !algorithms.contains(&Bank::Sha256.id()) {
        return Err(EventLogError::NoSha256);
    }
    let vendor_info = data.u8().ok_or(unsupported("vendorInfo"))?;
    if data.rest().len() != usize::from(vendor_info) {
        return Err(unsupported("vendorInfo"));
    }
    Ok(algorithms)
}

/// `TCG_PCR_EVENT2`.
fn event(bytes: &mut Bytes<'_>, number: u32, algorithms: &[u16]) -> Result<Event, EventLogError> {
    let truncated = |field| EventLogError::Truncated { event: number, field };
    let index = bytes.u32().ok_or(truncated("pcrIndex"))?;
    let pcr = u8::try_from(index).ok().filter(|pcr| *pcr < PCR_COUNT);
    let pcr = pcr.ok_or(EventLogError::NoSuchPcr { event: number, index })?;
    let kind = EventKind::from_number(bytes.u32().ok_or(truncated("eventType"))?);
    let sha256 = digests(bytes, number, algorithms)?;
    let len = bytes.u32().ok_or(truncated("eventSize"))?;
    let data = data(bytes, number, len)?;
    Ok(Event::new(number, pcr, kind, sha256, data.to_vec()))
}

/// `TPML_DIGEST_VALUES`: one digest of each algorithm, in any order (Hyper-V has another one than its header). Gives
/// that of SHA-256.
fn digests(bytes: &mut Bytes<'_>, number: u32, algorithms: &[u16]) -> Result<[u8; 32], EventLogError> {
    let wrong = EventLogError::Digests { event: number };
    let truncated = |field| EventLogError::Truncated { event: number, field };
    let count = bytes.u32().ok_or(truncated("digests"))?;
    if usize::try_from(count).ok() != Some(algorithms.len()) {
        return Err(wrong);
    }
    let mut outstanding = algorithms.to_vec();
    let mut sha256 = None;
    for _ in 0..count {
        let id = bytes.u16().ok_or(truncated("digests"))?;
        let place = outstanding.iter().position(|algorithm| *algorithm == id).ok_or(wrong)?;
        outstanding.remove(place);
        if id == Bank::Sha256.id() {
            sha256 = Some(bytes.array().ok_or(truncated("digests"))?);
        } else {
            let size = ALGORITHMS.iter().find_map(|(known, size)| (*known == id).then_some(*size)).ok_or(wrong)?;
            bytes.take(usize::from(size)).ok_or(truncated("digests"))?;
        }
    }
    sha256.ok_or(wrong)
}

fn data<'a>(bytes: &mut Bytes<'a>, event: u32, len: u32) -> Result<&'a [u8], EventLogError> {
    match usize::try_from(len) {
        Ok(len) if len <= MAX_EVENT_DATA_BYTES => {
            bytes.take(len).ok_or(EventLogError::Truncated { event, field: "event" })
        }
        _ => Err(EventLogError::DataTooLong { event, len }),
    }
}

/// The locality, if the event says one. Locality 0 is what PCR 0 starts with anyway; some firmware says so.
fn startup_locality(event: &Event) -> Result<Option<StartupLocality>, EventLogError> {
    if event.kind != EventKind::NO_ACTION || !event.data.starts_with(STARTUP_LOCALITY) {
        return Ok(None);
    }
    match (event.pcr, event.data.get(STARTUP_LOCALITY.len()..)) {
        (0, Some([locality @ (0 | 3 | 4)])) => Ok(Some(StartupLocality { locality: *locality, event: event.number })),
        _ => Err(EventLogError::StartupLocality { event: event.number }),
    }
}

/// An event cannot begin like this: it has a number of digests that is neither 0 nor 2^32 - 1.
fn is_padding(rest: &[u8]) -> bool {
    rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 0xff)
}

/// Why bytes are no boot log. It is the sender's doing, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventLogError {
    /// Over [`MAX_LOG_BYTES`].
    #[error("reading a boot log: it has {len} bytes where {MAX_LOG_BYTES} are allowed")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
    },
    /// The format of TPM 1.2, with SHA-1 digests only.
    #[error("reading a boot log: it has the old format with SHA-1 digests only; the firmware must log SHA-256")]
    OldFormat,
    /// The first event is no Spec ID event.
    #[error("reading a boot log: the first event is no Spec ID event, so this is no crypto-agile log")]
    NoSpecId,
    /// A field of the header has no acceptable value.
    #[error("reading a boot log: {field} in its header is missing or not accepted")]
    Header {
        /// The TCG's name of the field.
        field: &'static str,
    },
    /// An algorithm that no PCR bank has, one with a wrong digest size, or one that was named before.
    #[error("reading a boot log: its header names algorithm {id:#06x}, which is unknown, sized wrongly or repeated")]
    Algorithm {
        /// The `TPM_ALG_ID`.
        id: u16,
    },
    /// The header does not name SHA-256.
    #[error("reading a boot log: it has no SHA-256 digests; enable the SHA-256 bank in the firmware")]
    NoSha256,
    /// The bytes end inside an event.
    #[error("reading a boot log: it ends inside {field} of event {event}")]
    Truncated {
        /// Number of the event; 0 is the header.
        event: u32,
        /// The TCG's name of the field.
        field: &'static str,
    },
    /// A PCR that a TPM does not have.
    #[error("reading a boot log: event {event} is for PCR {index}, a TPM has 0 to 23")]
    NoSuchPcr {
        /// Number of the event.
        event: u32,
        /// The index it names.
        index: u32,
    },
    /// Not exactly one digest of each algorithm that the header names.
    #[error("reading a boot log: event {event} has not exactly one digest of each algorithm in the header")]
    Digests {
        /// Number of the event.
        event: u32,
    },
    /// Over [`MAX_EVENT_DATA_BYTES`].
    #[error("reading a boot log: event {event} claims {len} bytes of data where {MAX_EVENT_DATA_BYTES} are allowed")]
    DataTooLong {
        /// Number of the event; 0 is the header.
        event: u32,
        /// The size it claims, in bytes.
        len: u32,
    },
    /// Over [`MAX_EVENTS`].
    #[error("reading a boot log: it has more than {MAX_EVENTS} events")]
    TooManyEvents,
    /// A startup locality that is malformed, not 0, 3 or 4, for another PCR, said twice, or said too late.
    #[error("reading a boot log: event {event} gives a startup locality that cannot be, or at a wrong place")]
    StartupLocality {
        /// Number of the event.
        event: u32,
    },
}

impl EventLogError {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooManyEvents | Self::DataTooLong { .. } => "log_too_large",
            Self::OldFormat | Self::NoSha256 => "log_sha1_only",
            Self::StartupLocality { .. } => "log_startup_locality",
            _ => "log_encoding",
        }
    }
}
