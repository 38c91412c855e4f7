//! What a host says of its newest update, to be carried to a controller that it does not reach.

use serde::{Deserialize, Serialize};

use crate::update::UpdateReport;
use crate::{Digest, HostId, RolloutId, Timestamp};

/// Says what is signed, so that this signature is good for nothing else that the host's key signs.
const CONTEXT: &[u8] = b"flota update receipt 1\0";

/// A claim, as a report over a session is: what the host runs is confirmed by a quote and by nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Whose.
    pub host: HostId,
    /// When, by the host's clock, in microseconds since 1970.
    pub made_at: Timestamp,
    /// Where it stands.
    pub report: UpdateReport,
    /// Who asked for the update.
    pub rollout: RolloutId,
    /// SHA-256 of the security export that was made before it, if that is known.
    pub export: Option<Digest>,
}

/// A receipt and the signature of the host's key over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedReceipt {
    /// The receipt, as the very text that was signed.
    pub receipt: String,
    /// The host's key: SubjectPublicKeyInfo, DER, hex.
    pub public_key: String,
    /// ECDSA on P-256 with SHA-256 over [`SealedReceipt::message`]: ECDSA-Sig-Value, DER, hex.
    pub signature: String,
}

impl SealedReceipt {
    /// What is signed of a receipt with this text.
    pub fn message(receipt: &str) -> Vec<u8> {
        [CONTEXT, receipt.as_bytes()].concat()
    }
}
