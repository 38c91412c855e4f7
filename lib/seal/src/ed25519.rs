//! Ed25519 signatures (RFC 8032), checked only: Flota's signing keys live elsewhere.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

/// The signature is not that of this message under this key. Nothing more is known, so nothing more is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Ed25519 signature does not match")]
pub struct BadSignature;

/// Checks that `signature` is the Ed25519 signature of `message` under the raw public key `public` (RFC 8032 §5.1.7).
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032 §7.1, test 2.
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    #[test]
    fn the_vector_of_the_rfc_verifies_and_nothing_near_it_does() {
        let public: [u8; 32] = hex::decode(PUBLIC).unwrap().try_into().unwrap();
        let signature = hex::decode(SIGNATURE).unwrap();
        assert_eq!(verify(&public, &[0x72], &signature), Ok(()));

        assert_eq!(verify(&public, &[0x73], &signature), Err(BadSignature));
        assert_eq!(verify(&public, &[0x72], &signature[..63]), Err(BadSignature));
        assert_eq!(verify(&public, &[0x72], &[]), Err(BadSignature));
        assert_eq!(verify(&[0; 32], &[0x72], &signature), Err(BadSignature));
        let mut changed = signature.clone();
        changed[0] ^= 1;
        assert_eq!(verify(&public, &[0x72], &changed), Err(BadSignature));
    }
}
