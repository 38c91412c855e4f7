//! Why a document is no policy, or not one for this fleet. Whoever wrote it can mend it.

use super::{MAX_DIGESTS_OF_RULE, MAX_NAME_BYTES, MAX_NOTE_CHARS, MAX_POLICY_BYTES, SCHEMA};
use crate::event_log::text;

/// Why a policy was refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Over [`MAX_POLICY_BYTES`].
    #[error("reading a policy: it has {len} bytes where {MAX_POLICY_BYTES} are allowed")]
    TooLarge {
        /// Its size in bytes.
        len: usize,
    },
    /// Not the JSON of a policy, or a field that there is none of.
    #[error("reading a policy: it is not a document of this schema")]
    Json(#[source] serde_json::Error),
    /// Another schema.
    #[error("reading a policy: its schema is not {SCHEMA}")]
    Schema,
    /// A name that is empty, too long or has other characters than those of file names.
    #[error("reading a policy: a name has 1 to {MAX_NAME_BYTES} characters of a-z, 0-9, '.', '_' and '-'")]
    Name,
    /// A text that is too long or has characters that cannot be seen.
    #[error("reading a policy: {field} has more than {MAX_NOTE_CHARS} characters, or some that cannot be seen")]
    Text {
        /// Which one.
        field: &'static str,
    },
    /// No PCR at all: it would approve everything (case 69).
    #[error("reading a policy: it names no PCR and would approve everything")]
    NoPcrs,
    /// An index over 23.
    #[error("reading a policy: there is no PCR {pcr}, a TPM has 0 to 23")]
    NoSuchPcr {
        /// The index.
        pcr: u8,
    },
    /// Not exactly one rule.
    #[error("reading a policy: PCR {pcr} needs exactly one of allow, events and ignore")]
    RuleShape {
        /// The PCR.
        pcr: u8,
    },
    /// `require_all` outside an `events` rule.
    #[error("reading a policy: require_all of PCR {pcr} belongs to an events rule")]
    RequireAll {
        /// The PCR.
        pcr: u8,
    },
    /// A rule that lists nothing.
    #[error("reading a policy: the rule of PCR {pcr} lists no digest; say ignore, and why, if nothing is asked of it")]
    EmptyRule {
        /// The PCR.
        pcr: u8,
    },
    /// Over [`MAX_DIGESTS_OF_RULE`].
    #[error("reading a policy: the rule of PCR {pcr} lists more than {MAX_DIGESTS_OF_RULE} digests")]
    LongRule {
        /// The PCR.
        pcr: u8,
    },
    /// An ignored PCR without a reason.
    #[error("reading a policy: PCR {pcr} is ignored without a reason; say why")]
    NoReason {
        /// The PCR.
        pcr: u8,
    },
    /// Something that is not 64 hexadecimal digits.
    #[error("reading a policy: PCR {pcr} has a digest that is not 64 hexadecimal digits")]
    Digest {
        /// The PCR.
        pcr: u8,
    },
    /// The same digest twice: which of its notes holds?
    #[error("reading a policy: PCR {pcr} lists {} twice", text::short(digest))]
    DigestRepeated {
        /// The PCR.
        pcr: u8,
        /// The digest.
        digest: [u8; 32],
    },
    /// An approved set of firmware without a version.
    #[error("reading a policy: firmware lists no version; leave it out if every one is approved")]
    NoFirmware,
    /// Secure Boot is required and PCR 7, which tells of it, is not named.
    #[error("reading a policy: Secure Boot is told by PCR 7; name that PCR, or do not require it")]
    SecureBootPcr,
    /// For another bank than the fleet quotes.
    #[error("checking a policy against what the fleet quotes: it is for another bank")]
    Bank,
    /// The fleet quotes a PCR that the policy does not name (case 68).
    #[error("checking a policy against what the fleet quotes: PCR {pcr} is not named; every quoted PCR must be")]
    PcrNotNamed {
        /// The PCR.
        pcr: u8,
    },
    /// The policy names a PCR that the fleet does not quote.
    #[error("checking a policy against what the fleet quotes: PCR {pcr} is named and not quoted")]
    PcrNotSelected {
        /// The PCR.
        pcr: u8,
    },
}
