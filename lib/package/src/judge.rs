//! Holds what a package has against what its manifest promises. Pure: both are already in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::Strictness;
use super::digest::FileFacts;
use super::inventory::{Fault, FaultCode, Inventory};
use super::manifest::{Artifact, Manifest};
use super::path::{Names, PackagePath};
use super::report::{ArtifactResult, Observation};

/// What the check has to say so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) audit: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) artifacts: Vec<ArtifactResult>,
}

impl Findings {
    pub(super) fn fail(&mut self, message: &str) {
        self.errors.push(message.to_owned());
    }

    pub(super) fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }
}

/// Compares every artifact with the file of its name, and says what else is there.
pub(super) fn judge(manifest: &Manifest, inventory: &Inventory, strictness: Strictness, findings: &mut Findings) {
    if manifest.artifacts().is_empty() {
        findings.warn("the manifest lists no files");
    }
    // The first fault of a name stands for all of them.
    let mut faults = BTreeMap::<&PackagePath, &Fault>::new();
    for fault in &inventory.faults {
        if let Some(path) = &fault.path {
            faults.entry(path).or_insert(fault);
        }
    }
    let mut names = Names::default();
    let mut listed = BTreeSet::new();
    for artifact in manifest.artifacts() {
        let facts = artifact.path().ok().and_then(|path| inventory.files.get(path));
        listed.extend(artifact.path());
        let problem = problem_with(artifact, facts, &faults, &mut names);
        let path = artifact.given_path().to_owned();
        match &problem {
            None => findings.audit.push(format!("{path}: OK")),
            Some((_, message)) => findings.fail(&format!("{path}: {message}")),
        }
        findings.artifacts.push(ArtifactResult {
            path,
            expected: Some(Observation::promised(artifact)),
            actual: facts.map(Observation::found),
            code: problem.map(|(code, _)| code),
        });
    }
    for fault in inventory.faults.iter().filter(|fault| fault.path.as_ref().is_none_or(|path| !listed.contains(path))) {
        findings.fail(&format!("{}: {}", fault.name, fault.message));
        findings.artifacts.push(ArtifactResult {
            path: fault.name.clone(),
            expected: None,
            actual: None,
            code: Some(fault.code),
        });
    }
    for (path, facts) in inventory.files.iter().filter(|(path, _)| !listed.contains(path)) {
        let message = format!("{path}: the manifest does not list it");
        match strictness {
            Strictness::Lenient => findings.warn(&message),
            Strictness::Strict => findings.fail(&message),
        }
        findings.artifacts.push(ArtifactResult {
            path: path.to_string(),
            expected: None,
            actual: Some(Observation::found(facts)),
            code: Some(FaultCode::Unlisted),
        });
    }
}

/// The first rule that an artifact breaks, from its name to its contents.
fn problem_with(
    artifact: &Artifact,
    facts: Option<&FileFacts>,
    faults: &BTreeMap<&PackagePath, &Fault>,
    names: &mut Names,
) -> Option<(FaultCode, String)> {
    let path = match artifact.path() {
        Ok(path) => path,
        Err(error) => return Some((FaultCode::Path, error.to_string())),
    };
    if let Err(clash) = names.insert(path) {
        return Some((clash.code(), clash.message().to_owned()));
    }
    if let Some(fault) = faults.get(path) {
        return Some((fault.code, fault.message.clone()));
    }
    let Some(facts) = facts else {
        return Some((FaultCode::Missing, "it is not in the package".to_owned()));
    };
    content_problem(artifact, facts)
}

/// Size, then SHA-384, then SHA-256: the cheapest and the strongest first.
pub(super) fn content_problem(artifact: &Artifact, facts: &FileFacts) -> Option<(FaultCode, String)> {
    if let Some(size) = artifact.size().filter(|size| *size != facts.size) {
        return Some((FaultCode::Size, format!("it has {} bytes, the manifest says {size}", facts.size)));
    }
    let differs = |code, name, expected: &[u8], actual: Option<&[u8]>| {
        let actual = actual.map_or_else(|| "unknown".to_owned(), hex::encode);
        let message = format!("its {name} is {actual}, the manifest says {}", hex::encode(expected));
        Some((code, message))
    };
    match (artifact.sha384(), artifact.sha256()) {
        (Some(expected), _) if facts.sha384.as_ref() != Some(expected) => {
            differs(FaultCode::Sha384, "sha384", expected, facts.sha384.as_ref().map(<[u8; 48]>::as_slice))
        }
        (_, Some(expected)) if facts.sha256.as_ref() != Some(expected) => {
            differs(FaultCode::Sha256, "sha256", expected, facts.sha256.as_ref().map(<[u8; 32]>::as_slice))
        }
        _ => None,
    }
}
