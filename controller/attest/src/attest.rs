//! `TPMS_ATTEST` of `TPM2_Quote` and `TPM2_Certify` (TPM 2.0 Library, Part 2, section 10.12).
//!
//! A parsed attestation is still a claim: verify the signature over the raw bytes before believing a field.

use crate::wire::{Reader, WireError};

/// `TPM_GENERATED_VALUE`: what a restricted key signs starts with it only if the TPM made it.
pub const MAGIC: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_CERTIFY`.
pub const TYPE_CERTIFY: u16 = 0x8017;
/// `TPM_ST_ATTEST_QUOTE`.
pub const TYPE_QUOTE: u16 = 0x8018;

/// Largest Name: a SHA-512 digest and its algorithm identifier, in bytes.
const MAX_NAME_BYTES: usize = 66;
/// Largest `TPM2B_DATA`: a `TPMT_HA` of SHA-512, in bytes.
const MAX_DATA_BYTES: usize = 66;
/// Largest digest, in bytes.
const MAX_DIGEST_BYTES: usize = 64;
/// Most banks in a selection; no TPM implements more hashes (Part 2, `TPML_PCR_SELECTION`).
const MAX_BANKS: u32 = 16;
/// Widest PCR bitmap read, in bytes. PC Client TPMs send 3.
const MAX_SELECT_BYTES: usize = 8;

/// An attestation, borrowed from the bytes it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attest<'a> {
    /// Qualified Name of the signing key.
    pub qualified_signer: &'a [u8],
    /// The qualifying data the caller gave to the TPM.
    pub extra_data: &'a [u8],
    /// The TPM's clock.
    pub clock: ClockInfo,
    /// Vendor's firmware version.
    pub firmware_version: u64,
    /// What was attested.
    pub body: Attested<'a>,
}

/// `TPMS_CLOCK_INFO` (Part 2, section 10.11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds the TPM has been powered.
    pub clock: u64,
    /// TPM Resets (reboots) since the owner was last cleared.
    pub reset_count: u32,
    /// Resumes and restarts since the last TPM Reset.
    pub restart_count: u32,
    /// Whether no higher `clock` was ever reported. No for some seconds after a power loss.
    pub safe: bool,
}

/// The attested part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attested<'a> {
    /// `TPMS_QUOTE_INFO`.
    Quote {
        /// The PCRs that were digested, bank by bank, as the TPM encoded them.
        selections: Vec<AttestedSelection>,
        /// Digest of their values.
        pcr_digest: &'a [u8],
    },
    /// `TPMS_CERTIFY_INFO`.
    Certify {
        /// Name of the certified object.
        name: &'a [u8],
        /// Qualified Name of the certified object.
        qualified_name: &'a [u8],
    },
}

/// One `TPMS_PCR_SELECTION` as attested, whatever it selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestedSelection {
    /// `TPM_ALG_ID` of the bank.
    pub bank: u16,
    /// Bytes in the bitmap.
    pub select_bytes: u8,
    /// Bit `i` stands for PCR `i`.
    pub bitmap: u64,
}

impl<'a> Attest<'a> {
    /// Parses a `TPMS_ATTEST` that must end with its last field.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, AttestError> {
        let mut r = Reader::new("TPMS_ATTEST", bytes);
        let magic = r.u32("magic")?;
        if magic != MAGIC {
            return Err(AttestError::Magic { found: magic });
        }
        let kind = r.u16("type")?;
        if kind != TYPE_QUOTE && kind != TYPE_CERTIFY {
            return Err(AttestError::Type { found: kind });
        }
        let qualified_signer = r.sized("qualifiedSigner", MAX_NAME_BYTES)?;
        let extra_data = r.sized("extraData", MAX_DATA_BYTES)?;
        let clock = ClockInfo::read(&mut r)?;
        let firmware_version = r.u64("firmwareVersion")?;
        let body = if kind == TYPE_QUOTE { Attested::read_quote(&mut r)? } else { Attested::read_certify(&mut r)? };
        r.finish()?;
        Ok(Self { qualified_signer, extra_data, clock, firmware_version, body })
    }
}

impl ClockInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            clock: r.u64("clockInfo.clock")?,
            reset_count: r.u32("clockInfo.resetCount")?,
            restart_count: r.u32("clockInfo.restartCount")?,
            safe: match r.u8("clockInfo.safe")? {
                0 => false,
                1 => true,
                other => return Err(r.unsupported("clockInfo.safe", other)),
            },
        })
    }
}

impl<'a> Attested<'a> {
    fn read_quote(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let count = r.u32("pcrSelect.count")?;
        if count > MAX_BANKS {
            return Err(r.unsupported("pcrSelect.count", count));
        }
        let selections = (0..count).map(|_| AttestedSelection::read(r)).collect::<Result<_, _>>()?;
        let pcr_digest = r.sized("pcrDigest", MAX_DIGEST_BYTES)?;
        Ok(Self::Quote { selections, pcr_digest })
    }

    fn read_certify(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let name = r.sized("certify.name", MAX_NAME_BYTES)?;
        let qualified_name = r.sized("certify.qualifiedName", MAX_NAME_BYTES)?;
        Ok(Self::Certify { name, qualified_name })
    }
}

impl AttestedSelection {
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let bank = r.u16("pcrSelect.hash")?;
        let select_bytes = r.u8("pcrSelect.sizeofSelect")?;
        if usize::from(select_bytes) > MAX_SELECT_BYTES {
            return Err(r.unsupported("pcrSelect.sizeofSelect", select_bytes));
        }
        // The first byte holds PCRs 0 to 7, so the bitmap is little-endian.
        let bytes = r.bytes("pcrSelect.pcrSelect", usize::from(select_bytes))?;
        let bitmap = bytes.iter().rev().fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
        Ok(Self { bank, select_bytes, bitmap })
    }
}

/// Why bytes are no attestation that this verifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestError {
    /// The signed bytes were not made by a TPM as an attestation.
    #[error("reading TPMS_ATTEST sent by the host: its magic is {found:#010x}, not TPM_GENERATED")]
    Magic {
        /// The value in its place.
        found: u32,
    },
    /// Some other kind of attestation.
    #[error("reading TPMS_ATTEST sent by the host: its type {found:#06x} is neither quote nor certify")]
    Type {
        /// The type.
        found: u16,
    },
    /// Wrongly encoded.
    #[error(transparent)]
    Wire(#[from] WireError),
}
