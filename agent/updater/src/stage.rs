//! From bytes that arrived to a release that may be started: digest, signature, manifest, every file. All blocking.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use flota_model::Digest;
use flota_model::release::ReleaseRef;
use flota_package::{CannotCheck, CheckReport, CheckRequest, SignatureVerdict, UnpackError};
use rustix::fs::{Mode, OFlags};

use crate::files::{KeyFileError, digest_of, pass, present, read_key};
use crate::outside::Origin;
use crate::settings::{Component, Home, UpdaterSettings};
use crate::slots::{SlotError, Slots};

/// Errors of a package that are told; the rest is in the output of the check.
const SHOWN_ERRORS: usize = 3;

/// The type of an artifact that is a difference to another release (manual §2).
const DIFF: &str = "diff";

/// Why a package is not installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
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
    #[error("the package holds {id}, which is no {wanted}")]
    OtherProgram { id: String, wanted: &'static str },
    /// Placed as it is, it would be a bot with patches in the place of its files.
    #[error(
        "the package holds differences to {base}, which hosts do not apply: build it whole, and uncompressed; what a host has it \
         does not fetch"
    )]
    Difference { base: String },
    #[error("unpacking the package")]
    Unpack(#[from] UnpackError),
    #[error("placing the release")]
    Slot(#[from] SlotError),
}

/// Where packages are that were found right.
pub(crate) fn downloads(settings: &UpdaterSettings) -> PathBuf {
    settings.state_dir.join("downloads")
}

/// Removes everything that arrived.
pub(crate) fn discard(downloads: &Path) -> Result<(), String> {
    match fs::remove_dir_all(downloads) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(format!("removing {}: {error}", downloads.display())),
        _ => Ok(()),
    }
}

/// A package on its way: under one name while it arrives, under another once its digest was found right.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    release: ReleaseRef,
    /// Where the outside brings it.
    partial: PathBuf,
    /// Where it is once it was found right: out of reach of whoever brought it.
    whole: PathBuf,
    custody: Custody,
}

/// Whose the bytes are that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Custody {
    /// This very process's.
    Ours,
    /// Another user's, who may change them at any time: they are copied, and the copy is looked at.
    Theirs,
}

impl Parcel {
    pub(crate) fn of(settings: &UpdaterSettings, origin: Origin, release: &ReleaseRef) -> Self {
        let named = |folder: PathBuf, ending| folder.join(format!("{}.{ending}", release.digest));
        let whole = named(downloads(settings), "package");
        let (arriving, custody) = match (&settings.home, origin) {
            (Home::Supervisor { .. }, Origin::Controller) => (settings.downloads(), Custody::Theirs),
            // A person who may ask for updates could stop this process anyway.
            (Home::Agent, _) | (_, Origin::Host) => (downloads(settings), Custody::Ours),
        };
        Self { release: release.clone(), partial: named(arriving, "partial"), whole, custody }
    }

    pub(crate) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Bytes that have arrived so far.
    pub(crate) fn received(&self) -> u64 {
        fs::metadata(&self.partial).map_or(0, |metadata| metadata.len())
    }

    /// Makes room, and says whether the package is here already.
    pub(crate) fn prepare(&self) -> Result<bool, String> {
        if self.whole.is_file() {
            return Ok(true);
        }
        let folder = self.whole.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
        Ok(false)
    }

    /// Verifies what arrived. What is wrong is removed, so that the next attempt does not resume from it.
    pub(crate) fn complete(&self) -> Result<(), String> {
        let failed = |what: &str, path: &Path, error: io::Error| format!("{what} {}: {error}", path.display());
        let (ready, found) = match self.custody {
            Custody::Ours => (self.partial.clone(), digest_of(&self.partial)),
            Custody::Theirs => {
                let copy = self.whole.with_extension("taken");
                let found = self.take_over(&copy);
                (copy, found)
            }
        };
        let found = found.map_err(|error| failed("reading", &self.partial, error))?;
        if found != (self.release.digest, self.release.size) {
            // The list of chunks that led to it is not asked again either.
            for path in [&self.partial, &self.partial.with_extension("index"), &ready] {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("removing", path, error)),
                    _ => {}
                }
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
        let synced = File::open(&ready).and_then(|file| file.sync_all());
        synced.map_err(|error| failed("syncing", &ready, error))?;
        fs::rename(&ready, &self.whole).map_err(|error| failed("renaming", &ready, error))
    }

    /// Copies what arrived, a plain file and no more of it than was announced, and says what the copy is.
    fn take_over(&self, copy: &Path) -> io::Result<(Digest, u64)> {
        // No link is followed, and no pipe waited for: whoever brought it chose what is there.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.partial, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        pass(&mut file.take(self.release.size.saturating_add(1)), &mut File::create(copy)?)
    }
}

/// Checks the package and unpacks it to its place; checks the release again if it is there already.
pub(crate) fn stage(settings: &UpdaterSettings, slots: &Slots, release: &ReleaseRef) -> Result<(), StageError> {
    let key = read_key(&settings.package.key_file, "package.key_file")?;
    let check = |source: &Path| {
        let request = CheckRequest { key: Some(&key), ..CheckRequest::new(source, present()) };
        flota_package::check(&request)
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
    let source = downloads(settings).join(format!("{}.package", release.digest));
    let report = check(&source)?;
    let checked = match (problem(&report), report.checked_package()) {
        (None, Some(checked)) => checked,
        (problem, _) => return Err(StageError::Bad(problem.unwrap_or_default())),
    };
    let (id, component) = (checked.manifest().id().unwrap_or_default(), settings.package.component);
    if !holds(component, id) {
        let id = id.chars().take(80).collect();
        return Err(StageError::OtherProgram { id, wanted: component.name() });
    }
    if let Some(patch) = checked.manifest().artifacts().iter().find(|artifact| artifact.kind() == Some(DIFF)) {
        let base = patch.base_id().unwrap_or("a base that it does not name").chars().take(80).collect();
        return Err(StageError::Difference { base });
    }
    let found = checked.manifest().version();
    if found != release.version {
        let found = found.chars().take(80).collect();
        return Err(StageError::OtherVersion { found, wanted: release.version.clone() });
    }
    flota_package::unpack(&source, &checked, &slots.begin(release.digest)?)?;
    Ok(slots.finish(release.digest)?)
}

/// Whether a package with this id holds that: Flota's own programs are told apart from bots, whoever signs both.
fn holds(component: Component, id: &str) -> bool {
    match component.package_id() {
        Some(wanted) => id == wanted,
        None => !Component::ALL.iter().any(|other| other.package_id() == Some(id)),
    }
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
