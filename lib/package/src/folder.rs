//! A package that is a folder: walked without following links, listed files hashed on all cores.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::digest::{Digester, FileFacts, Wanted};
use super::inventory::{FaultCode, Inventory};
use super::limits::{Limits, MAX_SIGNATURE_BYTES};
use super::manifest::{Artifact, Manifest};
use super::path::{MAX_PATH_DEPTH, PackagePath};
use super::progress::{Progress, Watched};
use super::source::Companions;

/// Most threads that hash at a time. Beyond it the disk is the limit, and each thread holds buffers.
const MAX_THREADS: usize = 16;

/// Why a folder cannot be walked.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Reading a folder or one of its entries failed.
    #[error("reading {path} in the package failed")]
    Read {
        /// The folder or file, relative to the package; `.` is the package.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// More entries than a package may have.
    #[error("the package has more than {0} files and folders")]
    TooManyEntries(u64),
    /// The manifest or its signature is too large to be one.
    #[error("{path} has more than {most} bytes")]
    TooLarge {
        /// The file, relative to the package.
        path: String,
        /// The limit, in bytes.
        most: u64,
    },
}

/// A folder, open.
#[derive(Debug)]
pub(super) struct Folder {
    root: OwnedFd,
}

impl Folder {
    /// Opens the folder. `path` itself may lead through links; nothing in it may.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Lists the folder and reads the manifest and the signature.
    pub(super) fn list(&self, companions: &Companions, limits: Limits) -> Result<Inventory, FolderError> {
        let mut inventory = Inventory::default();
        self.walk(&mut inventory, limits)?;
        if inventory.files.remove(&companions.manifest).is_some() {
            inventory.manifest = Some(self.read_small(&companions.manifest, limits.manifest_bytes)?);
        }
        for name in companions.signatures.iter().rev() {
            if inventory.files.remove(name).is_some() {
                inventory.signature = Some((name.clone(), self.read_small(name, MAX_SIGNATURE_BYTES)?));
            }
        }
        Ok(inventory)
    }

    /// Hashes the files that the manifest lists, each once. A file of the wrong size is not worth hashing.
    pub(super) fn hash_listed(&self, manifest: &Manifest, inventory: &mut Inventory, progress: &Progress) {
        let mut jobs = BTreeMap::<&PackagePath, Job>::new();
        for artifact in manifest.artifacts() {
            let Ok(path) = artifact.path() else { continue };
            let Some(facts) = inventory.files.get(path) else { continue };
            if artifact.size().is_none_or(|size| size == facts.size) {
                let wanted = wanted_by(artifact);
                jobs.entry(path)
                    .and_modify(|job| job.wanted = if job.wanted == wanted { wanted } else { Wanted::Both })
                    .or_insert(Job { path, size: facts.size, wanted });
            }
        }
        for (path, result) in self.hash_all(jobs.into_values().collect(), progress) {
            match result {
                Ok(facts) => drop(inventory.files.insert(path, facts)),
                Err(error) => {
                    inventory.fault(
                        path.as_str().as_bytes(),
                        FaultCode::Unreadable,
                        format!("reading it failed: {error}"),
                    );
                }
            }
        }
    }

    /// Both digests of every file.
    pub(super) fn hash_files(
        &self,
        files: &BTreeMap<PackagePath, FileFacts>,
    ) -> Vec<(PackagePath, io::Result<FileFacts>)> {
        let jobs = files.iter().map(|(path, facts)| Job { path, size: facts.size, wanted: Wanted::Both }).collect();
        self.hash_all(jobs, &Progress::default())
    }

    /// Opens a regular file of the package for reading, refusing links on the way.
    pub(super) fn open_file(&self, path: &PackagePath) -> io::Result<File> {
        let (folders, name) = path.split();
        let mut folder = None;
        for part in folders {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let above = folder.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            folder = Some(rustix::fs::openat(above, part, flags, Mode::empty())?);
        }
        let above = folder.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
        // NONBLOCK: a pipe that took the file's place since the walk must not hang the check.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(above, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file any more"));
        }
        Ok(file)
    }

    pub(super) fn read_small(&self, path: &PackagePath, most: u64) -> Result<Vec<u8>, FolderError> {
        let failed = |source| FolderError::Read { path: path.to_string(), source };
        let mut data = Vec::new();
        self.open_file(path).map_err(failed)?.take(most + 1).read_to_end(&mut data).map_err(failed)?;
        if data.len() as u64 > most {
            return Err(FolderError::TooLarge { path: path.to_string(), most });
        }
        Ok(data)
    }

    /// Names every entry; regular files land in `files` with their sizes.
    fn walk(&self, inventory: &mut Inventory, limits: Limits) -> Result<(), FolderError> {
        let mut entries = 0;
        let mut todo = vec![None::<PackagePath>];
        while let Some(folder) = todo.pop() {
            let shown = folder.as_ref().map_or(".", PackagePath::as_str).to_owned();
            let failed = |errno: Errno| FolderError::Read { path: shown.clone(), source: errno.into() };
            let opened = self.open_folder(folder.as_ref()).map_err(failed)?;
            for entry in Dir::read_from(&opened).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                entries += 1;
                if entries > limits.entries {
                    return Err(FolderError::TooManyEntries(limits.entries));
                }
                let full = match &folder {
                    Some(folder) => [folder.as_str().as_bytes(), b"/", name.to_bytes()].concat(),
                    None => name.to_bytes().to_vec(),
                };
                let stat = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => {
                        if let Some(path) = inventory.admit(&full) {
                            let size = u64::try_from(stat.st_size).unwrap_or_default();
                            inventory.files.insert(path, FileFacts { size, sha256: None, sha384: None });
                        }
                    }
                    FileType::Directory => match PackagePath::parse_bytes(&full) {
                        Ok(path) if path.as_str().split('/').count() < MAX_PATH_DEPTH => todo.push(Some(path)),
                        Ok(_) => inventory.fault(&full, FaultCode::Path, "the folder is too deep".to_owned()),
                        Err(error) => inventory.fault(&full, FaultCode::Path, error.to_string()),
                    },
                    kind => inventory.forbid(&full, kind_name(kind)),
                }
            }
        }
        Ok(())
    }

    fn open_folder(&self, path: Option<&PackagePath>) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |above: BorrowedFd<'_>, part: &str| rustix::fs::openat(above, part, flags, Mode::empty());
        let mut folder = open(self.root.as_fd(), ".")?;
        for part in path.into_iter().flat_map(|path| path.as_str().split('/')) {
            folder = open(folder.as_fd(), part)?;
        }
        Ok(folder)
    }

    fn hash_all(&self, mut jobs: Vec<Job<'_>>, progress: &Progress) -> Vec<(PackagePath, io::Result<FileFacts>)> {
        progress.expect(jobs.iter().map(|job| job.size).sum());
        // The longest first, or one thread ends up alone with it.
        jobs.sort_by_key(|job| std::cmp::Reverse(job.size));
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut digester = Digester::new();
            let mut done = Vec::new();
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((job.path.clone(), self.hash(job, &mut digester, progress)));
            }
            done
        };
        std::thread::scope(|scope| {
            // This thread works as well, so with one core none is started.
            let helpers: Vec<_> = (1..cores.min(MAX_THREADS).min(jobs.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for helper in helpers {
                match helper.join() {
                    Ok(more) => done.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        })
    }

    fn hash(&self, job: &Job<'_>, digester: &mut Digester, progress: &Progress) -> io::Result<FileFacts> {
        // One byte more than the walk saw tells a file that grew, without following one that grows for ever.
        let inner = self.open_file(job.path)?.take(job.size.saturating_add(1));
        let mut reader = Watched { inner, progress };
        digester.digest(&mut reader, job.wanted, &mut |_| Ok(()))
    }
}

/// A file to hash.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    path: &'a PackagePath,
    size: u64,
    wanted: Wanted,
}

fn wanted_by(artifact: &Artifact) -> Wanted {
    match (artifact.sha256(), artifact.sha384()) {
        (Some(_), Some(_)) => Wanted::Both,
        (None, _) => Wanted::Sha384,
        (_, None) => Wanted::Sha256,
    }
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "a special file",
    }
}
