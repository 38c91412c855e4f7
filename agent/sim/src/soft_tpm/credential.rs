//! `TPM2_ActivateCredential` (TPM 2.0 Library, Part 1, section 24): only the holder of the endorsement key reads the
//! secret, and only for the attestation key that it was made for.

use aws_lc_rs::cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::SoftTpmError;
use super::keys::EndorsementKey;

/// The label of a credential's seed. The NUL belongs to it (Part 1, section B.4).
const IDENTITY: &[u8] = b"IDENTITY\0";
/// Bytes of an AES-128 key, the cipher of template L-1.
const AES_BYTES: usize = 16;
/// Bytes of a SHA-256.
const HASH_BYTES: usize = 32;

/// Opens a credential. All that is wrong with one is one error, as a TPM has it.
pub(super) fn activate(
    ek: &EndorsementKey,
    ak_name: &[u8],
    blob: &[u8],
    encrypted: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SoftTpmError> {
    let mut buffer = Zeroizing::new(vec![0; ek.oaep.min_output_size()]);
    let seed: &[u8] = ek
        .oaep
        .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut buffer, Some(IDENTITY))
        .map_err(|_| SoftTpmError::Integrity)?;
    let (integrity, identity) = split(blob).ok_or(SoftTpmError::Integrity)?;

    let mut mac = keyed(&kdfa(seed, "INTEGRITY", &[], HASH_BYTES));
    mac.update(identity);
    mac.update(ak_name);
    mac.verify_slice(integrity).map_err(|_| SoftTpmError::Integrity)?;

    let mut plain = Zeroizing::new(identity.to_vec());
    UnboundCipherKey::new(&AES_128, &kdfa(seed, "STORAGE", ak_name, AES_BYTES))
        .and_then(DecryptingKey::cfb128)
        .and_then(|key| {
            // The IV is zero by specification; the key is used once.
            key.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from([0; 16]))).map(drop)
        })
        .map_err(|_| SoftTpmError::Crypto("decrypting a credential"))?;
    match split(&plain) {
        Some((secret, [])) => Ok(Zeroizing::new(secret.to_vec())),
        _ => Err(SoftTpmError::Integrity),
    }
}

/// The contents of the TPM2B that the bytes begin with, and the rest.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*size)))
}

/// KDFa (Part 1, section 11.4.10.2), one block: no key here is longer than the hash.
fn kdfa(key: &[u8], label: &str, context: &[u8], bytes: usize) -> Zeroizing<Vec<u8>> {
    let bits = u32::try_from(bytes.saturating_mul(8)).unwrap_or(u32::MAX);
    let mut mac = keyed(key);
    for part in [&1_u32.to_be_bytes()[..], label.as_bytes(), &[0], context, &bits.to_be_bytes()] {
        mac.update(part);
    }
    let mut block = Zeroizing::new(mac.finalize().into_bytes().to_vec());
    block.truncate(bytes);
    block
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length (RFC 2104 §2), so the error case does not exist.
    let Ok(mac) = Hmac::new_from_slice(key) else { unreachable!("HMAC keys have any length") };
    mac
}
