//! Releases on their way by hand: a folder with signed metadata and packages, on a memory stick for instance.
//!
//! It has the layout of the folder in which releases are signed, so that folder is a bundle as well. Nothing in it is
//! believed for being there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use flota_package::durable::{self, WriteError};

use crate::catalogue::{Entry, inspect_list};
use crate::desk::{Desk, DeskError, METADATA, TARGETS};
use crate::names::is_metadata_name;
use crate::refusal::Refusal;
use crate::source::{Folder, MAX_METADATA_BYTES};

/// Metadata and packages are public.
const MODE: u32 = 0o644;
/// Ending of the lists of releases; before it comes their version.
const LIST: &str = ".targets.json";

/// A folder of releases.
#[derive(Debug, Clone)]
pub struct Bundle {
    folder: PathBuf,
    entries: Vec<Entry>,
}

/// Why a folder is no bundle, or none was made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no list of releases.
    #[error("{} holds no signed releases: it must have a folder metadata with a list (flota release export makes one)", .0.display())]
    NoList(PathBuf),
    /// The list cannot be read.
    #[error("the list of releases in {} cannot be used: {why}", folder.display())]
    List {
        /// Where.
        folder: PathBuf,
        /// Why.
        why: Refusal,
    },
    /// There is no such release, or not its package.
    #[error("{}: there is no package of {wanted}; there is {}", folder.display(), if there.is_empty() { "none" } else { there })]
    NoPackage {
        /// Where.
        folder: PathBuf,
        /// Of what.
        wanted: String,
        /// Versions that are there, for people.
        there: String,
    },
    /// A file cannot be reached.
    #[error("reaching {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What it is made of.
    #[error(transparent)]
    Desk(#[from] DeskError),
}

impl Bundle {
    /// Reads the newest list in a folder, whoever signed it.
    pub fn open(folder: &Path) -> Result<Self, BundleError> {
        let metadata = folder.join(METADATA);
        let failed = |source| BundleError::Io { path: metadata.clone(), source };
        let files = match fs::read_dir(&metadata) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(BundleError::NoList(folder.to_owned())),
            Err(error) => return Err(failed(error)),
        };
        let mut newest: Option<(u64, String)> = None;
        for file in files {
            let name = file.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let version =
                name.strip_suffix(LIST).filter(|_| is_metadata_name(&name)).and_then(|text| text.parse().ok());
            if let Some(version) = version {
                newest = newest.max(Some((version, name)));
            }
        }
        let Some((_, name)) = newest else { return Err(BundleError::NoList(folder.to_owned())) };
        let path = metadata.join(name);
        let bytes = read_bounded(&path).map_err(|source| BundleError::Io { path, source })?;
        let listed = inspect_list(&bytes).map_err(|why| BundleError::List { folder: folder.to_owned(), why })?;
        Ok(Self { folder: folder.to_owned(), entries: listed })
    }

    /// The release of this version, or the newest, of those that serve and whose package is here.
    pub fn choose(&self, version: Option<&str>, serves: impl Fn(&Entry) -> bool) -> Result<&Entry, BundleError> {
        let is_wanted = |entry: &&Entry| version.is_none_or(|version| version == entry.terms.version);
        let here = |entry: &&Entry| serves(entry) && self.package(entry).is_file();
        let chosen = self.entries.iter().rev().filter(is_wanted).find(here);
        chosen.ok_or_else(|| {
            let there: Vec<_> = self.entries.iter().filter(here).map(|entry| entry.terms.version.as_str()).collect();
            let wanted = version.unwrap_or("any release").to_owned();
            BundleError::NoPackage { folder: self.folder.clone(), wanted, there: there.join(", ") }
        })
    }

    /// Where the package of a release is, if it is here.
    pub fn package(&self, entry: &Entry) -> PathBuf {
        self.folder.join(TARGETS).join(format!("{}.{}", entry.digest, entry.name))
    }

    /// The metadata, for whoever verifies them.
    pub fn metadata(&self) -> Folder {
        Folder(self.folder.join(METADATA))
    }

    /// Makes a bundle of signed releases in `to`: all metadata, and the packages of these. The list is written last, so that
    /// half of a bundle is none.
    pub fn make(desk: &Desk, entries: &[&Entry], to: &Path) -> Result<Self, BundleError> {
        for name in [METADATA, TARGETS] {
            let path = to.join(name);
            fs::create_dir_all(&path).map_err(|source| BundleError::Io { path, source })?;
        }
        let whole = Self { folder: to.to_owned(), entries: entries.iter().map(|entry| (*entry).clone()).collect() };
        for entry in entries {
            let (from, into) = (desk.package(entry), whole.package(entry));
            copy(&from, &into).map_err(|source| BundleError::Io { path: into, source })?;
        }
        let files: BTreeMap<_, _> = desk.files()?;
        let (lists, others): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name.ends_with(LIST));
        for (name, bytes) in others.into_iter().chain(lists) {
            durable::write_file(&to.join(METADATA).join(name), MODE, bytes)?;
        }
        Ok(whole)
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_METADATA_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// On the stick when this returns, whatever the system had in mind.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}
