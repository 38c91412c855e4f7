//! Which PCRs were asked for: one bank and a normalised set of indices.
//!
//! A quote signs a selection and a digest, never PCR values. Whoever does not compare the attested selection with the
//! one asked for accepts PCR 16, which anybody can reset, as PCR 0 (CVE-2024-29039, CVE-2022-0317).

use serde::{Deserialize, Serialize};

/// Number of PCRs of a PC Client TPM (TCG PC Client Platform TPM Profile 1.05, section 4.6).
pub const PCR_COUNT: u8 = 24;

/// A PCR bank that may be quoted. Its digests are 32 bytes; SHA-1 is deliberately no member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Bank {
    /// The SHA-256 bank.
    Sha256,
}

impl Bank {
    /// The `TPM_ALG_ID` that names the bank in a selection.
    pub const fn id(self) -> u16 {
        match self {
            Self::Sha256 => 0x000b,
        }
    }
}

/// One bank and at least one PCR of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    bank: Bank,
    bitmap: u64,
}

impl Selection {
    /// The given PCRs of a bank; order and repetition do not matter.
    pub fn new(bank: Bank, indices: impl IntoIterator<Item = u8>) -> Result<Self, SelectionError> {
        let mut bitmap = 0;
        for index in indices {
            if index >= PCR_COUNT {
                return Err(SelectionError::NoSuchPcr { index });
            }
            bitmap |= bit(index);
        }
        if bitmap == 0 { Err(SelectionError::Empty) } else { Ok(Self { bank, bitmap }) }
    }

    /// The bank.
    pub const fn bank(&self) -> Bank {
        self.bank
    }

    /// The set as a number whose bit `i` stands for PCR `i`.
    pub const fn bitmap(&self) -> u64 {
        self.bitmap
    }

    /// The selected indices, ascending: the order in which a TPM digests their values.
    pub fn indices(&self) -> impl Iterator<Item = u8> + '_ {
        (0..PCR_COUNT).filter(|index| self.bitmap & bit(*index) != 0)
    }
}

/// A selection that cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// No PCR was named: a quote over nothing proves nothing.
    #[error("selecting PCRs: none was named; name at least one")]
    Empty,
    /// The index is over 23.
    #[error("selecting PCR {index}: a TPM has PCRs 0 to 23")]
    NoSuchPcr {
        /// The index asked for.
        index: u8,
    },
}

const fn bit(index: u8) -> u64 {
    match 1_u64.checked_shl(index as u32) {
        Some(bit) => bit,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_come_out_sorted_and_once() {
        let selection = Selection::new(Bank::Sha256, [7, 0, 7, 23]).unwrap();
        assert_eq!(selection.indices().collect::<Vec<_>>(), [0, 7, 23]);
        assert_eq!(selection.bitmap(), 1 | 1 << 7 | 1 << 23);
    }

    #[test]
    fn refuses_nothing_and_what_does_not_exist() {
        assert_eq!(Selection::new(Bank::Sha256, []), Err(SelectionError::Empty));
        assert_eq!(Selection::new(Bank::Sha256, [24]), Err(SelectionError::NoSuchPcr { index: 24 }));
        assert_eq!(Selection::new(Bank::Sha256, [255]), Err(SelectionError::NoSuchPcr { index: 255 }));
    }
}
