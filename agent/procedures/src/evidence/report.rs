//! The verdict on evidence, and the JSON document that says it (manual §3).

use std::path::{Path, PathBuf};

use flota_seal::json::Json;

use super::codes;
use super::document::Evidence;
use crate::iso_time;
use crate::licence::{Licence, Term};

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

/// Whether somebody's word was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Its signature was verified.
    Proved,
    /// It is only what a file claims.
    Claimed,
}

/// What a check of evidence found.
#[derive(Clone, Debug)]
pub struct EvidenceReport {
    status: EvidenceStatus,
    evidence_status: EvidenceStatus,
    licence_status: EvidenceStatus,
    findings: Vec<Finding>,
    evidence: Option<Evidence>,
    licence: Option<(Licence, Trust)>,
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
    /// Whether it is about the licence, or the list that may revoke it. All other findings are about the evidence.
    pub(super) fn is_of_licence(&self) -> bool {
        self.code.starts_with("license.")
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        codes::mend(self.code)
    }
}

impl EvidenceReport {
    pub(super) fn new(evidence_path: &Path) -> Self {
        Self {
            status: EvidenceStatus::Ok,
            evidence_status: EvidenceStatus::Ok,
            licence_status: EvidenceStatus::Ok,
            findings: Vec::new(),
            evidence: None,
            licence: None,
            key: None,
            expected_fingerprint: None,
            evidence_path: evidence_path.to_owned(),
        }
    }

    pub(super) fn expect_fingerprint(&mut self, expected: Option<&str>) {
        self.expected_fingerprint = expected.map(str::to_owned);
    }

    pub(super) fn error(&mut self, status: EvidenceStatus, code: &'static str, message: String) {
        self.add(status, Finding { gravity: Gravity::Error, code, message });
    }

    pub(super) fn warn(&mut self, status: EvidenceStatus, code: &'static str, message: String) {
        self.add(status, Finding { gravity: Gravity::Warning, code, message });
    }

    fn add(&mut self, status: EvidenceStatus, finding: Finding) {
        self.status = self.status.max(status);
        if finding.is_of_licence() {
            self.licence_status = self.licence_status.max(status);
        } else {
            self.evidence_status = self.evidence_status.max(status);
        }
        self.findings.push(finding);
    }

    pub(super) fn verified_by(&mut self, key: &str) {
        self.key = Some(key.to_owned());
    }

    pub(super) fn describe(&mut self, evidence: &Evidence) {
        self.evidence = Some(evidence.clone());
    }

    pub(super) fn describe_licence(&mut self, licence: &Licence, trust: Trust) {
        self.licence = Some((licence.clone(), trust));
    }

    /// What evidence and licence together are worth.
    pub fn status(&self) -> EvidenceStatus {
        self.status
    }

    /// What the evidence is worth by what was found about itself.
    pub(super) fn evidence_status(&self) -> EvidenceStatus {
        self.evidence_status
    }

    /// What the licence is worth by what was found about itself.
    pub(super) fn licence_status(&self) -> EvidenceStatus {
        self.licence_status
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

    /// The licence, if it is well-formed, and whether it is proved.
    pub fn licence(&self) -> Option<(&Licence, Trust)> {
        self.licence.as_ref().map(|(licence, trust)| (licence, *trust))
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
            ("license", self.licence.as_ref().map_or(Json::Null, |(licence, trust)| licence_json(licence, *trust))),
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

/// The licence as the report shows it, beyond what the bot's script says.
fn licence_json(licence: &Licence, trust: Trust) -> Json {
    let text = |text: Option<&str>| text.map_or(Json::Null, Json::from);
    let instant = |instant: Option<jiff::Timestamp>| text(instant.map(iso_time::format).as_deref());
    Json::object([
        ("format", Json::from(licence.kind().as_str())),
        ("license_id", Json::from(licence.id())),
        ("issuer", text(licence.issuer())),
        ("profile", text(licence.profile())),
        ("edition", text(licence.edition())),
        ("fingerprint", text(licence.fingerprint())),
        ("issued_at", instant(licence.issued_at())),
        ("expires_at", instant(licence.expires_at())),
        ("maintenance_until", instant(licence.maintenance_until())),
        ("sequence", licence.sequence().map_or(Json::Null, Json::from)),
        ("trial", Json::Bool(licence.term() == Term::Trial)),
        ("signature_verified", Json::Bool(trust == Trust::Proved)),
    ])
}
