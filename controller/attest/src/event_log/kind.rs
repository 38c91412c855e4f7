//! Event types, and which of them belong into which PCR.
//!
//! **The type of an event is not hashed.** Whoever holds the log can rewrite it (attestation specification, V13), so
//! that a parser looks away from the event that matters and believes another. A type that does not belong into its PCR
//! is therefore a finding, and policies speak of digests.

use std::fmt;

/// A TCG event type (PC Client Platform Firmware Profile 1.05, section 10.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKind(u32);

type Row = (EventKind, &'static str, &'static [u8], DigestOf);

macro_rules! kinds {
    ($($constant:ident = $value:literal, $name:literal, in $pcrs:expr, $hashed:ident;)+) => {
        #[expect(missing_docs, reason = "the names are the TCG's")]
        impl EventKind {
            $(pub const $constant: Self = Self($value);)+
        }

        /// Every type that is known: its name, the boot PCRs that it may be in, and what its digest is of.
        const KINDS: &[Row] = &[$((EventKind::$constant, $name, &$pcrs, DigestOf::$hashed)),+];
    };
}

/// What a type says about the digest of its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DigestOf {
    /// The event data: what the data says was measured, or it was altered.
    Data,
    /// The event data, or only the variable's value in it: firmware differs, and the profile allowed both.
    DataOrValue,
    /// The event data, without its last byte if the writer was a shim before 15.3, which logged one byte too many.
    DataOrAllButLast,
    /// Something else: a program, a file, a table. The data is a name for it.
    Other,
}

// The PCRs are those of the profile (sections 3.3.4 and 10.4.1), together with what public logs of firmware, shim,
// GRUB and systemd-boot show. In PCR 7 only types are allowed whose data is hashed: nothing there can be relabelled
// without showing. PCR 4 has no firmware blob, behind which a boot loader could be hidden.
kinds! {
    POST_CODE = 0x01, "EV_POST_CODE", in [0, 1, 2], Other;
    NO_ACTION = 0x03, "EV_NO_ACTION", in [0, 1, 2, 3, 4, 5, 6, 7], Other;
    SEPARATOR = 0x04, "EV_SEPARATOR", in [0, 1, 2, 3, 4, 5, 6, 7], Data;
    ACTION = 0x05, "EV_ACTION", in [1, 2, 3, 4, 5, 6], Data;
    EVENT_TAG = 0x06, "EV_EVENT_TAG", in [0, 1, 2, 3, 5, 6], Other;
    S_CRTM_CONTENTS = 0x07, "EV_S_CRTM_CONTENTS", in [0], Other;
    S_CRTM_VERSION = 0x08, "EV_S_CRTM_VERSION", in [0], Data;
    CPU_MICROCODE = 0x09, "EV_CPU_MICROCODE", in [0, 1], Other;
    PLATFORM_CONFIG_FLAGS = 0x0a, "EV_PLATFORM_CONFIG_FLAGS", in [0, 1], Other;
    TABLE_OF_DEVICES = 0x0b, "EV_TABLE_OF_DEVICES", in [1], Data;
    COMPACT_HASH = 0x0c, "EV_COMPACT_HASH", in [5, 6], Other;
    IPL = 0x0d, "EV_IPL", in [4, 5], Other;
    IPL_PARTITION_DATA = 0x0e, "EV_IPL_PARTITION_DATA", in [5], Other;
    NONHOST_CODE = 0x0f, "EV_NONHOST_CODE", in [0, 2], Other;
    NONHOST_CONFIG = 0x10, "EV_NONHOST_CONFIG", in [1, 3], Other;
    NONHOST_INFO = 0x11, "EV_NONHOST_INFO", in [0, 1, 2, 3], Other;
    OMIT_BOOT_DEVICE_EVENTS = 0x12, "EV_OMIT_BOOT_DEVICE_EVENTS", in [4], Data;
    POST_CODE2 = 0x13, "EV_POST_CODE2", in [0, 1, 2], Other;
    EFI_VARIABLE_DRIVER_CONFIG = 0x8000_0001, "EV_EFI_VARIABLE_DRIVER_CONFIG", in [1, 3, 5, 7], Data;
    EFI_VARIABLE_BOOT = 0x8000_0002, "EV_EFI_VARIABLE_BOOT", in [1, 5], DataOrValue;
    EFI_BOOT_SERVICES_APPLICATION = 0x8000_0003, "EV_EFI_BOOT_SERVICES_APPLICATION", in [2, 4], Other;
    EFI_BOOT_SERVICES_DRIVER = 0x8000_0004, "EV_EFI_BOOT_SERVICES_DRIVER", in [0, 2], Other;
    EFI_RUNTIME_SERVICES_DRIVER = 0x8000_0005, "EV_EFI_RUNTIME_SERVICES_DRIVER", in [0, 2], Other;
    EFI_GPT_EVENT = 0x8000_0006, "EV_EFI_GPT_EVENT", in [5], Data;
    EFI_ACTION = 0x8000_0007, "EV_EFI_ACTION", in [0, 1, 2, 3, 4, 5, 6, 7], Data;
    EFI_PLATFORM_FIRMWARE_BLOB = 0x8000_0008, "EV_EFI_PLATFORM_FIRMWARE_BLOB", in [0, 2], Other;
    EFI_HANDOFF_TABLES = 0x8000_0009, "EV_EFI_HANDOFF_TABLES", in [0, 1], Other;
    EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000_000a, "EV_EFI_PLATFORM_FIRMWARE_BLOB2", in [0, 2], Other;
    EFI_HANDOFF_TABLES2 = 0x8000_000b, "EV_EFI_HANDOFF_TABLES2", in [0, 1], Other;
    EFI_VARIABLE_BOOT2 = 0x8000_000c, "EV_EFI_VARIABLE_BOOT2", in [1], DataOrValue;
    EFI_GPT_EVENT2 = 0x8000_000d, "EV_EFI_GPT_EVENT2", in [5], Other;
    EFI_HCRTM_EVENT = 0x8000_0010, "EV_EFI_HCRTM_EVENT", in [0], Other;
    EFI_VARIABLE_AUTHORITY = 0x8000_00e0, "EV_EFI_VARIABLE_AUTHORITY", in [7], DataOrAllButLast;
    EFI_SPDM_FIRMWARE_BLOB = 0x8000_00e1, "EV_EFI_SPDM_FIRMWARE_BLOB", in [2], Other;
    EFI_SPDM_FIRMWARE_CONFIG = 0x8000_00e2, "EV_EFI_SPDM_FIRMWARE_CONFIG", in [3], Other;
    EFI_SPDM_DEVICE_POLICY = 0x8000_00e3, "EV_EFI_SPDM_DEVICE_POLICY", in [7], Data;
    EFI_SPDM_DEVICE_AUTHORITY = 0x8000_00e4, "EV_EFI_SPDM_DEVICE_AUTHORITY", in [7], Data;
}

impl EventKind {
    /// The type with this number. Every number is one: unknown events are replayed like any other.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The number in the log.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The TCG's name; none if it is not known here.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|(_, name, ..)| *name)
    }

    /// Whether events of this type may be in that PCR. Boot PCRs (0 to 7) have a table, in which an unknown type has no
    /// place; what loaders and the system measure into the others may have any type.
    pub fn belongs_in(self, pcr: u8) -> bool {
        pcr > super::LAST_BOOT_PCR || self.row().is_some_and(|(_, _, pcrs, _)| pcrs.contains(&pcr))
    }

    pub(super) fn digest_of(self) -> DigestOf {
        self.row().map_or(DigestOf::Other, |(.., digest_of)| *digest_of)
    }

    fn row(self) -> Option<&'static Row> {
        KINDS.iter().find(|(kind, ..)| *kind == self)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "event type {:#010x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_have_the_names_of_the_tcg_and_unknown_ones_their_number() {
        assert_eq!(EventKind::from_number(0x8000_0003).to_string(), "EV_EFI_BOOT_SERVICES_APPLICATION");
        assert_eq!(EventKind::from_number(0x42).to_string(), "event type 0x00000042");
        assert!(KINDS.is_sorted_by(|(a, ..), (b, ..)| a < b));
    }

    #[test]
    fn in_pcr_7_nothing_can_be_relabelled_unseen() {
        for (kind, name, pcrs, digest_of) in KINDS.iter().filter(|(kind, ..)| *kind != EventKind::NO_ACTION) {
            assert!(!kind.belongs_in(7) || *digest_of != DigestOf::Other, "{name} in {pcrs:?}");
        }
    }

    #[test]
    fn an_unknown_type_has_no_place_in_a_boot_pcr() {
        let unknown = EventKind::from_number(2);
        assert!((0..=7).all(|pcr| !unknown.belongs_in(pcr)) && unknown.belongs_in(8));
    }
}
