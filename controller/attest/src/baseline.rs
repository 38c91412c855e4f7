//! The first policy: the PCR values that were approved, compared one by one.
//!
//! Default is deny: a PCR that was quoted but not approved is drift, and so is one that was approved but not quoted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::quote::QuoteFacts;
use crate::selection::{Bank, PCR_COUNT};

pub(crate) mod hex_digests;

/// Approved PCR values of one bank. Never empty: an empty policy would approve everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BaselineDocument", into = "BaselineDocument")]
pub struct Baseline {
    bank: Bank,
    pcrs: BTreeMap<u8, [u8; 32]>,
}

impl Baseline {
    /// A baseline of these values.
    pub fn new(bank: Bank, pcrs: BTreeMap<u8, [u8; 32]>) -> Result<Self, BaselineError> {
        match pcrs.last_key_value() {
            None => Err(BaselineError::Empty),
            Some((&index, _)) if index >= PCR_COUNT => Err(BaselineError::NoSuchPcr { index }),
            Some(_) => Ok(Self { bank, pcrs }),
        }
    }

    /// The bank that must be quoted.
    pub const fn bank(&self) -> Bank {
        self.bank
    }

    /// The approved values by index.
    pub const fn pcrs(&self) -> &BTreeMap<u8, [u8; 32]> {
        &self.pcrs
    }

    /// Every PCR in which a quote departs from the baseline, ascending; none if it agrees.
    ///
    /// The facts must come from a quote of this baseline's bank.
    pub fn compare(&self, facts: &QuoteFacts) -> Vec<PcrDrift> {
        let indices: BTreeSet<u8> = self.pcrs.keys().chain(facts.pcrs.keys()).copied().collect();
        let of = |index| PcrDrift {
            index,
            expected: self.pcrs.get(&index).copied(),
            actual: facts.pcrs.get(&index).copied(),
        };
        indices.into_iter().map(of).filter(|drift| drift.expected != drift.actual).collect()
    }
}

/// One PCR that departs from its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PcrDrift {
    /// The PCR.
    pub index: u8,
    /// The approved value; none if the PCR was quoted without being approved.
    pub expected: Option<[u8; 32]>,
    /// The quoted value; none if the PCR was approved but not quoted.
    pub actual: Option<[u8; 32]>,
}

/// Why values are no baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaselineError {
    /// No PCR at all.
    #[error("making a PCR baseline: it names no PCR and would approve everything")]
    Empty,
    /// An index over 23.
    #[error("making a PCR baseline: there is no PCR {index}, a TPM has 0 to 23")]
    NoSuchPcr {
        /// The index.
        index: u8,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineDocument {
    bank: Bank,
    #[serde(with = "hex_digests")]
    pcrs: BTreeMap<u8, [u8; 32]>,
}

impl TryFrom<BaselineDocument> for Baseline {
    type Error = BaselineError;

    fn try_from(document: BaselineDocument) -> Result<Self, BaselineError> {
        Self::new(document.bank, document.pcrs)
    }
}

impl From<Baseline> for BaselineDocument {
    fn from(baseline: Baseline) -> Self {
        Self { bank: baseline.bank, pcrs: baseline.pcrs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pcrs: &[(u8, u8)]) -> QuoteFacts {
        QuoteFacts {
            clock: 1,
            reset_count: 1,
            restart_count: 0,
            safe: true,
            firmware: 1,
            pcrs: pcrs.iter().map(|(index, byte)| (*index, [*byte; 32])).collect(),
            rebooted: false,
            unseen_reboots: 0,
            firmware_changed: false,
        }
    }

    #[test]
    fn names_every_departure_and_skips_no_pcr() {
        let baseline = Baseline::new(Bank::Sha256, facts(&[(0, 1), (4, 2), (7, 3)]).pcrs).unwrap();
        assert_eq!(baseline.compare(&facts(&[(0, 1), (4, 2), (7, 3)])), []);
        let drift = |index, expected: Option<u8>, actual: Option<u8>| PcrDrift {
            index,
            expected: expected.map(|byte| [byte; 32]),
            actual: actual.map(|byte| [byte; 32]),
        };
        assert_eq!(
            baseline.compare(&facts(&[(0, 1), (4, 9), (11, 5)])),
            [drift(4, Some(2), Some(9)), drift(7, Some(3), None), drift(11, None, Some(5))]
        );
    }

    #[test]
    fn a_document_comes_back_as_it_was_and_an_empty_one_is_refused() {
        let baseline = Baseline::new(Bank::Sha256, facts(&[(7, 3)]).pcrs).unwrap();
        let json = serde_json::to_string(&baseline).unwrap();
        assert_eq!(json, format!(r#"{{"bank":"sha256","pcrs":{{"7":"{}"}}}}"#, "03".repeat(32)));
        assert_eq!(serde_json::from_str::<Baseline>(&json).unwrap(), baseline);
        for refused in [r#"{"bank":"sha256","pcrs":{}}"#, r#"{"bank":"sha1","pcrs":{"7":"00"}}"#] {
            assert!(serde_json::from_str::<Baseline>(refused).is_err());
        }
        assert_eq!(Baseline::new(Bank::Sha256, facts(&[(24, 0)]).pcrs), Err(BaselineError::NoSuchPcr { index: 24 }));
    }
}
