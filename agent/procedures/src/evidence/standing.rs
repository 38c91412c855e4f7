//! Where a host stands with its evidence and its licence: a word each, for the controller.

use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;

use super::report::{EvidenceReport, EvidenceStatus, Finding, Gravity};
use super::{EvidenceRequest, Memory, check_tpm_status, codes, licensed};
use crate::licence::LicenceKeys;
use crate::licence::revocation::RevocationCheck;

/// What a host is set up to check. Everything as in [`EvidenceRequest`], but for the evidence, which may be absent.
#[derive(Clone, Copy)]
pub struct StandingRequest<'a> {
    /// The evidence file.
    pub evidence: Option<&'a Path>,
    /// The fingerprint that the host must have. Without one, that of the licence is expected.
    pub expected_fingerprint: Option<&'a str>,
    /// The public keys: the path of a keyring file, or its JSON.
    pub keyring: Option<&'a str>,
    /// The licence that the host must be the one of.
    pub licence: Option<&'a Path>,
    /// Keys to prove the licence with.
    pub licence_keys: Option<&'a LicenceKeys>,
    /// The issuer's list of revoked licences.
    pub revocations: Option<RevocationCheck<'a>>,
    /// Where the last accepted licence is remembered.
    pub memory: Memory<'a>,
    /// The time at which evidence and licence must be in force.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Standing {
    /// What the evidence is worth; none where none is set up.
    pub evidence: Option<EvidenceStatus>,
    /// What the licence is worth; none where none is set up.
    pub licence: Option<EvidenceStatus>,
    /// Everything that was found, as the report lists it.
    pub findings: Vec<Finding>,
}

/// Checks what is set up, exactly as [`check_tpm_status`] does. A file that is not there is `missing`.
///
/// A licence without evidence is held against what the host remembers and is not remembered itself: nothing says that it
/// is this host's.
pub fn standing(request: &StandingRequest<'_>) -> Standing {
    let StandingRequest { evidence, licence, .. } = *request;
    let or_missing = |path, status| if is_there(path) { status } else { EvidenceStatus::Missing };
    let of_licence = |status| licence.map(|path| or_missing(path, status));
    match (evidence, licence) {
        (None, None) => Standing::default(),
        (Some(evidence), _) => {
            let report = check_tpm_status(&request.with_evidence(evidence));
            Standing {
                evidence: Some(or_missing(evidence, report.evidence_status())),
                licence: of_licence(report.licence_status()),
                findings: report.findings().to_vec(),
            }
        }
        (None, Some(licence)) => {
            // Nothing looks for evidence, so its path is of no consequence.
            let report = licence_alone(licence, &request.with_evidence(Path::new("")));
            Standing { evidence: None, licence: of_licence(report.status()), findings: report.findings().to_vec() }
        }
    }
}

impl<'a> StandingRequest<'a> {
    fn with_evidence(&self, evidence: &'a Path) -> EvidenceRequest<'a> {
        let Self { evidence: _, expected_fingerprint, keyring, licence, licence_keys, revocations, memory, now } =
            *self;
        EvidenceRequest { evidence, expected_fingerprint, keyring, licence, licence_keys, revocations, memory, now }
    }
}

impl Standing {
    /// What is wrong, a code and a sentence each; what is only remarkable is left out.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let wrong = |finding: &&Finding| {
            let is_ok = |status: Option<EvidenceStatus>| status.is_none_or(|status| status == EvidenceStatus::Ok);
            let part_is_ok = if finding.is_of_licence() { is_ok(self.licence) } else { is_ok(self.evidence) };
            finding.gravity == Gravity::Error || !part_is_ok
        };
        self.findings.iter().filter(wrong).map(|finding| format!("{}: {}", finding.code, finding.message))
    }
}

fn licence_alone(licence: &Path, request: &EvidenceRequest<'_>) -> EvidenceReport {
    let mut report = EvidenceReport::new(request.evidence);
    let licensed = licensed::judge(licence, request, &mut report);
    let expected = request.expected_fingerprint.map(str::trim).filter(|text| !text.is_empty());
    if let (Some(expected), Some(found)) = (expected, licensed.as_ref().and_then(licensed::Licensed::fingerprint))
        && expected != found
    {
        let message = format!("the licence is for the host {found}, expected is {expected}");
        report.error(EvidenceStatus::Mismatch, codes::FINGERPRINT_MISMATCH, message);
    }
    report
}

fn is_there(path: &Path) -> bool {
    !matches!(path.metadata(), Err(error) if error.kind() == ErrorKind::NotFound)
}
