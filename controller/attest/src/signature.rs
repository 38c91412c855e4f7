//! `TPMT_SIGNATURE` (TPM 2.0 Library, Part 2, section 11.3.4) by an attestation key.

use crate::hash::HashAlg;
use crate::public::{Curve, KeyKind, Public, Scheme};
use crate::wire::{Reader, WireError};

const ALG_RSASSA: u16 = 0x0014;
const ALG_ECDSA: u16 = 0x0018;
const ALG_SHA256: u16 = 0x000b;

/// Largest RSA signature, in bytes: RSA-4096.
const MAX_RSA_BYTES: usize = 512;
/// Largest signature half read, in bytes. A P-256 number needs 32; some TPMs pad to their widest curve.
const MAX_NUMBER_BYTES: usize = 66;
/// Width of a P-256 number, in bytes.
const P256_BYTES: usize = 32;

/// Verifies that `ak` signed SHA-256 of `message`; `tpmt_signature` must hold that signature and nothing else.
///
/// Accepted are ECDSA on P-256 and RSASSA of 2048 bits or more, both with SHA-256, and only the one that the key itself
/// is bound to. Halves of an ECDSA signature may be padded or stripped of leading zeros. Both `s` and `n - s` verify:
/// a signature is evidence about its message, never an identifier.
pub fn verify(ak: &Public, message: &[u8], tpmt_signature: &[u8]) -> Result<(), SignatureError> {
    let expected = match (ak.key().kind(), ak.scheme()) {
        (KeyKind::Ecc(Curve::P256), Scheme::Ecdsa(HashAlg::Sha256)) => ALG_ECDSA,
        (KeyKind::Rsa { .. }, Scheme::RsaSsa(HashAlg::Sha256)) => ALG_RSASSA,
        _ => return Err(SignatureError::Key),
    };
    let mut r = Reader::new("TPMT_SIGNATURE", tpmt_signature);
    let algorithm = r.u16("sigAlg")?;
    let hash = r.u16("hash")?;
    if (algorithm, hash) != (expected, ALG_SHA256) {
        return Err(SignatureError::Algorithm { algorithm, hash });
    }
    if algorithm == ALG_RSASSA {
        let signature = r.sized("signature", MAX_RSA_BYTES)?;
        r.finish()?;
        check(ak, message, signature)
    } else {
        let (first, second) = (number(&mut r, "signatureR")?, number(&mut r, "signatureS")?);
        r.finish()?;
        check(ak, message, &[first, second].concat())
    }
}

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key cannot sign attestations; it would not have passed [`crate::rules::check_ak_public`].
    #[error("verifying a TPM signature: the key is bound to no accepted scheme")]
    Key,
    /// The header names another algorithm than the key is bound to.
    #[error("verifying a TPM signature: it claims algorithm {algorithm:#06x} with hash {hash:#06x}, not the key's")]
    Algorithm {
        /// `TPM_ALG_ID` of the signature scheme.
        algorithm: u16,
        /// `TPM_ALG_ID` of the hash.
        hash: u16,
    },
    /// A number of an ECDSA signature is zero or wider than the curve.
    #[error("verifying a TPM signature: {field} is outside 1 to n - 1")]
    Range {
        /// The number.
        field: &'static str,
    },
    /// The signature is not one of this message by this key.
    #[error("verifying a TPM signature: the key did not sign these bytes")]
    Invalid,
    /// Wrongly encoded.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// Reads a number and brings it to the curve's width; the crypto library checks that it is under n.
fn number(r: &mut Reader<'_>, field: &'static str) -> Result<[u8; P256_BYTES], SignatureError> {
    let bytes = r.sized(field, MAX_NUMBER_BYTES)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = bytes.get(zeros..).unwrap_or_default();
    let mut number = [0; P256_BYTES];
    match P256_BYTES.checked_sub(significant.len()).and_then(|padding| number.get_mut(padding..)) {
        Some(place) if !significant.is_empty() => place.copy_from_slice(significant),
        _ => return Err(SignatureError::Range { field }),
    }
    Ok(number)
}

fn check(ak: &Public, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    ak.verifier().verify_sig(message, signature).map_err(|_| SignatureError::Invalid)
}
