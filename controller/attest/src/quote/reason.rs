//! Why a quote did not pass.

use std::fmt;

/// One reason against a quote. [`Reason::code`] is stable; `Display` is a sentence for people, without any value that
/// the host could use to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The key on record cannot sign attestations.
    SignatureKey,
    /// The signature structure is malformed.
    SignatureEncoding,
    /// The signature names another algorithm than the key's.
    SignatureAlgorithm,
    /// The key on record did not sign this attestation.
    Signature,
    /// The attestation is malformed.
    AttestEncoding,
    /// The signed bytes were not made by a TPM.
    Magic,
    /// The attestation is no quote.
    Type,
    /// The signing key is not the one under this endorsement key.
    QualifiedSigner,
    /// Made for another challenge, host, certificate or connection.
    QualifyingData,
    /// Other PCRs or another bank than asked for.
    Selection,
    /// The values sent are not exactly those of the selection.
    PcrValues,
    /// The values sent are not the ones quoted.
    PcrDigest,
    /// The firmware is older than at the last quote.
    FirmwareDowngrade,
    /// The TPM has rebooted fewer times than at the last quote.
    ResetRollback,
    /// Fewer restarts than before within the same boot.
    RestartRollback,
    /// The clock did not advance within the same boot.
    ClockNotAdvanced,
    /// The TPM does not yet vouch for its clock after a power loss.
    ClockUnsafe,
}

impl Reason {
    /// A stable code for wire, metrics and tests.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SignatureKey => "quote_signature_key",
            Self::SignatureEncoding => "quote_signature_encoding",
            Self::SignatureAlgorithm => "quote_signature_algorithm",
            Self::Signature => "quote_signature",
            Self::AttestEncoding => "quote_encoding",
            Self::Magic => "quote_magic",
            Self::Type => "quote_type",
            Self::QualifiedSigner => "quote_qualified_signer",
            Self::QualifyingData => "quote_qualifying_data",
            Self::Selection => "quote_selection",
            Self::PcrValues => "quote_pcr_values",
            Self::PcrDigest => "quote_pcr_digest",
            Self::FirmwareDowngrade => "quote_firmware_downgrade",
            Self::ResetRollback => "quote_reset_rollback",
            Self::RestartRollback => "quote_restart_rollback",
            Self::ClockNotAdvanced => "quote_clock_not_advanced",
            Self::ClockUnsafe => "quote_clock_unsafe",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignatureKey => "the attestation key on record is bound to no accepted signature scheme",
            Self::SignatureEncoding => "the signature is malformed or has bytes after its end",
            Self::SignatureAlgorithm => "the signature names another algorithm than the attestation key is bound to",
            Self::Signature => "the attestation key on record did not sign this quote",
            Self::AttestEncoding => "the quote is malformed or has bytes after its end",
            Self::Magic => "the signed bytes were not made by a TPM",
            Self::Type => "the attestation is not a quote",
            Self::QualifiedSigner => "the signing key does not live under the endorsement key on record",
            Self::QualifyingData => "the quote answers another challenge or was made for another connection",
            Self::Selection => "the quote covers other PCRs than were asked for",
            Self::PcrValues => "the PCR values sent are not exactly those asked for, in ascending order",
            Self::PcrDigest => "the PCR values sent are not the ones in the quote",
            Self::FirmwareDowngrade => "the TPM's firmware is older than at its last quote",
            Self::ResetRollback => "the TPM counts fewer reboots than at its last quote: a rollback or a clone",
            Self::RestartRollback => "the TPM counts fewer restarts than before within the same boot",
            Self::ClockNotAdvanced => "the TPM's clock did not advance since its last quote in the same boot",
            Self::ClockUnsafe => "the TPM does not vouch for its clock yet, as for some seconds after a power loss",
        })
    }
}
