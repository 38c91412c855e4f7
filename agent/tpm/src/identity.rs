//! Who the TPM is.

/// The public side of the TPM, as the controller wants it at enrolment. Nothing here is secret, and nothing is proof:
/// that is what the certificate chain, the credential and the attestations are for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Endorsement key by a template of the TCG EK Credential Profile: TPM2B_PUBLIC with its size.
    pub ek_public: Vec<u8>,
    /// Attestation key, restricted, ECDSA on P-256 or RSASSA with 2048 bits, both with SHA-256, child of the EK:
    /// TPM2B_PUBLIC with its size.
    pub ak_public: Vec<u8>,
    /// TLS key, ECDSA on P-256 with SHA-256, child of the EK: TPM2B_PUBLIC with its size.
    pub tls_public: Vec<u8>,
    /// Endorsement certificate of the key's NV index, DER without the index's padding.
    pub ek_certificate: Vec<u8>,
    /// Certificates between it and the vendor's root that the TPM keeps, DER; mostly none.
    pub ek_chain: Vec<Vec<u8>>,
    /// TPM_PT_MANUFACTURER as the text that it is: up to four characters of the TCG vendor registry. A software TPM
    /// says `IBM` here and something else in its certificate.
    pub manufacturer: String,
    /// TPM_PT_FIRMWARE_VERSION_1 and _2 as the one number that TPMS_ATTEST.firmwareVersion has.
    pub firmware_version: u64,
}

/// TPM2B_PUBLIC of a TPMT_PUBLIC. No public area comes near 64 KiB, so the size always fits.
pub(crate) fn tpm2b(public_area: &[u8]) -> Vec<u8> {
    let size = u16::try_from(public_area.len()).unwrap_or(u16::MAX);
    [&size.to_be_bytes(), public_area].concat()
}
