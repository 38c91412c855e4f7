//! Platform configuration registers of the SHA-256 bank.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::SoftTpmError;

/// How many there are on a PC Client TPM.
pub const PCRS: usize = 24;
/// Bytes of a selection of them.
pub(super) const BITMAP_BYTES: u8 = 3;

/// All of them.
#[derive(Debug)]
pub(super) struct Pcrs([[u8; 32]; PCRS]);

/// As at power-on: those of a dynamic launch, 17 to 22, hold ones until there is one (PC Client Platform TPM Profile,
/// section 4.6.2).
impl Default for Pcrs {
    fn default() -> Self {
        let mut values = [[0; 32]; PCRS];
        for value in values.iter_mut().take(23).skip(17) {
            *value = [0xff; 32];
        }
        Self(values)
    }
}

impl Pcrs {
    /// Becomes the digest of what it was and of `digest`.
    pub(super) fn extend(&mut self, index: u8, digest: [u8; 32]) -> Result<(), SoftTpmError> {
        let value = self.0.get_mut(usize::from(index)).ok_or(SoftTpmError::NoSuchPcr(index))?;
        *value = Sha256::new().chain_update(*value).chain_update(digest).finalize().into();
        Ok(())
    }

    /// Those of these indices, ascending, each once.
    pub(super) fn select(&self, indices: &[u8]) -> Result<Vec<(u8, [u8; 32])>, SoftTpmError> {
        let indices: BTreeSet<u8> = indices.iter().copied().collect();
        indices
            .into_iter()
            .map(|index| {
                let value = self.0.get(usize::from(index)).ok_or(SoftTpmError::NoSuchPcr(index))?;
                Ok((index, *value))
            })
            .collect()
    }
}
