//! Boot logs as firmware writes them, for TPMs that no firmware measures into.

use flota_swtpm::Swtpm;
use sha2::{Digest as _, Sha256};

/// `TPM_ALG_SHA256`.
const SHA256: u16 = 0x000b;
/// `EV_NO_ACTION`.
const NO_ACTION: u32 = 0x0000_0003;
/// `EV_SEPARATOR`.
const SEPARATOR: u32 = 0x0000_0004;
/// `EV_EFI_ACTION`: what is hashed is the text itself.
const EFI_ACTION: u32 = 0x8000_0007;
/// PCRs that firmware ends with a separator.
const BOOT_PCRS: u8 = 8;
/// PCR of boot loader and kernel.
pub const LOADER_PCR: u8 = 4;

/// A boot in the making: every event goes into the log and into the TPM.
#[derive(Debug, Clone)]
pub struct BootLog {
    bytes: Vec<u8>,
}

impl BootLog {
    /// A firmware that measures nothing but its loader's start, and ends every boot PCR with a separator.
    pub fn of_firmware(tpm: &Swtpm) -> anyhow::Result<Self> {
        let mut log = Self { bytes: header() };
        log.action(tpm, "Calling EFI Application from Boot Option")?;
        for pcr in 0..BOOT_PCRS {
            log.measure(tpm, pcr, SEPARATOR, &[0; 4])?;
        }
        Ok(log)
    }

    /// Something that the loader does.
    pub fn action(&mut self, tpm: &Swtpm, text: &str) -> anyhow::Result<()> {
        self.measure(tpm, LOADER_PCR, EFI_ACTION, text.as_bytes())
    }

    /// The log as the kernel hands it out.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn measure(&mut self, tpm: &Swtpm, pcr: u8, kind: u32, data: &[u8]) -> anyhow::Result<()> {
        let digest: [u8; 32] = Sha256::digest(data).into();
        tpm.extend_pcr(pcr, digest)?;
        let log = &mut self.bytes;
        log.extend_from_slice(&u32::from(pcr).to_le_bytes());
        log.extend_from_slice(&kind.to_le_bytes());
        log.extend_from_slice(&1_u32.to_le_bytes());
        log.extend_from_slice(&SHA256.to_le_bytes());
        log.extend_from_slice(&digest);
        log.extend_from_slice(&u32::try_from(data.len())?.to_le_bytes());
        log.extend_from_slice(data);
        Ok(())
    }
}

/// `TCG_PCClientPCREvent` with the Spec ID event (TCG PC Client Platform Firmware Profile, section 10.4.5.1).
fn header() -> Vec<u8> {
    let mut spec = b"Spec ID Event03\0".to_vec();
    spec.extend_from_slice(&0_u32.to_le_bytes()); // platform class: client
    spec.extend_from_slice(&[0, 2, 0, 2]); // minor, major, errata, uintn in 4-byte units
    spec.extend_from_slice(&1_u32.to_le_bytes());
    spec.extend_from_slice(&SHA256.to_le_bytes());
    spec.extend_from_slice(&32_u16.to_le_bytes());
    spec.push(0); // no vendor information
    let mut log = 0_u32.to_le_bytes().to_vec();
    log.extend_from_slice(&NO_ACTION.to_le_bytes());
    log.extend_from_slice(&[0; 20]);
    log.extend_from_slice(&u32::try_from(spec.len()).unwrap_or(0).to_le_bytes());
    log.extend_from_slice(&spec);
    log
}
