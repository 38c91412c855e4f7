//! Update packages (manual §2): check one, unpack one that was checked, build one.
//!
//! Hosts check and unpack, the controller inspects what is published, build servers build. Also here: licences, which a package may demand, and how a file is written durably.
//!
//! A check reads every file once and never writes. What it found is a [`CheckReport`]; only a clean report yields the
//! [`CheckedPackage`] that [`unpack`] takes, and unpacking verifies every byte again against that.

mod archive;
mod build;
pub mod causes;
mod digest;
pub mod durable;
mod entitlement;
mod folder;
mod inventory;
pub mod iso_time;
mod judge;
pub mod key;
pub mod licence;
mod limits;
mod manifest;
mod path;
mod progress;
mod report;
mod source;
mod tape;
#[cfg(test)]
mod tests;
mod unpack;
mod zip;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flota_seal::json::{Json, ParseJsonError};
use flota_seal::secret::Secret;
use flota_seal::signature::Signature;
use jiff::Timestamp;

pub use archive::ArchiveError;
pub use build::{BuildError, BuiltPackage, PackageBuilder};
pub use folder::FolderError;
pub use inventory::FaultCode;
pub use limits::{Limits, MAX_ENTRIES, MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES, MAX_UNPACKED_BYTES};
pub use manifest::{Artifact, Layout, Manifest, ManifestError};
pub use path::{MAX_PATH_BYTES, MAX_PATH_DEPTH, PackagePath, PathError};
pub use progress::Progress;
pub use report::{ArtifactResult, CheckReport, CheckedPackage, EXIT_CANNOT_CHECK, Observation, SignatureVerdict};
pub use source::OpenError;
pub use unpack::{UnpackError, unpack};

use crate::licence::LicenceKeys;
use crate::licence::revocation::RevocationCheck;
use folder::Folder;
use inventory::Inventory;
use judge::{Findings, judge};
use source::Companions;

/// The name of the manifest unless told otherwise.
pub const DEFAULT_MANIFEST: &str = "manifest.json";

/// What to check, and against what.
#[derive(Clone, Copy)]
pub struct CheckRequest<'a> {
    /// An unpacked folder, or an archive: `.tar`, `.tar.gz`, `.tar.zst`, `.zip`, `.dudzianpkg`.
    pub source: &'a Path,
    /// The manifest's name in the package.
    pub manifest_name: &'a str,
    /// A file with the signature, in place of the one that the package carries.
    pub signature: Option<&'a Path>,
    /// The key that the package must be signed with. Without one, a signature is not checked and the report says so.
    pub key: Option<&'a Secret>,
    /// The licence that must allow the package.
    pub licence: Option<LicenceProof<'a>>,
    /// What to make of files that the manifest does not list.
    pub strictness: Strictness,
    /// Bounds on the work.
    pub limits: Limits,
    /// The time at which a licence must be valid.
    pub now: Timestamp,
    /// Moved while the check reads; another thread may watch it.
    pub progress: Option<&'a Progress>,
}

/// A licence, the keys that prove it, and the list that may revoke it.
#[derive(Clone, Copy)]
pub struct LicenceProof<'a> {
    /// The licence file, of either format.
    pub path: &'a Path,
    /// Keys of those who issue licences.
    pub keys: &'a LicenceKeys,
    /// The issuer's list of revoked licences. Without one, nothing tells whether the licence was revoked.
    pub revocations: Option<RevocationCheck<'a>>,
}

/// What a file that the manifest does not list is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// A warning.
    #[default]
    Lenient,
    /// An error.
    Strict,
}

/// Why there is no verdict on a package at all; exit 2.
#[derive(Debug, thiserror::Error)]
pub enum CannotCheck {
    /// `--manifest` names something that cannot be inside a package.
    #[error("the manifest name '{name}' cannot be used")]
    ManifestName {
        /// The name given.
        name: String,
        /// The rule it breaks.
        source: PathError,
    },
    /// The package cannot be opened, or is of no known kind.
    #[error("cannot check {}", path.display())]
    Open {
        /// The package.
        path: PathBuf,
        /// The cause.
        source: OpenError,
    },
    /// The folder cannot be read to its end.
    #[error("cannot check the folder {}", path.display())]
    Folder {
        /// The package.
        path: PathBuf,
        /// The cause.
        source: FolderError,
    },
    /// The archive cannot be read to its end.
    #[error("cannot check the archive {}", path.display())]
    Archive {
        /// The package.
        path: PathBuf,
        /// The cause.
        source: ArchiveError,
    },
    /// There is no manifest in the package.
    #[error("{} has no {name}: it is not a package, or the manifest has another name", path.display())]
    NoManifest {
        /// The package.
        path: PathBuf,
        /// The manifest's name.
        name: String,
    },
    /// The package has something under the manifest's name that no package may hold, such as a link.
    #[error("the manifest {name} of {} cannot be used: {problem}", path.display())]
    ManifestRefused {
        /// The package.
        path: PathBuf,
        /// The manifest's name.
        name: String,
        /// The rule it breaks.
        problem: String,
    },
    /// The manifest is not JSON.
    #[error("the manifest is not JSON")]
    ManifestNotJson(#[source] ParseJsonError),
    /// The manifest is JSON of another shape.
    #[error("the manifest cannot be used")]
    Manifest(#[source] ManifestError),
    /// The file given as the signature cannot be read.
    #[error("reading the signature file {} failed", path.display())]
    SignatureFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl<'a> CheckRequest<'a> {
    /// A request with the defaults of the command: the embedded signature, no key, no licence, lenient.
    pub fn new(source: &'a Path, now: Timestamp) -> Self {
        Self {
            source,
            manifest_name: DEFAULT_MANIFEST,
            signature: None,
            key: None,
            licence: None,
            strictness: Strictness::default(),
            limits: Limits::default(),
            now,
            progress: None,
        }
    }
}

/// Checks a package without unpacking it to disk.
///
/// # Errors
/// [`CannotCheck`] if there is nothing to give a verdict on. A package that is bad is not an error but a report.
pub fn check(request: &CheckRequest<'_>) -> Result<CheckReport, CannotCheck> {
    let companions = Companions::of(request.manifest_name)
        .map_err(|source| CannotCheck::ManifestName { name: request.manifest_name.to_owned(), source })?;
    let (manifest, mut inventory) = take_stock(request, &companions)?;
    let detached = request.signature.map(read_signature_file).transpose()?;
    if let Some(inside) = request.signature.and_then(|file| path_inside(request.source, file)) {
        inventory.files.remove(&inside);
    }

    let mut findings = Findings::default();
    let signature = judge_signature(request, &manifest, &inventory, detached.as_deref(), &mut findings);
    let licence_ok = entitlement::judge_licence(request, &manifest, &mut findings);
    judge(&manifest, &inventory, request.strictness, &mut findings);
    Ok(CheckReport::new(manifest, companions, inventory, signature, licence_ok, findings))
}

/// Reads the whole package: its manifest, and the facts about its files.
fn take_stock(request: &CheckRequest<'_>, companions: &Companions) -> Result<(Manifest, Inventory), CannotCheck> {
    let unwatched = Progress::default();
    let progress = request.progress.unwrap_or(&unwatched);
    let path = || request.source.to_owned();
    let opening = |source| CannotCheck::Open { path: path(), source };
    let metadata = std::fs::metadata(request.source).map_err(|error| opening(OpenError::Io(error)))?;
    if metadata.is_dir() {
        let folder = Folder::open(request.source).map_err(|error| opening(OpenError::Io(error)))?;
        let listed = folder.list(companions, request.limits);
        let mut inventory = listed.map_err(|source| CannotCheck::Folder { path: path(), source })?;
        let manifest = read_manifest(request, companions, &inventory)?;
        folder.hash_listed(&manifest, &mut inventory, progress);
        Ok((manifest, inventory))
    } else {
        let archive = source::open_archive(request.source, request.limits, progress).map_err(opening)?;
        let inventory = source::read_archive(archive, companions, request.limits)
            .map_err(|source| CannotCheck::Archive { path: path(), source })?;
        Ok((read_manifest(request, companions, &inventory)?, inventory))
    }
}

fn read_manifest(
    request: &CheckRequest<'_>,
    companions: &Companions,
    inventory: &Inventory,
) -> Result<Manifest, CannotCheck> {
    let text = inventory.manifest.as_deref().ok_or_else(|| {
        let (path, name) = (request.source.to_owned(), request.manifest_name.to_owned());
        let mut faults = inventory.faults.iter();
        match faults.find(|fault| fault.path.as_ref() == Some(&companions.manifest)) {
            Some(fault) => CannotCheck::ManifestRefused { path, name, problem: fault.message.clone() },
            None => CannotCheck::NoManifest { path, name },
        }
    })?;
    let document = Json::parse(text).map_err(CannotCheck::ManifestNotJson)?;
    Manifest::parse(&document).map_err(CannotCheck::Manifest)
}

fn read_signature_file(path: &Path) -> Result<Vec<u8>, CannotCheck> {
    let failed = |source| CannotCheck::SignatureFile { path: path.to_owned(), source };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_SIGNATURE_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_SIGNATURE_BYTES {
        return Err(failed(io::Error::other(format!("it has more than {MAX_SIGNATURE_BYTES} bytes"))));
    }
    Ok(text)
}

/// The name of `file` inside the package folder, if it is there: `--signature` may point at a file of the package.
fn path_inside(package: &Path, file: &Path) -> Option<PackagePath> {
    let (package, file) = (package.canonicalize().ok()?, file.canonicalize().ok()?);
    PackagePath::parse(file.strip_prefix(package).ok()?.to_str()?).ok()
}

/// Finds the signature (the file given, else the embedded one, else the one beside the manifest) and holds it against the key.
fn judge_signature(
    request: &CheckRequest<'_>,
    manifest: &Manifest,
    inventory: &Inventory,
    detached: Option<&[u8]>,
    findings: &mut Findings,
) -> SignatureVerdict {
    let beside = || inventory.signature.as_ref().map(|(_, text)| parse_detached(text));
    let found: Option<Result<Signature, String>> = match (detached, manifest.embedded_signature()) {
        (Some(text), _) => Some(parse_detached(text)),
        (None, Some(embedded)) => Some(Signature::from_json(embedded).map_err(|error| error.to_string())),
        (None, None) => beside(),
    };
    match (request.key, found) {
        (None, None) => {
            findings.warn("the package is not signed, and no key was given: nothing vouches for where it comes from");
            SignatureVerdict::NotChecked
        }
        (None, Some(_)) => {
            findings.warn("the signature was not checked: no key was given");
            SignatureVerdict::NotChecked
        }
        (Some(_), None) => {
            findings.fail("a key was given and the package is not signed");
            SignatureVerdict::Invalid
        }
        (Some(_), Some(Err(problem))) => {
            findings.fail(&format!("the signature cannot be used: {problem}"));
            SignatureVerdict::Invalid
        }
        (Some(key), Some(Ok(signature))) => match signature.verify(&manifest.signed_payload(), key) {
            Ok(()) => SignatureVerdict::Valid { key_id: signature.key_id().map(str::to_owned) },
            Err(error) => {
                findings.fail(&format!("the manifest: {error}"));
                SignatureVerdict::Invalid
            }
        },
    }
}

/// A signature file holds the signature object, or `{"signature": …}`.
fn parse_detached(text: &[u8]) -> Result<Signature, String> {
    let document = Json::parse(text).map_err(|error| error.to_string())?;
    Signature::from_json(document.member("signature").unwrap_or(&document)).map_err(|error| error.to_string())
}
