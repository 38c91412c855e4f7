//! The verdict on evidence, and the JSON document that says it (manual §3).

use std::path::{Path, PathBuf};

use flota_seal::json::Json;

use super::document::Evidence;
use crate::iso_time;

/// Codes of findings. Those that the bot's script has are spelt as it spells them.
pub(super) mod codes {
    pub(in super::super) const SIGNATURE_INVALID: &str = "tpm.signature.invalid";
    pub(in super::super) const SIGNATURE_MISSING: &str = "tpm.signature.missing";
    pub(in super::super) const SIGNATURE_MISSING_KEY_ID: &str = "tpm.signature.missing_key_id";
    pub(in super::super) const KEY_UNKNOWN: &str = "tpm.key.unknown";
    pub(in super::super) const FINGERPRINT_MISMATCH: &str = "tpm.fingerprint.mismatch";
    pub(in super::super) const FINGERPRINT_MISSING: &str = "tpm.fingerprint.missing";
    pub(in super::super) const EXPIRED: &str = "tpm.attestation.expired";
    pub(in super::super) const ATTESTED_IN_FUTURE: &str = "tpm.attestation.future";
    pub(in super::super) const EVIDENCE_MISSING: &str = "tpm.evidence.missing";
    pub(in super::super) const EVIDENCE_INVALID: &str = "tpm.evidence.invalid";
    pub(in super::super) const KEYRING_INVALID: &str = "tpm.keyring.invalid";
    pub(in super::super) const LICENCE_INVALID: &str = "tpm.license.invalid";
    pub(in super::super) const LICENCE_UNVERIFIED: &str = "tpm.license.unverified";
    pub(in super::super) const LICENCE_NOT_IN_FORCE: &str = "tpm.license.not_in_force";
}

/// What evidence is worth, from best to worst; the worst finding decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvidenceStatus {
    /// Verified, unexpired, and of the right host.
    Ok,
    /// Nothing is wrong with it, and nothing proves it.
    Unverified,
    /// It counted once.
    Expired,
    /// It is about another host.
    Mismatch,
    /// It is forged or broken, or what it is checked with is. For the security team.
    Invalid,
    /// There is none. For the security team.
    Missing,
}

/// Where a finding is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    /// In `warnings`.
    Warning,
    /// In `errors`.
    Error,
}

/// One thing that the report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is listed.
    pub gravity: Gravity,
    /// The code, for machines.
    pub code: &'static str,
    /// What was found.
    pub message: String,
}

/// What a check of evidence found.
#[derive(Clone, Debug)]
pub struct EvidenceReport {
    status: EvidenceStatus,
    findings: Vec<Finding>,
    evidence: Option<Evidence>,
    key: Option<String>,
    expected_fingerprint: Option<String>,
    evidence_path: PathBuf,
}

impl EvidenceStatus {
    /// The spelling in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unverified => "unverified",
            Self::Expired => "expired",
            Self::Mismatch => "mismatch",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
        }
    }

    /// 0 only for `ok`; 2 for what the security team must see; else 1.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Unverified | Self::Expired | Self::Mismatch => 1,
            Self::Invalid | Self::Missing => 2,
        }
    }
}

impl Finding {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.code {
            codes::SIGNATURE_INVALID | codes::EVIDENCE_INVALID => {
                "do not use this evidence; export it again and, if it stays so, escalate to the security team"
            }
            codes::EVIDENCE_MISSING => "export the evidence from the TPM module, or escalate to the security team",
            codes::SIGNATURE_MISSING => "export signed evidence from the TPM module",
            codes::SIGNATURE_MISSING_KEY_ID => {
                "export evidence that names its key, or give a keyring with that key only"
            }
            codes::KEY_UNKNOWN => "give the keyring that holds the key of the TPM module",
            codes::KEYRING_INVALID => "mend the keyring, or fetch it again",
            codes::FINGERPRINT_MISMATCH => "check that evidence and licence are of this host",
            codes::FINGERPRINT_MISSING => "export evidence that has a fingerprint",
            codes::EXPIRED => "export new evidence",
            codes::ATTESTED_IN_FUTURE => "check the clocks of the host and of the TPM module",
            codes::LICENCE_UNVERIFIED => "give the keys of the issuer to have the licence checked",
            _ => "ask the issuer for a valid licence",
        }
    }
}

impl EvidenceReport {
    pub(super) fn new(evidence_path: &Path) -> Self {
        Self {
            status: EvidenceStatus::Ok,
            findings: Vec::new(),
            evidence: None,
            key: None,
            expected_fingerprint: None,
            evidence_path: evidence_path.to_owned(),
        }
    }

    pub(super) fn expect_fingerprint(&mut self, expected: Option<&str>) {
        self.expected_fingerprint = expected.map(str::to_owned);
    }

    pub(super) fn error(&mut self, status: EvidenceStatus, code: &'static str, message: String) {
        self.status = self.status.max(status);
        self.findings.push(Finding { gravity: Gravity::Error, code, message });
    }

    pub(super) fn warn(&mut self, status: EvidenceStatus, code: &'static str, message: String) {
        self.status = self.status.max(status);
        self.findings.push(Finding { gravity: Gravity::Warning, code, message });
    }

    pub(super) fn verified_by(&mut self, key: &str) {
        self.key = Some(key.to_owned());
    }

    pub(super) fn describe(&mut self, evidence: &Evidence) {
        self.evidence = Some(evidence.clone());
    }

    /// What the evidence is worth.
    pub fn status(&self) -> EvidenceStatus {
        self.status
    }

    /// The exit code of that.
    pub fn exit_code(&self) -> u8 {
        self.status.exit_code()
    }

    /// What was found, in the order it was found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The evidence, if it is well-formed.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// The name of the key whose signature was verified.
    pub fn signature_key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The document for stdout.
    pub fn to_json(&self) -> Json {
        let text = |text: Option<&str>| text.map_or(Json::Null, Json::from);
        let field = |read: fn(&Evidence) -> Option<&str>| text(self.evidence.as_ref().and_then(read));
        let instant = |read: fn(&Evidence) -> Option<jiff::Timestamp>| {
            text(self.evidence.as_ref().and_then(read).map(iso_time::format).as_deref())
        };
        Json::object([
            ("status", Json::from(self.status.as_str())),
            ("fingerprint", field(Evidence::fingerprint)),
            ("sealed_fingerprint", field(Evidence::sealed_fingerprint)),
            ("nonce", field(Evidence::nonce)),
            ("attested_at", instant(Evidence::attested_at)),
            ("expires_at", instant(Evidence::expires_at)),
            ("secure_enclave", field(Evidence::secure_enclave)),
            ("signature_verified", Json::Bool(self.key.is_some())),
            ("signature_key", text(self.signature_key())),
            ("warnings", self.list(Gravity::Warning, Finding::to_json)),
            ("errors", self.list(Gravity::Error, Finding::to_json)),
            ("warning_messages", self.list(Gravity::Warning, |finding| finding.message.as_str().into())),
            ("error_messages", self.list(Gravity::Error, |finding| finding.message.as_str().into())),
            ("payload", self.evidence.as_ref().map_or(Json::Null, |evidence| evidence.payload().clone())),
            ("expected_fingerprint", text(self.expected_fingerprint.as_deref())),
            ("evidence_path", Json::from(self.evidence_path.to_string_lossy().as_ref())),
        ])
    }

    fn list(&self, gravity: Gravity, show: fn(&Finding) -> Json) -> Json {
        Json::Array(self.findings.iter().filter(|finding| finding.gravity == gravity).map(show).collect())
    }
}

impl Finding {
    fn to_json(&self) -> Json {
        Json::object([
            ("code", Json::from(self.code)),
            ("message", Json::from(self.message.as_str())),
            ("hint", Json::from(self.hint())),
        ])
    }
}
