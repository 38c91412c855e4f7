//! Puts a checked package on disk: the files that its manifest lists, the manifest and its signature, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::archive::{ArchiveError, EntryKind};
use super::digest::{Digester, FileFacts, Wanted};
use super::folder::Folder;
use super::judge::content_problem;
use super::limits::Limits;
use super::manifest::Artifact;
use super::path::PackagePath;
use super::progress::Progress;
use super::report::CheckedPackage;
use super::source::{OpenError, open_archive};

/// Why a package was not unpacked. What was written so far stays in the folder, which the caller removes.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The folder to unpack into cannot be made, or is not empty.
    #[error("cannot unpack into {}", path.display())]
    Destination {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The package cannot be opened.
    #[error("opening the package {} failed", path.display())]
    Open {
        /// The package.
        path: PathBuf,
        /// The cause.
        source: OpenError,
    },
    /// The archive cannot be read to its end.
    #[error("reading the archive {} failed", path.display())]
    Archive {
        /// The package.
        path: PathBuf,
        /// The cause.
        source: ArchiveError,
    },
    /// A file could not be copied.
    #[error("writing {path} failed")]
    File {
        /// The file, relative to the package.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The package is not what was checked: it was changed since. Check it again.
    #[error("the package was changed after its check: {path}: {problem}")]
    Changed {
        /// The file, relative to the package.
        path: String,
        /// How it differs.
        problem: String,
    },
}

/// Unpacks a package into `destination`, a new or empty folder, and makes it durable.
///
/// Files get mode 0755 if the package has them executable, else 0644; folders 0755. Links and special files are refused, each
/// file's size and digests are verified while it is written. Give a temporary folder and rename it: a failure leaves part of the files.
///
/// # Errors
/// [`UnpackError`].
pub fn unpack(source: &Path, package: &CheckedPackage, destination: &Path) -> Result<(), UnpackError> {
    let promises = Promises::of(package);
    let mut target = Target::create(destination)?;
    let metadata = fs::metadata(source)
        .map_err(|error| UnpackError::Open { path: source.to_owned(), source: OpenError::Io(error) })?;
    if metadata.is_dir() {
        copy_folder(source, &promises, &mut target)?;
    } else {
        unpack_archive(source, &promises, &mut target)?;
    }
    if let Some(missing) = promises.0.keys().find(|path| !target.written.contains(*path)) {
        let problem = "it is not in the package any more".to_owned();
        return Err(UnpackError::Changed { path: missing.to_string(), problem });
    }
    target.sync().map_err(|source| UnpackError::Destination { path: destination.to_owned(), source })
}

fn unpack_archive(source: &Path, promises: &Promises<'_>, target: &mut Target) -> Result<(), UnpackError> {
    let unwatched = Progress::default();
    let mut archive = open_archive(source, Limits::default(), &unwatched)
        .map_err(|error| UnpackError::Open { path: source.to_owned(), source: error })?;
    let damaged = |error| UnpackError::Archive { path: source.to_owned(), source: error };
    while let Some(entry) = archive.next().map_err(damaged)? {
        match entry.kind {
            EntryKind::Folder => continue,
            EntryKind::Forbidden(kind) => {
                let path = String::from_utf8_lossy(&entry.name).into_owned();
                return Err(UnpackError::Changed { path, problem: format!("it is {kind}") });
            }
            EntryKind::File => {}
        }
        // A name that breaks a rule cannot have been promised: it is skipped with everything unlisted.
        let Ok(path) = PackagePath::parse_bytes(&entry.name) else { continue };
        if let Some(promise) = promises.0.get(&path) {
            promise.expect_size(&path, entry.size)?;
            target.write(&path, promise, entry.executable, &mut archive)?;
        }
    }
    Ok(())
}

fn copy_folder(source: &Path, promises: &Promises<'_>, target: &mut Target) -> Result<(), UnpackError> {
    let folder = Folder::open(source)
        .map_err(|error| UnpackError::Open { path: source.to_owned(), source: OpenError::Io(error) })?;
    for (path, promise) in &promises.0 {
        let failed = |source| UnpackError::File { path: path.to_string(), source };
        let file = folder.open_file(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        promise.expect_size(path, metadata.len())?;
        let executable = metadata.permissions().mode() & 0o100 != 0;
        target.write(path, promise, executable, &mut file.take(metadata.len().saturating_add(1)))?;
    }
    Ok(())
}

/// What each file must turn out to be.
struct Promises<'a>(BTreeMap<PackagePath, Promise<'a>>);

#[derive(Default)]
struct Promise<'a> {
    artifacts: Vec<&'a Artifact>,
    companion: Option<FileFacts>,
}

impl<'a> Promises<'a> {
    fn of(package: &'a CheckedPackage) -> Self {
        let mut promises = BTreeMap::<PackagePath, Promise<'a>>::new();
        for artifact in package.manifest.artifacts() {
            if let Ok(path) = artifact.path() {
                promises.entry(path.clone()).or_default().artifacts.push(artifact);
            }
        }
        for (path, facts) in &package.companions {
            promises.entry(path.clone()).or_default().companion = Some(*facts);
        }
        Self(promises)
    }
}

impl Promise<'_> {
    /// Refuses a wrong size before anything is written: a promise bounds the disk it takes.
    fn expect_size(&self, path: &PackagePath, size: u64) -> Result<(), UnpackError> {
        let promised = self.artifacts.iter().filter_map(|artifact| artifact.size());
        match promised.chain(self.companion.map(|facts| facts.size)).find(|promised| *promised != size) {
            None => Ok(()),
            Some(promised) => Err(UnpackError::Changed {
                path: path.to_string(),
                problem: format!("it has {size} bytes, {promised} were promised"),
            }),
        }
    }

    fn problem(&self, facts: &FileFacts) -> Option<String> {
        let broken = self.artifacts.iter().find_map(|artifact| content_problem(artifact, facts));
        let companion = self.companion.filter(|companion| companion.sha256 != facts.sha256);
        broken
            .map(|(_, message)| message)
            .or_else(|| companion.map(|_| "it is not the file that was checked".to_owned()))
    }
}

/// The folder being filled.
struct Target {
    root: OwnedFd,
    parent: PathBuf,
    folders: BTreeSet<String>,
    written: BTreeSet<PackagePath>,
    digester: Digester,
}

const FOLDER_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Target {
    fn create(path: &Path) -> Result<Self, UnpackError> {
        let failed = |source: io::Error| UnpackError::Destination { path: path.to_owned(), source };
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        if fs::read_dir(path).map_err(failed)?.next().is_some() {
            return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
        }
        let root = rustix::fs::open(path, FOLDER_FLAGS, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self {
            root,
            parent: parent.to_owned(),
            folders: BTreeSet::new(),
            written: BTreeSet::new(),
            digester: Digester::new(),
        })
    }

    fn write(
        &mut self,
        path: &PackagePath,
        promise: &Promise<'_>,
        executable: bool,
        reader: &mut dyn Read,
    ) -> Result<(), UnpackError> {
        let failed = |source| UnpackError::File { path: path.to_string(), source };
        let mut file = self.create_file(path, executable).map_err(failed)?;
        let written = self.digester.digest(reader, Wanted::Both, &mut |block| file.write_all(block));
        let facts = written.map_err(failed)?;
        if let Some(problem) = promise.problem(&facts) {
            return Err(UnpackError::Changed { path: path.to_string(), problem });
        }
        file.sync_all().map_err(failed)?;
        self.written.insert(path.clone());
        Ok(())
    }

    fn create_file(&mut self, path: &PackagePath, executable: bool) -> io::Result<File> {
        let mut folder = None::<OwnedFd>;
        let (parts, name) = path.split();
        let mut so_far = String::new();
        for part in parts {
            let above = folder.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            folder = Some(open_or_make_folder(above, part)?);
            so_far.push_str(part);
            so_far.push('/');
            if !self.folders.contains(&so_far) {
                self.folders.insert(so_far.clone());
            }
        }
        let above = folder.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
        // EXCL refuses a second entry of the same name, and whatever a link would lead to.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(above, name, flags, Mode::from_raw_mode(0o600))?);
        // The process's umask must not decide who can read an installation.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(if executable { 0o755 } else { 0o644 }))?;
        Ok(file)
    }

    /// Makes the names durable: every folder made, the root, and the root's own name.
    fn sync(&self) -> io::Result<()> {
        for folder in &self.folders {
            let mut current = None::<OwnedFd>;
            for part in folder.split_terminator('/') {
                let above = current.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
                current = Some(rustix::fs::openat(above, part, FOLDER_FLAGS, Mode::empty())?);
            }
            if let Some(current) = current {
                rustix::fs::fsync(&current)?;
            }
        }
        rustix::fs::fsync(&self.root)?;
        File::open(&self.parent)?.sync_all()
    }
}

fn open_or_make_folder(above: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(rustix::fs::openat(above, name, FOLDER_FLAGS, Mode::empty())?),
        Err(errno) => Err(errno.into()),
    }
}
