//! The TLS key as rustls and rcgen want it: a signer whose key never leaves the TPM.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::sign::{Signer, SigningKey};
use rustls::{OtherError, SignatureAlgorithm, SignatureScheme};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Handle, RuntimeFlavor};
use tss_esapi::structures::Public;
use tss_esapi::traits::UnMarshall as _;

use crate::owner::Owner;
use crate::{TpmError, commands};

/// ECDSA on P-256 with SHA-256, in the TPM.
///
/// Signing blocks for as long as the TPM takes: under a millisecond for a software TPM, up to a second for hardware.
/// On a multi-threaded tokio runtime the other tasks of the worker are moved away first (not possible, and refused
/// by tokio with a panic, inside a `LocalSet`); on a current-thread runtime everything else waits.
#[derive(Clone)]
pub struct TlsKey {
    owner: Arc<Owner>,
    spki: [u8; SPKI_PREFIX.len() + POINT],
}

/// Uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
const POINT: usize = 65;
/// DER of a SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1, BIT STRING (RFC 5480, section 2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl TlsKey {
    /// `public` is the key's TPM2B_PUBLIC.
    pub(crate) fn new(owner: Arc<Owner>, public: &[u8]) -> Result<Self, TpmError> {
        const DOING: &str = "reading the TLS key";
        let unexpected = TpmError::Unexpected { doing: DOING };
        let area = public.get(2..).unwrap_or_default();
        let public = Public::unmarshall(area).map_err(TpmError::command(DOING))?;
        let Public::Ecc { unique, .. } = public else { return Err(unexpected) };
        let (Some(x), Some(y)) = (padded(unique.x().value()), padded(unique.y().value())) else {
            return Err(unexpected);
        };
        let spki = [&SPKI_PREFIX[..], &[0x04], &x, &y].concat();
        Ok(Self { owner, spki: spki.try_into().map_err(|_| unexpected)? })
    }

    /// Signs SHA-256 of `message`; returns the DER form of ECDSA-Sig-Value (RFC 3279, 2.2.3).
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TpmError> {
        let digest: [u8; 32] = Sha256::digest(message).into();
        let signature = blocking(|| {
            self.owner.call("signing with the TLS key", move |device| {
                device.run(|connection| commands::sign(connection, digest))
            })
        })?;
        Ok(ecdsa_sig_value(signature.signature_r().value(), signature.signature_s().value()))
    }

    /// The SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKey(P-256 in the TPM)")
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.spki.as_slice()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Self::sign(self, message).map_err(|error| rustls::Error::Other(OtherError(Arc::new(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

impl rcgen::PublicKeyData for TlsKey {
    fn der_bytes(&self) -> &[u8] {
        self.spki.get(SPKI_PREFIX.len()..).unwrap_or_default()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Self::sign(self, message).map_err(|error| {
            // The one place where an error is logged and returned: rcgen's has no room for the cause.
            tracing::error!(error = &error as &dyn std::error::Error, "signing a certificate request in the TPM");
            rcgen::Error::RemoteKeyError
        })
    }
}

fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        // Panics on the other flavour.
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Left-padded to the size of the field. TPMs may strip leading zeros.
fn padded(coordinate: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [0; 32];
    let start = padded.len().checked_sub(coordinate.len())?;
    padded.get_mut(start..)?.copy_from_slice(coordinate);
    Some(padded)
}

fn ecdsa_sig_value(r: &[u8], s: &[u8]) -> Vec<u8> {
    let body = [der_integer(r), der_integer(s)].concat();
    [&[0x30, der_length(&body)], &body[..]].concat()
}

/// Shortest form of a non-negative INTEGER (X.690, 8.3).
fn der_integer(big_endian: &[u8]) -> Vec<u8> {
    let leading = big_endian.iter().take_while(|byte| **byte == 0).count();
    let digits = big_endian.get(leading..).unwrap_or_default();
    // A leading zero keeps the sign bit clear, and stands for the number zero.
    let sign: &[u8] = if digits.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    let value = [sign, digits].concat();
    [&[0x02, der_length(&value)], &value[..]].concat()
}

/// At most 2 + 33 + 2 + 33 = 70 bytes, so the short form always does.
fn der_length(content: &[u8]) -> u8 {
    u8::try_from(content.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_their_shortest_form() {
        assert_eq!(der_integer(&[0, 0, 1]), [0x02, 1, 1]);
        assert_eq!(der_integer(&[0x80]), [0x02, 2, 0, 0x80]);
        assert_eq!(der_integer(&[0x7F, 0xFF]), [0x02, 2, 0x7F, 0xFF]);
        assert_eq!(der_integer(&[0, 0]), [0x02, 1, 0]);
        assert_eq!(ecdsa_sig_value(&[1], &[0xFF]), [0x30, 7, 0x02, 1, 1, 0x02, 2, 0, 0xFF]);
    }

    #[test]
    fn coordinates_are_padded_and_never_cut() {
        assert_eq!(padded(&[1; 32]), Some([1; 32]));
        assert_eq!(padded(&[1]).map(|bytes| (bytes[0], bytes[31])), Some((0, 1)));
        assert_eq!(padded(&[1; 33]), None);
    }
}
