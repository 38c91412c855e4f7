//! What the TPM hands out, as bytes in the wire format of TPM 2.0 part 2.

use std::fmt;

use tss_esapi::structures::{Attest, Signature};
use tss_esapi::traits::Marshall as _;
use zeroize::Zeroizing;

use crate::TpmError;

/// A statement signed by the attestation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// TPMS_ATTEST: exactly the bytes that are signed.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE by the scheme of the attestation key.
    pub signature: Vec<u8>,
}

/// A quote, and the PCR values that its digest is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// TPMS_ATTEST: exactly the bytes that are signed.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE by the scheme of the attestation key.
    pub signature: Vec<u8>,
    /// Index and SHA-256 value of each quoted PCR, ascending. Only the digest over them is signed.
    pub pcr_values: Vec<(u8, [u8; 32])>,
}

/// The secret inside a credential: proof that this TPM holds both the endorsement and the attestation key.
///
/// Erased from memory when dropped, and absent from `Debug`.
pub struct ActivatedSecret(Zeroizing<Vec<u8>>);

impl ActivatedSecret {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Zeroizing::new(secret.to_vec()))
    }

    /// The bytes, for use as a MAC key.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ActivatedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivatedSecret(..)")
    }
}

impl Attestation {
    pub(crate) fn marshal(doing: &'static str, attest: &Attest, signature: &Signature) -> Result<Self, TpmError> {
        Ok(Self {
            attest: attest.marshall().map_err(TpmError::command(doing))?,
            signature: signature.marshall().map_err(TpmError::command(doing))?,
        })
    }
}
