//! The key that a host signs its own evidence with: Ed25519, made on first use, in a file that is the agent's alone.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use flota_seal::json::Json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// Bytes of the seed that a key is made from (RFC 8032 §5.1.5).
const SEED_BYTES: usize = 32;
/// Longest key file, in bytes; a real one has 69.
const MAX_KEY_BYTES: u64 = 1024;
/// Hexadecimal digits of a key's name: enough to tell the keys of a fleet apart.
const NAME_DIGITS: usize = 16;

/// The key. Its private half is not in `Debug`.
pub struct EvidenceKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceKeyError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds something else.
    #[error(
        "{} is not a key of evidence: restore it, or remove it and give the new public key to whoever checks evidence",
        .0.display()
    )]
    Damaged(PathBuf),
    /// The system gives no random numbers.
    #[error("making a key of evidence")]
    Random(#[source] io::Error),
}

impl EvidenceKey {
    /// The key in that file; if there is none, one made from this seed, which must be random. Two processes that make one
    /// at the same time get the same.
    ///
    /// # Errors
    /// [`EvidenceKeyError`].
    pub fn open(
        path: &Path,
        seed: impl FnOnce() -> io::Result<Zeroizing<[u8; SEED_BYTES]>>,
    ) -> Result<Self, EvidenceKeyError> {
        let text = if let Some(text) = private_file::read(path, MAX_KEY_BYTES)? {
            text
        } else {
            let seed = seed().map_err(EvidenceKeyError::Random)?;
            let text = Zeroizing::new(format!("hex:{}\n", *Zeroizing::new(hex::encode(*seed))));
            private_file::create_or_read(path, text.as_bytes(), MAX_KEY_BYTES)?
        };
        Self::parse(&text).ok_or_else(|| EvidenceKeyError::Damaged(path.to_owned()))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.trim_ascii().strip_prefix(b"hex:")?;
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        hex::decode_to_slice(digits, &mut *seed).ok()?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, public })
    }

    /// Its name in signatures and keyrings: from the public half, so that no two keys share one.
    pub fn id(&self) -> String {
        let digest = hex::encode(Sha256::digest(self.public));
        format!("flota-{}", digest.get(..NAME_DIGITS).unwrap_or_default())
    }

    /// The entry of a keyring that lets `check-tpm-status` and the bot verify what this key signs.
    pub fn keyring_entry(&self) -> Json {
        Json::object([(self.id(), Json::from(hex::encode(self.public)))])
    }

    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for EvidenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidenceKey").field("id", &self.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> io::Result<Zeroizing<[u8; SEED_BYTES]>> {
        panic!("the key is there")
    }

    /// RFC 8032 §7.1, test 2.
    #[test]
    fn a_key_signs_as_the_rfc_says_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/evidence-key");
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        let seed: [u8; SEED_BYTES] = seed.try_into().unwrap();
        let made = EvidenceKey::open(&path, || Ok(Zeroizing::new(seed))).unwrap();
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(made.keyring_entry(), Json::object([(made.id(), Json::from(public))]));
        assert!(hex::encode(made.sign(&[0x72])).starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8f"));

        let found = EvidenceKey::open(&path, never).unwrap();
        assert_eq!(found.public, made.public);
        assert!(!format!("{found:?}").contains("4ccd"), "{found:?}");
    }

    #[test]
    fn a_file_that_is_no_key_is_neither_used_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evidence-key");
        for text in ["", "hex:5ecre7", "hex:00", "base64:AAAA"] {
            private_file::create_or_read(&path, text.as_bytes(), MAX_KEY_BYTES).unwrap();
            let error = EvidenceKey::open(&path, never).unwrap_err();
            assert!(matches!(error, EvidenceKeyError::Damaged(_)) && !error.to_string().contains("5ecre7"), "{error}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
