//! TPM evidence (manual §3): does this file prove that this host is the one the licence is for?
//!
//! Whatever is wrong becomes a finding in the report, never an error: a runbook needs a status in every case. The bot's script says
//! `ok` for evidence that proves nothing; here `ok` needs a verified signature, unexpired evidence and a full fingerprint match.

mod codes;
mod document;
mod keyring;
mod licensed;
mod live;
mod report;
mod signer;
mod standing;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flota_seal::ed25519;
use jiff::{SignedDuration, Timestamp};

pub use document::{Evidence, EvidenceError};
pub use keyring::{Keyring, KeyringError};
pub use live::{LivePayload, LiveProof};
pub use report::{EvidenceReport, EvidenceStatus, Finding, Gravity, Trust};
pub use signer::{EvidenceKey, EvidenceKeyError};
pub use standing::{Standing, StandingRequest, standing};

use crate::causes;
use crate::licence::LicenceKeys;
use crate::licence::revocation::RevocationCheck;
use licensed::Licensed;

/// Largest evidence or keyring file, in bytes; real ones have a few kilobytes.
pub const MAX_EVIDENCE_BYTES: u64 = 1 << 20;

/// How far in the future evidence may be attested before the report warns: clocks differ.
pub const ATTESTED_AT_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Which evidence to check, and against what.
#[derive(Clone, Copy)]
pub struct EvidenceRequest<'a> {
    /// The evidence file.
    pub evidence: &'a Path,
    /// The fingerprint that the host must have. Without one, that of the licence is expected.
    pub expected_fingerprint: Option<&'a str>,
    /// The public keys: the path of a keyring file, or its JSON.
    pub keyring: Option<&'a str>,
    /// The licence that the host must be the one of.
    pub licence: Option<&'a Path>,
    /// Keys to prove the licence with. Without them, the report warns that nothing proves it.
    pub licence_keys: Option<&'a LicenceKeys>,
    /// The issuer's list of revoked licences.
    pub revocations: Option<RevocationCheck<'a>>,
    /// Where the last accepted licence is remembered.
    pub memory: Memory<'a>,
    /// The time at which evidence and licence must be in force.
    pub now: Timestamp,
}

/// Whether licences are held against the last accepted one.
#[derive(Clone, Copy, Debug, Default)]
pub enum Memory<'a> {
    /// They are not, and nothing is written.
    #[default]
    None,
    /// By what the installation with this root remembers; see [`crate::licence_state`].
    Installation(&'a Path),
}

impl<'a> EvidenceRequest<'a> {
    /// Evidence alone: no keys, no licence, nothing remembered.
    pub fn new(evidence: &'a Path, now: Timestamp) -> Self {
        Self {
            evidence,
            expected_fingerprint: None,
            keyring: None,
            licence: None,
            licence_keys: None,
            revocations: None,
            memory: Memory::None,
            now,
        }
    }
}

/// Checks an evidence file, and the licence with it. A licence that is proved is remembered as accepted if the status is `ok`.
pub fn check_tpm_status(request: &EvidenceRequest<'_>) -> EvidenceReport {
    let mut report = EvidenceReport::new(request.evidence);
    let licensed = request.licence.and_then(|path| licensed::judge(path, request, &mut report));
    judge_evidence(request, licensed.as_ref(), &mut report);
    if let Some(licensed) = &licensed {
        licensed::remember(licensed, request, &mut report);
    }
    report
}

fn judge_evidence(request: &EvidenceRequest<'_>, licensed: Option<&Licensed>, report: &mut EvidenceReport) {
    let licence_fingerprint = licensed.and_then(Licensed::fingerprint);
    let expected = request.expected_fingerprint.map(str::trim).filter(|text| !text.is_empty());
    if let (Some(expected), Some(licensed)) = (expected, licence_fingerprint)
        && expected != licensed
    {
        let message = format!("the licence is for the host {licensed}, expected is {expected}");
        report.error(EvidenceStatus::Mismatch, codes::FINGERPRINT_MISMATCH, message);
    }
    let expected = expected.or(licence_fingerprint);
    report.expect_fingerprint(expected);

    let keyring = match request.keyring.map_or_else(|| Ok(Keyring::default()), Keyring::load) {
        Ok(keyring) => keyring,
        Err(error) => {
            return report.error(EvidenceStatus::Invalid, codes::KEYRING_INVALID, causes::on_one_line(&error));
        }
    };
    let text = match read_bounded(request.evidence) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("there is no evidence file {}", request.evidence.display());
            return report.error(EvidenceStatus::Missing, codes::EVIDENCE_MISSING, message);
        }
        Err(error) => {
            let message = format!("reading {} failed: {error}", request.evidence.display());
            return report.error(EvidenceStatus::Invalid, codes::EVIDENCE_INVALID, message);
        }
    };
    match Evidence::parse(&text) {
        Ok(evidence) => judge(&evidence, &keyring, expected, request.now, report),
        Err(error) => report.error(EvidenceStatus::Invalid, error.code(), causes::on_one_line(&error)),
    }
}

/// Judges evidence that is well-formed. Pure.
fn judge(evidence: &Evidence, keyring: &Keyring, expected: Option<&str>, now: Timestamp, report: &mut EvidenceReport) {
    judge_signature(evidence, keyring, report);
    judge_fingerprint(evidence, expected, report);
    if let Some(expires_at) = evidence.expires_at().filter(|expires_at| *expires_at <= now) {
        let message = format!("the evidence expired at {}", crate::iso_time::format(expires_at));
        report.warn(EvidenceStatus::Expired, codes::EXPIRED, message);
    }
    if evidence.attested_at().is_some_and(|attested_at| attested_at.duration_since(now) > ATTESTED_AT_TOLERANCE) {
        report.warn(EvidenceStatus::Ok, codes::ATTESTED_IN_FUTURE, "the evidence is attested in the future".to_owned());
    }
    report.describe(evidence);
}

fn judge_signature(evidence: &Evidence, keyring: &Keyring, report: &mut EvidenceReport) {
    let Some(signature) = evidence.signature() else {
        let message = "the evidence is not signed: nothing proves it".to_owned();
        return report.warn(EvidenceStatus::Unverified, codes::SIGNATURE_MISSING, message);
    };
    let found = match &signature.key_id {
        Some(id) => keyring.key(id),
        None => match keyring.only_key() {
            Some(found) => Some(found),
            None if keyring.is_empty() => None,
            None => {
                let message = "the signature does not name its key, and the keyring has several".to_owned();
                return report.warn(EvidenceStatus::Unverified, codes::SIGNATURE_MISSING_KEY_ID, message);
            }
        },
    };
    let Some((id, key)) = found else {
        let name = signature.key_id.as_deref().unwrap_or("without a name");
        let message = format!("the keyring has no key {name}: the signature cannot be checked");
        return report.warn(EvidenceStatus::Unverified, codes::KEY_UNKNOWN, message);
    };
    match ed25519::verify(key, evidence.signed_bytes(), &signature.value) {
        Ok(()) => report.verified_by(id),
        Err(error) => {
            let message = format!("{error}: the evidence was changed, or {id} is not its key");
            report.error(EvidenceStatus::Invalid, codes::SIGNATURE_INVALID, message);
        }
    }
}

/// Every fingerprint there is must be the expected one, in full; without an expectation, they must agree.
fn judge_fingerprint(evidence: &Evidence, expected: Option<&str>, report: &mut EvidenceReport) {
    let (own, sealed) = (evidence.fingerprint(), evidence.sealed_fingerprint());
    let message = match (expected, own, sealed) {
        (_, None, None) => {
            let message = "the evidence has no fingerprint: it proves no host".to_owned();
            return report.error(EvidenceStatus::Mismatch, codes::FINGERPRINT_MISSING, message);
        }
        (Some(expected), Some(own), _) if own != expected => {
            format!("the fingerprint is {own}, expected is {expected}")
        }
        (Some(expected), _, Some(sealed)) if sealed != expected => {
            format!("the sealed fingerprint is {sealed}, expected is {expected}")
        }
        (None, Some(own), Some(sealed)) if own != sealed => {
            format!("the fingerprint is {own}, the one sealed in the TPM is {sealed}")
        }
        _ => return,
    };
    report.error(EvidenceStatus::Mismatch, codes::FINGERPRINT_MISMATCH, message);
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_EVIDENCE_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_EVIDENCE_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_EVIDENCE_BYTES} bytes")));
    }
    Ok(text)
}
