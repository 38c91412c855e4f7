//! `TPM2_MakeCredential` in software (TPM 2.0 Library, Part 1, section 24 "Credential Protection").
//!
//! The secret can be recovered only by the TPM that holds both the endorsement key and the key with the given Name,
//! so whoever returns it has shown that the attestation key lives beside the endorsement key.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use zeroize::Zeroizing;

use crate::hash::NameAlg;
use crate::public::{Curve, Name, Public, PublicKey, Symmetric};

/// The label of a credential's seed. The NUL belongs to it (Part 1, section B.4 for OAEP, C.6.1 for ECDH).
const IDENTITY: &[u8] = b"IDENTITY\0";

/// Draws of an ephemeral P-256 or P-384 scalar before the generator is called broken. A draw is out of range with a
/// probability under 2^-31.
const MAX_SCALAR_DRAWS: usize = 8;

/// An encrypted secret.
///
/// Both fields are contents **without** the outer `TPM2B` size: the agent adds it where its library wants it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The contents of `TPM2B_ID_OBJECT`: `TPM2B(HMAC) || encrypted TPM2B(secret)`.
    pub credential_blob: Vec<u8>,
    /// The contents of `TPM2B_ENCRYPTED_SECRET`: an OAEP ciphertext (RSA EK) or a `TPMS_ECC_POINT` (ECC EK).
    pub encrypted_secret: Vec<u8>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// Encrypts `secret` so that only the TPM with endorsement key `ek` recovers it, and only while it holds the object
/// named `ak_name`.
///
/// `secret` is 1 byte to the digest size of the EK's name algorithm. Seed and ephemeral key come from `rng`; the OAEP
/// padding draws from the crypto library's own generator. Check the EK with [`crate::rules::check_ek_public`] first.
pub fn make_credential(
    ek: &Public,
    ak_name: &Name,
    secret: &[u8],
    rng: &dyn SecureRandom,
) -> Result<Credential, CredentialError> {
    if secret.is_empty() || secret.len() > ek.name_alg().size() {
        return Err(CredentialError::SecretSize { len: secret.len(), max: ek.name_alg().size() });
    }
    let (seed, encrypted_secret) = match ek.key() {
        PublicKey::Rsa { modulus } => rsa_seed(modulus, ek.name_alg(), rng)?,
        PublicKey::Ecc { curve, x, y } => ecc_seed(*curve, x, y, ek.name_alg(), rng)?,
    };
    let credential_blob = protect(ek, ak_name, secret, &seed)?;
    Ok(Credential { credential_blob, encrypted_secret })
}

/// Why no credential could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The caller's secret does not fit.
    #[error("making a credential: a secret of {len} bytes does not fit, 1 to {max} do")]
    SecretSize {
        /// Size of the secret.
        len: usize,
        /// Digest size of the EK's name algorithm.
        max: usize,
    },
    /// The EK is of no template: it has no AES cipher, or a hash without an OAEP counterpart.
    #[error("making a credential: the endorsement key has parameters of no supported template")]
    Unsupported,
    /// The random generator failed.
    #[error("making a credential: the random generator failed")]
    Random,
    /// The crypto library refused the key or the operation.
    #[error("making a credential: the crypto library refused the endorsement key")]
    Crypto,
}

type Seed = Zeroizing<Vec<u8>>;

fn rsa_seed(modulus: &[u8], hash: NameAlg, rng: &dyn SecureRandom) -> Result<(Seed, Vec<u8>), CredentialError> {
    let oaep = match hash {
        NameAlg::Sha256 => &OAEP_SHA256_MGF1SHA256,
        NameAlg::Sha384 => &OAEP_SHA384_MGF1SHA384,
        NameAlg::Sha512 => return Err(CredentialError::Unsupported),
    };
    let seed = random(hash.size(), rng)?;
    let key: PublicEncryptingKey =
        PublicKeyComponents { n: modulus, e: &[1_u8, 0, 1][..] }.try_into().map_err(|_| CredentialError::Crypto)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| CredentialError::Crypto)?;
    let mut ciphertext = vec![0; key.ciphertext_size()];
    let len = key.encrypt(oaep, &seed, &mut ciphertext, Some(IDENTITY)).map_err(|_| CredentialError::Crypto)?.len();
    ciphertext.truncate(len);
    Ok((seed, ciphertext))
}

/// One-pass Diffie-Hellman with an ephemeral key, then KDFe (Part 1, section C.6.1).
fn ecc_seed(
    curve: Curve,
    x: &[u8],
    y: &[u8],
    hash: NameAlg,
    rng: &dyn SecureRandom,
) -> Result<(Seed, Vec<u8>), CredentialError> {
    let algorithm = match curve {
        Curve::P256 => &ECDH_P256,
        Curve::P384 => &ECDH_P384,
    };
    let width = curve.coordinate_bytes();
    let ephemeral = ephemeral_key(algorithm, width, rng)?;
    let point = ephemeral.compute_public_key().map_err(|_| CredentialError::Crypto)?;
    let (ephemeral_x, ephemeral_y) = point
        .as_ref()
        .strip_prefix(&[0x04])
        .and_then(|coordinates| coordinates.split_at_checked(width))
        .ok_or(CredentialError::Crypto)?;

    let peer = UnparsedPublicKey::new(algorithm, PublicKey::sec1_point(x, y));
    let seed = agreement::agree(&ephemeral, peer, CredentialError::Crypto, |z| Ok(kdfe(hash, z, ephemeral_x, x)))?;
    Ok((seed, [tpm2b(ephemeral_x), tpm2b(ephemeral_y)].concat()))
}

fn ephemeral_key(
    algorithm: &'static agreement::Algorithm,
    width: usize,
    rng: &dyn SecureRandom,
) -> Result<PrivateKey, CredentialError> {
    for _ in 0..MAX_SCALAR_DRAWS {
        let scalar = random(width, rng)?;
        if let Ok(key) = PrivateKey::from_private_key(algorithm, &scalar) {
            return Ok(key);
        }
    }
    Err(CredentialError::Random)
}

/// Encrypt-then-MAC under keys derived from the seed (Part 1, sections 24.4 and 24.5).
fn protect(ek: &Public, ak_name: &Name, secret: &[u8], seed: &Seed) -> Result<Vec<u8>, CredentialError> {
    let hash = ek.name_alg();
    let (cipher, key_bytes) = match ek.symmetric() {
        Symmetric::Aes128Cfb => (&AES_128, 16),
        Symmetric::Aes256Cfb => (&AES_256, 32),
        Symmetric::Null => return Err(CredentialError::Unsupported),
    };
    let storage_key = kdfa(hash, seed, "STORAGE", ak_name.as_bytes(), key_bytes);
    let mut encrypted = tpm2b(secret);
    UnboundCipherKey::new(cipher, &storage_key)
        .and_then(EncryptingKey::cfb128)
        // The IV is zero by specification; the key is used once.
        .and_then(|key| key.less_safe_encrypt(&mut encrypted, EncryptionContext::Iv128(FixedLength::from([0; 16]))))
        .map_err(|_| CredentialError::Crypto)?;

    let hmac_key = kdfa(hash, seed, "INTEGRITY", &[], hash.size());
    let integrity = hash.hmac(&hmac_key, &[&encrypted, ak_name.as_bytes()]);
    Ok([tpm2b(&integrity), encrypted].concat())
}

/// KDFa (Part 1, section 11.4.10.2), one block: no key here is longer than the hash.
fn kdfa(hash: NameAlg, key: &[u8], label: &str, context_u: &[u8], bytes: usize) -> Zeroizing<Vec<u8>> {
    let bits = u32::try_from(bytes.saturating_mul(8)).unwrap_or(u32::MAX);
    let counter = 1_u32.to_be_bytes();
    let mut block = Zeroizing::new(hash.hmac(key, &[&counter, label.as_bytes(), &[0], context_u, &bits.to_be_bytes()]));
    block.truncate(bytes);
    block
}

/// KDFe (Part 1, section 11.4.10.3), one block: the seed is as long as the hash.
fn kdfe(hash: NameAlg, z: &[u8], ephemeral_x: &[u8], static_x: &[u8]) -> Seed {
    Zeroizing::new(hash.digest(&[&1_u32.to_be_bytes(), z, IDENTITY, ephemeral_x, static_x]))
}

fn random(len: usize, rng: &dyn SecureRandom) -> Result<Seed, CredentialError> {
    let mut bytes = Zeroizing::new(vec![0; len]);
    rng.fill(&mut bytes).map_err(|_| CredentialError::Random)?;
    Ok(bytes)
}

/// A `TPM2B` of a buffer that the caller knows to be short: a digest, a coordinate or a secret of at most 64 bytes.
fn tpm2b(bytes: &[u8]) -> Vec<u8> {
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&size.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests;
