//! The primitives that the exchanges' signatures are made of. Pure, and nothing here is printable.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD};
use flota_seal::secret::Secret;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::refusal::Unusable;

/// Some exchanges hand out secrets without padding, or with bits after the last byte (Kraken's own documentation does).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Length of an Ed25519 seed, and of a seed with its public key after it.
const SEED: usize = 32;
const SEED_AND_PUBLIC: usize = 64;

/// HMAC-SHA256 over parts that stand one after the other.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    mac(hmac::HMAC_SHA256, key, parts)
}

/// HMAC-SHA512 over parts that stand one after the other.
pub(super) fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    mac(hmac::HMAC_SHA512, key, parts)
}

/// SHA-256 over parts that stand one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// Padded standard Base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64 for URLs without padding, as in a JWT (RFC 7515 section 2).
pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key bytes of a secret that the exchange hands out as Base64. One that is not text at all was given as
/// `base64:` or `hex:` and is decoded already.
pub(super) fn from_base64(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let bytes = secret.expose();
    if !bytes.is_ascii() || bytes.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        return Ok(Zeroizing::new(bytes.to_vec()));
    }
    // The cause is dropped: it quotes the offending character, which is a part of the key.
    let decoded = LENIENT.decode(bytes.trim_ascii()).map_err(|_| Unusable {
        meaning: "the secret is not Base64, as this exchange's secrets are",
        remedy: "copy the secret anew, whole and without quotation marks, into the credentials file",
    })?;
    Ok(Zeroizing::new(decoded))
}

/// A private key that signs in place of an HMAC secret.
pub(super) enum PrivateKey {
    /// RFC 8032.
    Ed25519(Ed25519KeyPair),
    /// ECDSA over P-256 with SHA-256 (RFC 7518 section 3.4).
    Es256(EcdsaKeyPair),
}

impl PrivateKey {
    /// Whether a secret is a key in PEM rather than an HMAC secret.
    pub(super) fn is_pem(secret: &Secret) -> bool {
        secret.expose().trim_ascii_start().starts_with(b"-----BEGIN ")
    }

    /// Reads a key: PKCS#8 or SEC1 in PEM, also with `\n` spelt out as in environment variables; or Base64 of an Ed25519
    /// seed, perhaps with its public key behind it.
    pub(super) fn read(secret: &Secret) -> Result<Self, Unusable> {
        const UNREADABLE: Unusable = Unusable {
            meaning: "the secret is neither an Ed25519 nor a P-256 private key",
            remedy: "put the private key as it was downloaded (PEM, or Base64 of an Ed25519 key) into the credentials file",
        };
        if Self::is_pem(secret) {
            return Self::from_pem(secret).ok_or(UNREADABLE);
        }
        let bytes = from_base64(secret).map_err(|_| UNREADABLE)?;
        let pair = match bytes.len() {
            SEED => Ed25519KeyPair::from_seed_unchecked(&bytes),
            SEED_AND_PUBLIC => {
                let (seed, public) = bytes.split_at(SEED);
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
            _ => return Err(UNREADABLE),
        };
        pair.map(Self::Ed25519).map_err(|_| UNREADABLE)
    }

    fn from_pem(secret: &Secret) -> Option<Self> {
        let text = std::str::from_utf8(secret.expose()).ok()?;
        let text = Zeroizing::new(text.replace("\\n", "\n"));
        let ec = &ECDSA_P256_SHA256_FIXED_SIGNING;
        match PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let edwards = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519);
                edwards.or_else(|_| EcdsaKeyPair::from_pkcs8(ec, der).map(Self::Es256)).ok()
            }
            PrivateKeyDer::Sec1(der) => {
                EcdsaKeyPair::from_private_key_der(ec, der.secret_sec1_der()).map(Self::Es256).ok()
            }
            _ => None,
        }
    }

    /// The name of the algorithm in a JWT header.
    pub(super) fn jwt_name(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Es256(_) => "ES256",
        }
    }

    /// The signature: 64 bytes either way (for ES256 r and s, not DER).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unusable> {
        let no_randomness = |_| Unusable {
            meaning: "signing failed: this host has no randomness to give",
            remedy: "look at this host's kernel log",
        };
        match self {
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Es256(pair) => {
                pair.sign(&SystemRandom::new(), message).map(|s| s.as_ref().to_vec()).map_err(no_randomness)
            }
        }
    }
}

fn mac(algorithm: hmac::Algorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    for part in parts {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}
