//! The primitives behind every exchange's check. They verify only: nothing here makes a signature but the answer
//! headers of Bitstamp.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Sha256, Sha512};

/// Secrets are read leniently: the one that Kraken's futures guide prints lacks its padding and has trailing bits.
const SECRETS: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// What an SPKI of an Ed25519 key begins with (RFC 8410); 32 bytes follow.
pub(crate) const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What an SPKI of an uncompressed P-256 key begins with (RFC 5480); 65 bytes follow.
pub(crate) const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Whether `mac` is the HMAC-SHA256 of the parts, one after the other. An empty key signs nothing.
pub(crate) fn hmac_sha256_is(key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    !key.is_empty() && hmac_sha256(key, parts).is_some_and(|hmac| hmac.verify_slice(mac).is_ok())
}

/// Whether `mac` is the HMAC-SHA512 of the parts, one after the other. An empty key signs nothing.
pub(crate) fn hmac_sha512_is(key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    let Ok(mut hmac) = Hmac::<Sha512>::new_from_slice(key) else { return false };
    for part in parts {
        hmac.update(part);
    }
    !key.is_empty() && hmac.verify_slice(mac).is_ok()
}

/// As [`hmac_sha256_is`] for a signature sent as base64.
pub(crate) fn base64_hmac_sha256_is(key: &[u8], parts: &[&[u8]], mac: &str) -> bool {
    STANDARD.decode(mac).is_ok_and(|mac| hmac_sha256_is(key, parts, &mac))
}

/// The HMAC-SHA256 of the parts in lower-case hex.
pub(crate) fn hmac_sha256_hex(key: &[u8], parts: &[&[u8]]) -> String {
    hmac_sha256(key, parts).map(|hmac| hex::encode(hmac.finalize().into_bytes())).unwrap_or_default()
}

/// The bytes of a secret that is handed out as base64; none if it is not.
pub(crate) fn decoded_secret(secret: &str) -> Vec<u8> {
    SECRETS.decode(secret).unwrap_or_default()
}

/// Whether two passphrases are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in parts {
        hmac.update(part);
    }
    Some(hmac)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Ed25519,
    P256,
}

/// The public half of an account's key.
pub(crate) struct PublicKey {
    kind: KeyKind,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Reads an SPKI PEM of an Ed25519 or a P-256 key.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        let spki = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).ok()?;
        let (kind, bytes) = if let Some(bytes) = spki.strip_prefix(&ED25519_SPKI) {
            (KeyKind::Ed25519, bytes)
        } else {
            (KeyKind::P256, spki.strip_prefix(&P256_SPKI)?)
        };
        Some(Self { kind, bytes: bytes.to_vec() })
    }

    pub(crate) fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether the signature is right. One by P-256 is r and s, 64 bytes, as JSON Web Signatures have it (RFC 7518
    /// §3.4); DER is refused.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            KeyKind::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature).is_ok(),
            KeyKind::P256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.bytes).verify(message, signature).is_ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{ed25519_pem, vector};

    #[test]
    fn the_published_primitives_agree() {
        let kucoin = vector("kucoin", "sdk-signer-primitive");
        let secret = kucoin.text("secret").as_bytes();
        assert!(base64_hmac_sha256_is(secret, &[kucoin.string_to_sign().as_bytes()], kucoin.signature()));
        assert!(!base64_hmac_sha256_is(secret, &[b"other"], kucoin.signature()));
        assert!(!base64_hmac_sha256_is(b"", &[b""], "thNnmggU2ex3L5XXeMNfxf8Wl8STcVZTxscSFEKSxa0="));

        let fix = vector("binance-spot", "fix-logon-ed25519");
        let key = PublicKey::from_pem(&ed25519_pem(fix.text("private_key_pem"))).unwrap();
        let signature = STANDARD.decode(fix.signature()).unwrap();
        let separator = fix.input("string_to_sign_separator");
        assert!(key.verifies(fix.string_to_sign().as_bytes(), &signature), "{separator:?}");
    }

    #[test]
    fn what_is_no_public_key_is_none() {
        assert!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n").is_none());
        assert!(PublicKey::from_pem("").is_none());
    }
}
