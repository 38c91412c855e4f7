//! Boot logs, byte by byte. The PCR values are computed here once more, so that the parser is not its own oracle.

use std::collections::BTreeMap;

use flota_attest::event_log::{EventKind, EventLog};
use flota_attest::quote::QuoteFacts;
use sha2::{Digest, Sha256};

pub(crate) const SHA1: u16 = 4;
pub(crate) const SHA256: u16 = 11;
pub(crate) const SHA384: u16 = 12;

/// `EFI_GLOBAL_VARIABLE`.
pub(crate) const GLOBAL: [u8; 16] =
    [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c];

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// An event as it is put into a log; every field may lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Built {
    pub(crate) pcr: u32,
    pub(crate) kind: EventKind,
    pub(crate) digest: [u8; 32],
    pub(crate) data: Vec<u8>,
}

/// A log to be.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) algorithms: Vec<(u16, u16)>,
    pub(crate) events: Vec<Built>,
}

impl Log {
    pub(crate) fn empty() -> Self {
        Self { algorithms: vec![(SHA1, 20), (SHA256, 32)], events: Vec::new() }
    }

    /// An event whose digest is of its data.
    pub(crate) fn hashed(&mut self, pcr: u32, kind: EventKind, data: impl AsRef<[u8]>) -> &mut Self {
        self.named(pcr, kind, data.as_ref(), data.as_ref())
    }

    /// An event whose digest is of something else, which the data is a name for.
    pub(crate) fn named(&mut self, pcr: u32, kind: EventKind, measured: &[u8], data: &[u8]) -> &mut Self {
        let digest = if kind == EventKind::NO_ACTION { [0; 32] } else { sha256(measured) };
        self.events.push(Built { pcr, kind, digest, data: data.to_vec() });
        self
    }

    pub(crate) fn separators(&mut self, pcrs: impl IntoIterator<Item = u32>) -> &mut Self {
        for pcr in pcrs {
            self.hashed(pcr, EventKind::SEPARATOR, [0; 4]);
        }
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = header(&self.algorithms);
        for event in &self.events {
            bytes.extend(event.bytes(&self.algorithms));
        }
        bytes
    }

    pub(crate) fn parse(&self) -> EventLog {
        EventLog::parse(&self.bytes()).unwrap()
    }

    /// What a TPM would hold. `locality` is what PCR 0 starts with.
    pub(crate) fn pcrs_from(&self, locality: u8) -> BTreeMap<u8, [u8; 32]> {
        let mut pcrs: BTreeMap<u8, [u8; 32]> = (0..16).map(|pcr| (pcr, [0; 32])).collect();
        pcrs.get_mut(&0).unwrap()[31] = locality;
        for event in self.events.iter().filter(|event| event.kind != EventKind::NO_ACTION) {
            let pcr = pcrs.get_mut(&u8::try_from(event.pcr).unwrap()).unwrap();
            *pcr = sha256(&[&pcr[..], &event.digest].concat());
        }
        pcrs
    }

    pub(crate) fn pcrs(&self) -> BTreeMap<u8, [u8; 32]> {
        self.pcrs_from(0)
    }

    /// A quote over what a TPM would hold, of the PCRs 0 to 9 and 14.
    pub(crate) fn facts(&self) -> QuoteFacts {
        let quoted = |pcr: &u8| *pcr < 10 || *pcr == 14;
        facts(self.pcrs().into_iter().filter(|(pcr, _)| quoted(pcr)).collect())
    }

    /// The place of the first event of a PCR with a type.
    pub(crate) fn find(&self, pcr: u32, kind: EventKind) -> usize {
        self.events.iter().position(|event| event.pcr == pcr && event.kind == kind).unwrap()
    }
}

impl Built {
    fn bytes(&self, algorithms: &[(u16, u16)]) -> Vec<u8> {
        let mut bytes =
            [self.pcr, self.kind.number(), u32::try_from(algorithms.len()).unwrap()].map(u32::to_le_bytes).concat();
        for (id, size) in algorithms {
            bytes.extend(id.to_le_bytes());
            bytes.extend(if *id == SHA256 { self.digest.to_vec() } else { vec![0x5a; usize::from(*size)] });
        }
        bytes.extend(sized(&self.data));
        bytes
    }
}

pub(crate) fn facts(pcrs: BTreeMap<u8, [u8; 32]>) -> QuoteFacts {
    QuoteFacts {
        clock: 100_000,
        reset_count: 7,
        restart_count: 0,
        safe: true,
        firmware: 0x0007_0002,
        pcrs,
        rebooted: false,
        unseen_reboots: 0,
        firmware_changed: false,
    }
}

/// The header event of a log with these algorithms.
pub(crate) fn header(algorithms: &[(u16, u16)]) -> Vec<u8> {
    let mut data = b"Spec ID Event03\0\0\0\0\0\0\x02\0\x02".to_vec();
    data.extend(u32::try_from(algorithms.len()).unwrap().to_le_bytes());
    for (id, size) in algorithms {
        data.extend(id.to_le_bytes());
        data.extend(size.to_le_bytes());
    }
    data.push(0);
    header_of(&data)
}

pub(crate) fn header_of(data: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 3, 0, 0, 0][..], &[0; 20], &sized(data)].concat()
}

fn sized(data: &[u8]) -> Vec<u8> {
    [&u32::try_from(data.len()).unwrap().to_le_bytes()[..], data].concat()
}

pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// `UEFI_VARIABLE_DATA`.
pub(crate) fn variable(vendor: [u8; 16], name: &str, value: &[u8]) -> Vec<u8> {
    let mut data = vendor.to_vec();
    data.extend((name.encode_utf16().count() as u64).to_le_bytes());
    data.extend((value.len() as u64).to_le_bytes());
    data.extend(utf16(name));
    data.extend(value);
    data
}

/// One node of a device path.
pub(crate) fn node(kind: u8, subtype: u8, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len() + 4).unwrap().to_le_bytes();
    [&[kind, subtype][..], &len, data].concat()
}

/// `UEFI_IMAGE_LOAD_EVENT` of a file on a disk.
pub(crate) fn image(file: &str) -> Vec<u8> {
    let path = [node(4, 1, &[7; 38]), node(4, 4, &[utf16(file), vec![0, 0]].concat()), node(0x7f, 0xff, &[])].concat();
    let mut data = [0x7a00_0000_u64, 950_272, 0, path.len() as u64].map(u64::to_le_bytes).concat();
    data.extend(path);
    data
}

/// `EFI_SIGNATURE_LIST` with so many entries of 48 bytes.
pub(crate) fn signature_list(entries: u32) -> Vec<u8> {
    let mut list = vec![0x26; 16];
    list.extend([28 + 48 * entries, 0, 48].map(u32::to_le_bytes).concat());
    list.extend(vec![0x11; 48 * entries as usize]);
    list
}

/// `UEFI_GPT_DATA` of a disk with two partitions.
fn gpt() -> Vec<u8> {
    let mut data = b"EFI PART".to_vec();
    data.resize(56, 0);
    data.extend([0xd1; 16]);
    data.extend([0; 20]);
    data.extend(2_u64.to_le_bytes());
    data.extend([0xee; 256]);
    data
}

/// `EFI_LOAD_OPTION`.
pub(crate) fn boot_option(description: &str) -> Vec<u8> {
    [&[1, 0, 0, 0, 4, 0][..], &utf16(description), &[0, 0], &node(0x7f, 0xff, &[])].concat()
}

/// A boot of Debian with Secure Boot: firmware, shim, GRUB, Linux.
pub(crate) fn debian() -> Log {
    boot("on", "vmlinuz-6.1.0-18-amd64")
}

/// The same with another kernel, or with Secure Boot off.
pub(crate) fn boot(secure_boot: &str, kernel: &str) -> Log {
    use EventKind as K;
    let mut log = Log::empty();
    log.hashed(0, K::S_CRTM_VERSION, utf16("2.19.1\0"))
        .named(0, K::EFI_PLATFORM_FIRMWARE_BLOB, b"firmware 2.19.1", &[0; 16])
        .hashed(7, K::EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, "SecureBoot", &[u8::from(secure_boot == "on")]));
    for (name, entries) in [("PK", 1), ("KEK", 2)] {
        log.hashed(7, K::EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, name, &signature_list(entries)));
    }
    for (name, entries) in [("db", 3), ("dbx", 371)] {
        log.hashed(7, K::EFI_VARIABLE_DRIVER_CONFIG, variable([0xdb; 16], name, &signature_list(entries)));
    }
    let order = [1, 0, 0, 0];
    log.separators([7])
        .named(1, K::EFI_VARIABLE_BOOT, &order, &variable(GLOBAL, "BootOrder", &order))
        .hashed(1, K::EFI_VARIABLE_BOOT, variable(GLOBAL, "Boot0001", &boot_option("debian")))
        .named(2, K::EFI_BOOT_SERVICES_DRIVER, b"network card", &image("\\OptionRom(0x10,0x20)"))
        .hashed(4, K::EFI_ACTION, "Calling EFI Application from Boot Option")
        .separators(0..=6)
        .hashed(5, K::EFI_GPT_EVENT, gpt())
        .hashed(7, K::EFI_VARIABLE_AUTHORITY, variable([0xdb; 16], "db", &[[0x77; 16], [0x30; 16]].concat()))
        .named(4, K::EFI_BOOT_SERVICES_APPLICATION, b"shim 15.8", &image("\\EFI\\debian\\shimx64.efi"))
        .named(14, K::IPL, b"keys of the owner", b"MokList\0")
        .hashed(7, K::EFI_VARIABLE_AUTHORITY, variable([0x05; 16], "SbatLevel", b"sbat,1,2024010900\n"))
        .named(4, K::EFI_BOOT_SERVICES_APPLICATION, b"grub 2.06", &image("\\EFI\\debian\\grubx64.efi"))
        .named(9, K::IPL, b"menu", b"(hd0,gpt2)/boot/grub/grub.cfg\0");
    let command = format!("linux /boot/{kernel} root=/dev/sda2 ro quiet");
    log.named(8, K::IPL, command.as_bytes(), format!("grub_cmd: {command}\0").as_bytes())
        .named(4, K::EFI_BOOT_SERVICES_APPLICATION, kernel.as_bytes(), &image(&format!("\\boot\\{kernel}")))
        .named(9, K::IPL, kernel.as_bytes(), format!("/boot/{kernel}\0").as_bytes())
        .named(9, K::EVENT_TAG, b"initrd", b"\xec\x3b\x8b\x8f\x0d\0\0\0Linux initrd\0")
        .hashed(5, K::EFI_ACTION, "Exit Boot Services Invocation")
        .hashed(5, K::EFI_ACTION, "Exit Boot Services Returned with Success");
    log
}
