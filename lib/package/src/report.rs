//! The verdict on a package, and the JSON document that says it (manual §2).

use std::collections::BTreeMap;

use flota_seal::json::Json;
use sha2::{Digest as _, Sha256};

use super::CannotCheck;
use super::digest::FileFacts;
use super::inventory::{FaultCode, Inventory};
use super::judge::Findings;
use super::manifest::{Artifact, Manifest};
use super::path::PackagePath;
use super::source::Companions;
use crate::causes;

/// Exit code of a check that could not run.
pub const EXIT_CANNOT_CHECK: u8 = 2;

/// What a check found.
#[derive(Debug)]
pub struct CheckReport {
    manifest: Manifest,
    manifest_sha256: [u8; 32],
    companions: BTreeMap<PackagePath, FileFacts>,
    signature: SignatureVerdict,
    licence_ok: bool,
    findings: Findings,
}

/// What is known about the manifest's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It is the signature of this manifest under the key given.
    Valid {
        /// The name of the key, if the signer set one. A hint: the signature does not cover it.
        key_id: Option<String>,
    },
    /// It is not, or there is none.
    Invalid,
    /// No key was given.
    NotChecked,
}

/// One file of the package, or one that should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactResult {
    /// The path as the manifest or the package spells it.
    pub path: String,
    /// What the manifest promises; `None` for a file it does not list.
    pub expected: Option<Observation>,
    /// What is there; `None` if nothing readable is.
    pub actual: Option<Observation>,
    /// What is wrong; `None` if nothing is.
    pub code: Option<FaultCode>,
}

/// Size and digests of a file, as promised or as found; what is unknown is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Bytes.
    pub size: Option<u64>,
    /// SHA-384.
    pub sha384: Option<[u8; 48]>,
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
}

/// A package that passed its check, and all that an unpack must find again.
#[derive(Clone, Debug)]
pub struct CheckedPackage {
    pub(super) manifest: Manifest,
    /// The manifest and the signature beside it.
    pub(super) companions: BTreeMap<PackagePath, FileFacts>,
}

impl CheckReport {
    pub(super) fn new(
        manifest: Manifest,
        companions: Companions,
        inventory: Inventory,
        signature: SignatureVerdict,
        licence_ok: bool,
        findings: Findings,
    ) -> Self {
        let digest = |text: &[u8]| -> [u8; 32] { Sha256::digest(text).into() };
        let facts = |text: &[u8]| FileFacts { size: text.len() as u64, sha256: Some(digest(text)), sha384: None };
        let manifest_text = inventory.manifest.unwrap_or_default();
        let manifest_file = (companions.manifest, facts(&manifest_text));
        let signature_file = inventory.signature.map(|(path, text)| (path, facts(&text)));
        Self {
            manifest,
            manifest_sha256: digest(&manifest_text),
            companions: std::iter::once(manifest_file).chain(signature_file).collect(),
            signature,
            licence_ok,
            findings,
        }
    }

    /// Whether the package may be installed as far as this check can tell.
    pub fn is_ok(&self) -> bool {
        self.findings.errors.is_empty()
    }

    /// 0 if the package is good, 1 if it is not.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.is_ok())
    }

    /// The package, fit for [`super::unpack`], if nothing is wrong with it.
    ///
    /// A clean report does not say that a signature was checked: without a key none can be. Look at [`CheckReport::signature`].
    pub fn checked_package(&self) -> Option<CheckedPackage> {
        self.is_ok().then(|| CheckedPackage { manifest: self.manifest.clone(), companions: self.companions.clone() })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest file as it stands: a short name for exactly this package.
    pub fn manifest_sha256(&self) -> [u8; 32] {
        self.manifest_sha256
    }

    /// What is known about the signature.
    pub fn signature(&self) -> &SignatureVerdict {
        &self.signature
    }

    /// Whether the licence allows the package; true if none was given.
    pub fn licence_ok(&self) -> bool {
        self.licence_ok
    }

    /// What makes the package bad, one line a problem.
    pub fn errors(&self) -> &[String] {
        &self.findings.errors
    }

    /// What the operator should know, one line a matter.
    pub fn warnings(&self) -> &[String] {
        &self.findings.warnings
    }

    /// Every file listed or found, the good ones too.
    pub fn artifacts(&self) -> &[ArtifactResult] {
        &self.findings.artifacts
    }

    /// The document for stdout. `signature_valid` stays true when the signature was not checked, as runbooks expect of the bot's script.
    pub fn to_json(&self) -> Json {
        let lines = |lines: &[String]| Json::Array(lines.iter().map(|line| line.as_str().into()).collect());
        Json::object([
            ("status", Json::from(if self.is_ok() { "ok" } else { "failed" })),
            ("signature_valid", Json::Bool(self.signature != SignatureVerdict::Invalid)),
            ("signature_checked", Json::Bool(self.signature != SignatureVerdict::NotChecked)),
            ("license_ok", Json::Bool(self.licence_ok)),
            ("audit", lines(&self.findings.audit)),
            ("errors", lines(&self.findings.errors)),
            ("warnings", lines(&self.findings.warnings)),
            ("artifacts", Json::Array(self.findings.artifacts.iter().map(ArtifactResult::to_json).collect())),
        ])
    }
}

impl CheckedPackage {
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl CannotCheck {
    /// The document for stdout, to go with [`EXIT_CANNOT_CHECK`].
    pub fn to_json(&self) -> Json {
        Json::object([("status", Json::from("error")), ("message", Json::from(causes::on_one_line(self).as_str()))])
    }
}

impl ArtifactResult {
    fn to_json(&self) -> Json {
        let status = match self.code {
            None => "ok",
            Some(FaultCode::Unlisted) => "unlisted",
            Some(_) => "failed",
        };
        let observed = |observation: Option<&Observation>| observation.map_or(Json::Null, Observation::to_json);
        Json::object([
            ("path", Json::from(self.path.as_str())),
            ("status", Json::from(status)),
            ("expected", observed(self.expected.as_ref())),
            ("actual", observed(self.actual.as_ref())),
            ("code", self.code.map_or(Json::Null, |code| code.as_str().into())),
        ])
    }
}

impl Observation {
    pub(super) fn promised(artifact: &Artifact) -> Self {
        Self { size: artifact.size(), sha384: artifact.sha384().copied(), sha256: artifact.sha256().copied() }
    }

    pub(super) fn found(facts: &FileFacts) -> Self {
        Self { size: Some(facts.size), sha384: facts.sha384, sha256: facts.sha256 }
    }

    fn to_json(&self) -> Json {
        let size = self.size.map(|size| ("size", Json::from(size)));
        let sha384 = self.sha384.map(|digest| ("sha384", Json::from(hex::encode(digest).as_str())));
        let sha256 = self.sha256.map(|digest| ("sha256", Json::from(hex::encode(digest).as_str())));
        Json::object([size, sha384, sha256].into_iter().flatten())
    }
}
