//! ECDSA on P-256 with SHA-256 (FIPS 186-5), checked only: hosts sign with keys that stay in their TPM.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

/// DER of a SubjectPublicKeyInfo up to the point: id-ecPublicKey, prime256v1, BIT STRING (RFC 5480 §2).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The signature is not that of this message under this key, or the key is none. Nothing more is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ECDSA signature does not match")]
pub struct BadSignature;

/// Checks that `signature` (ECDSA-Sig-Value, DER) is that of `message` under the key whose SubjectPublicKeyInfo `spki` is.
pub fn verify(spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    let point = spki.strip_prefix(&SPKI_PREFIX).ok_or(BadSignature)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn a_signature_verifies_under_its_key_and_nothing_near_it_does() {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        let spki = [&SPKI_PREFIX[..], key.public_key().as_ref()].concat();
        let signature = key.sign(&random, b"message").unwrap();
        assert_eq!(verify(&spki, b"message", signature.as_ref()), Ok(()));
        assert_eq!(verify(&spki, b"another", signature.as_ref()), Err(BadSignature));
        assert_eq!(verify(&spki[1..], b"message", signature.as_ref()), Err(BadSignature));
        assert_eq!(verify(&spki[..spki.len() - 1], b"message", signature.as_ref()), Err(BadSignature));
        assert_eq!(verify(&[], b"message", &[]), Err(BadSignature));
    }
}
