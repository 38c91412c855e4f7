//! From bytes that arrived to a release that may be started: digest, signature, manifest, every file. All blocking.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use flota_model::release::ReleaseRef;
use flota_procedures::package::{self, CannotCheck, CheckReport, CheckRequest, SignatureVerdict, UnpackError};

use super::slots::{SlotError, Slots};
use crate::procedures::{self, KeyFileError, digest_of, present};
use crate::settings::Settings;

/// Errors of a package that are told; the rest is in the output of the check.
const SHOWN_ERRORS: usize = 3;

/// Why a package is not installed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    #[error("reading the package key")]
    Key(#[from] KeyFileError),
    #[error("checking the package")]
    Check(#[from] CannotCheck),
    #[error("the package is not good: {0}")]
    Bad(String),
    #[error("the copy of the release on this host was damaged and is removed now; roll it out again: {0}")]
    DamagedCopy(String),
    #[error("the package is of version {found}, the rollout of {wanted}")]
    OtherVersion { found: String, wanted: String },
    #[error("unpacking the package")]
    Unpack(#[from] UnpackError),
    #[error("placing the release")]
    Slot(#[from] SlotError),
}

/// Where packages arrive.
pub(super) fn downloads(settings: &Settings) -> PathBuf {
    settings.state_dir.join("downloads")
}

/// Removes everything that arrived.
pub(super) fn discard(downloads: &Path) -> Result<(), String> {
    match fs::remove_dir_all(downloads) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("removing {}: {error}", downloads.display())),
        _ => Ok(()),
    }
}

/// A package on its way: under one name while it arrives, under another once its digest was found right.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    release: ReleaseRef,
    partial: PathBuf,
    whole: PathBuf,
}

impl Parcel {
    pub(super) fn of(settings: &Settings, release: &ReleaseRef) -> Self {
        let at = |ending| downloads(settings).join(format!("{}.{ending}", release.digest));
        Self { release: release.clone(), partial: at("partial"), whole: at("package") }
    }

    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Bytes that have arrived so far.
    pub(super) fn received(&self) -> u64 {
        fs::metadata(&self.partial).map_or(0, |metadata| metadata.len())
    }

    /// Makes room, and says whether the package is here already.
    pub(super) fn prepare(&self) -> Result<bool, String> {
        if self.whole.is_file() {
            return Ok(true);
        }
        let folder = self.partial.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        Ok(false)
    }

    /// Verifies what arrived. What is wrong is removed, so that the next attempt does not resume from it.
    pub(super) fn complete(&self) -> Result<(), String> {
        let failed = |what: &str, error: std::io::Error| format!("{what} {}: {error}", self.partial.display());
        let found = digest_of(&self.partial).map_err(|error| failed("reading", error))?;
        if found != (self.release.digest, self.release.size) {
            fs::remove_file(&self.partial).map_err(|error| failed("removing", error))?;
            // The list of chunks that led to it is not asked again either.
            match fs::remove_file(self.partial.with_extension("index")) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("removing the list of", error)),
                _ => {}
            }
            let (digest, size) = found;
            return Err(format!(
                "what arrived is not the package: {size} bytes of {}, expected {} bytes of {}",
                digest.short(),
                self.release.size,
                self.release.digest.short()
            ));
        }
        // Whole under its final name only once its bytes are on disk: after a power cut the name is believed.
        let synced = fs::File::open(&self.partial).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("syncing", error))?;
        fs::rename(&self.partial, &self.whole).map_err(|error| failed("renaming", error))
    }
}

/// Checks the package and unpacks it to its place; checks the release again if it is there already.
pub(super) fn stage(settings: &Settings, slots: &Slots, release: &ReleaseRef) -> Result<(), StageError> {
    let key = procedures::read_key(&settings.package.key_file, "package.key_file")?;
    let check = |source: &Path| {
        let request = CheckRequest { key: Some(&key), ..CheckRequest::new(source, present()) };
        package::check(&request)
    };
    if slots.contains(release.digest) {
        let problem = match check(&slots.path(release.digest)) {
            Ok(report) => match problem(&report) {
                None => return Ok(()),
                Some(problem) => problem,
            },
            Err(error) => error.to_string(),
        };
        slots.remove(release.digest)?;
        return Err(StageError::DamagedCopy(problem));
    }
    let source = Parcel::of(settings, release).whole;
    let report = check(&source)?;
    let checked = match (problem(&report), report.checked_package()) {
        (None, Some(checked)) => checked,
        (problem, _) => return Err(StageError::Bad(problem.unwrap_or_default())),
    };
    let found = checked.manifest().version();
    if found != release.version {
        let found = found.chars().take(80).collect();
        return Err(StageError::OtherVersion { found, wanted: release.version.clone() });
    }
    package::unpack(&source, &checked, &slots.begin(release.digest)?)?;
    Ok(slots.finish(release.digest)?)
}

/// What keeps a package from being installed: its errors, or a signature that nobody checked.
fn problem(report: &CheckReport) -> Option<String> {
    if !report.is_ok() {
        let shown: Vec<_> = report.errors().iter().take(SHOWN_ERRORS).map(String::as_str).collect();
        let more = report.errors().len().saturating_sub(SHOWN_ERRORS);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        return Some(format!("{}{more}", shown.join("; ")));
    }
    match report.signature() {
        SignatureVerdict::Valid { .. } => None,
        SignatureVerdict::Invalid | SignatureVerdict::NotChecked => Some("its signature was not checked".to_owned()),
    }
}
