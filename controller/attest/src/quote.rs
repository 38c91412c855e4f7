//! The verdict over a quote: rules V3 to V12 of the attestation specification.
//!
//! Nothing is skipped and nothing is remembered here: the caller hands in what it expects and the clock of the last
//! quote that passed, and stores [`QuoteFacts::clock_state`] if, and only if, the verdict is a pass.

mod clock;
mod facts;
mod reason;

use std::collections::BTreeMap;

use subtle::ConstantTimeEq;

pub use facts::{ClockState, QuoteFacts};
pub use reason::Reason;

use crate::attest::{Attest, AttestError, Attested, AttestedSelection};
use crate::hash::sha256;
use crate::public::{Public, QualifiedName};
use crate::selection::Selection;
use crate::signature::{self, SignatureError};

/// Narrowest PCR bitmap of a PC Client TPM, in bytes (Part 2, section 10.6.2: at least PCRs 0 to 23).
const MIN_SELECT_BYTES: u8 = 3;

/// What the host sent.
#[derive(Debug, Clone, Copy)]
pub struct QuoteEvidence<'a> {
    /// `TPMS_ATTEST`, byte for byte as signed.
    pub attest: &'a [u8],
    /// `TPMT_SIGNATURE` over it.
    pub signature: &'a [u8],
    /// The PCR values that it claims to have quoted, ascending by index.
    pub pcr_values: &'a [(u8, [u8; 32])],
}

/// What the controller asked for and knows of the host. None of it comes from the evidence.
#[derive(Debug, Clone)]
pub struct QuoteExpectation<'a> {
    /// The attestation key on record.
    pub ak: &'a Public,
    /// Its Qualified Name, computed from the endorsement key on record.
    pub ak_qualified_name: &'a QualifiedName,
    /// The hash that binds nonce, host, certificate and channel.
    pub qualifying_data: [u8; 32],
    /// The PCRs asked for.
    pub selection: Selection,
    /// The clock of the last quote of this host that passed; none at enrolment.
    pub last: Option<ClockState>,
}

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds.
    Pass(QuoteFacts),
    /// The evidence is not what it must be; every reason that could be established, at least one.
    Fail(Vec<Reason>),
    /// Genuine, but the TPM itself says that it is too early to tell. Ask again in some seconds, and bound for how long.
    Retry(Reason),
}

/// Verifies a quote. Pure: same evidence and expectation, same verdict.
pub fn verify_quote(evidence: &QuoteEvidence<'_>, expected: &QuoteExpectation<'_>) -> Verdict {
    // Before the signature holds, no field means anything, so no further reason would be one.
    if let Err(error) = signature::verify(expected.ak, evidence.attest, evidence.signature) {
        return Verdict::Fail(vec![signature_reason(error)]);
    }
    let attest = match Attest::parse(evidence.attest) {
        Ok(attest) => attest,
        Err(error) => return Verdict::Fail(vec![attest_reason(error)]),
    };
    let Attested::Quote { selections, pcr_digest } = &attest.body else {
        return Verdict::Fail(vec![Reason::Type]);
    };

    let mut reasons = Vec::new();
    if attest.qualified_signer != expected.ak_qualified_name.as_bytes() {
        reasons.push(Reason::QualifiedSigner);
    }
    if !bool::from(attest.extra_data.ct_eq(&expected.qualifying_data)) {
        reasons.push(Reason::QualifyingData);
    }
    if !selects_exactly(selections, expected.selection) {
        reasons.push(Reason::Selection);
    }
    let pcrs = check_values(evidence.pcr_values, expected.selection, pcr_digest).unwrap_or_else(|reason| {
        reasons.push(reason);
        BTreeMap::new()
    });
    let now = ClockState::of(&attest);
    let epoch = clock::compare(&now, expected.last.as_ref(), &mut reasons);

    if !reasons.is_empty() {
        return Verdict::Fail(reasons);
    }
    if !attest.clock.safe {
        return Verdict::Retry(Reason::ClockUnsafe);
    }
    Verdict::Pass(QuoteFacts {
        clock: now.clock,
        reset_count: now.reset_count,
        restart_count: now.restart_count,
        safe: attest.clock.safe,
        firmware: now.firmware,
        pcrs,
        rebooted: epoch.rebooted,
        unseen_reboots: epoch.unseen_reboots,
        firmware_changed: epoch.firmware_changed,
    })
}

const fn signature_reason(error: SignatureError) -> Reason {
    match error {
        SignatureError::Key => Reason::SignatureKey,
        SignatureError::Algorithm { .. } => Reason::SignatureAlgorithm,
        SignatureError::Range { .. } | SignatureError::Invalid => Reason::Signature,
        SignatureError::Wire(_) => Reason::SignatureEncoding,
    }
}

const fn attest_reason(error: AttestError) -> Reason {
    match error {
        AttestError::Magic { .. } => Reason::Magic,
        AttestError::Type { .. } => Reason::Type,
        AttestError::Wire(_) => Reason::AttestEncoding,
    }
}

/// One entry, of the bank asked for, with the bits asked for and no other: an unallocated bank comes back as an empty
/// bitmap, and a bank may be listed twice.
fn selects_exactly(attested: &[AttestedSelection], asked: Selection) -> bool {
    let [one] = attested else { return false };
    one.bank == asked.bank().id() && one.select_bytes >= MIN_SELECT_BYTES && one.bitmap == asked.bitmap()
}

fn check_values(
    values: &[(u8, [u8; 32])],
    asked: Selection,
    pcr_digest: &[u8],
) -> Result<BTreeMap<u8, [u8; 32]>, Reason> {
    if !values.iter().map(|(index, _)| *index).eq(asked.indices()) {
        return Err(Reason::PcrValues);
    }
    let parts: Vec<&[u8]> = values.iter().map(|(_, value)| value.as_slice()).collect();
    if sha256(&parts) != pcr_digest {
        return Err(Reason::PcrDigest);
    }
    Ok(values.iter().copied().collect())
}
