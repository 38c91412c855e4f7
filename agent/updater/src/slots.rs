//! The releases on the host: `releases/<digest>/`, never changed once it is there, and `current`, a link to one of them.
//!
//! Everything half done has a name that begins with `.tmp-`. All functions block, and may be interrupted anywhere and
//! called again.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flota_engine::Installed;
use flota_model::Digest;
use flota_package::DEFAULT_MANIFEST;
use serde::Deserialize;

const RELEASES: &str = "releases";
pub(crate) const CURRENT: &str = "current";
const TEMPORARY: &str = ".tmp-";

/// The releases of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    root: PathBuf,
}

/// Why the releases are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// A file or folder cannot be reached.
    #[error("{what} {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// `current` is not what Flota makes: move it away, or move the release into the layout of `releases/`.
    #[error("{} is not a link to releases/<digest>: Flota does not touch what it did not make", path.display())]
    Foreign {
        /// The link, or whatever it is.
        path: PathBuf,
    },
    /// The release is not on the host.
    #[error("release {} is not on this host", .0.short())]
    Absent(Digest),
}

impl Slots {
    /// The releases below `root`; the folder for them is made if missing.
    pub(crate) fn open(root: &Path) -> Result<Self, SlotError> {
        let slots = Self { root: root.to_owned() };
        let releases = slots.releases();
        fs::create_dir_all(&releases).map_err(at("creating", &releases))?;
        Ok(slots)
    }

    /// The release that `current` names; none if there is no `current`.
    pub(crate) fn current(&self) -> Result<Option<Installed>, SlotError> {
        let link = self.root.join(CURRENT);
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(SlotError::Foreign { path: link }),
            Err(error) => return Err(at("reading the link", &link)(error)),
        };
        let digest = target.strip_prefix(RELEASES).ok().and_then(Path::to_str).and_then(|name| name.parse().ok());
        let digest = digest.ok_or(SlotError::Foreign { path: link })?;
        Ok(Some(Installed { digest, version: self.version(digest) }))
    }

    /// Where a release stands, or will.
    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.releases().join(digest.to_string())
    }

    /// Whether a release is there; it is only ever there whole.
    pub(crate) fn contains(&self, digest: Digest) -> bool {
        self.path(digest).is_dir()
    }

    /// An empty folder to unpack a release into.
    pub(crate) fn begin(&self, digest: Digest) -> Result<PathBuf, SlotError> {
        let path = self.temporary(digest);
        remove(&path)?;
        fs::create_dir(&path).map_err(at("creating", &path))?;
        Ok(path)
    }

    /// Makes the folder from [`Self::begin`], whose contents are on disk, the release.
    pub(crate) fn finish(&self, digest: Digest) -> Result<(), SlotError> {
        let path = self.path(digest);
        fs::rename(self.temporary(digest), &path).map_err(at("placing the release", &path))?;
        Self::sync(&self.releases())
    }

    /// Lets `current` name this release: at any instant it names the one before, or this one.
    pub(crate) fn point(&self, digest: Digest) -> Result<(), SlotError> {
        if !self.contains(digest) {
            return Err(SlotError::Absent(digest));
        }
        let link = self.root.join(CURRENT);
        let new = self.root.join(format!("{TEMPORARY}{CURRENT}"));
        remove(&new)?;
        symlink(Path::new(RELEASES).join(digest.to_string()), &new).map_err(at("creating the link", &new))?;
        fs::rename(&new, &link).map_err(at("moving the link", &link))?;
        Self::sync(&self.root)
    }

    /// Lets `current` name nothing.
    pub(crate) fn unpoint(&self) -> Result<(), SlotError> {
        remove(&self.root.join(CURRENT))?;
        Self::sync(&self.root)
    }

    /// Takes a release away. Its name goes first, so that what is left of it is never taken for a release.
    pub(crate) fn remove(&self, digest: Digest) -> Result<(), SlotError> {
        let (path, aside) = (self.path(digest), self.temporary(digest));
        remove(&aside)?;
        match fs::rename(&path, &aside) {
            Ok(()) => remove(&aside),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(at("removing the release", &path)(error)),
        }
    }

    /// Removes what is half done, and every release but `keep` and the one that `current` names.
    pub(crate) fn sweep(&self, keep: &[Digest]) -> Result<(), SlotError> {
        let current = self.current()?.map(|installed| installed.digest);
        let releases = self.releases();
        for entry in fs::read_dir(&releases).map_err(at("listing", &releases))? {
            let entry = entry.map_err(at("listing", &releases))?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            match name.parse::<Digest>() {
                Ok(digest) if keep.contains(&digest) || current == Some(digest) => {}
                Ok(digest) => self.remove(digest)?,
                Err(_) if name.starts_with(TEMPORARY) => remove(&entry.path())?,
                // Somebody else's; not ours to remove.
                Err(_) => {}
            }
        }
        remove(&self.root.join(format!("{TEMPORARY}{CURRENT}")))
    }

    /// The folders of all releases here.
    pub(crate) fn folders(&self) -> Result<Vec<PathBuf>, SlotError> {
        let releases = self.releases();
        let mut folders = Vec::new();
        for entry in fs::read_dir(&releases).map_err(at("listing", &releases))? {
            let entry = entry.map_err(at("listing", &releases))?;
            if entry.file_name().to_str().is_some_and(|name| name.parse::<Digest>().is_ok()) {
                folders.push(entry.path());
            }
        }
        Ok(folders)
    }

    fn releases(&self) -> PathBuf {
        self.root.join(RELEASES)
    }

    fn temporary(&self, digest: Digest) -> PathBuf {
        self.releases().join(format!("{TEMPORARY}{digest}"))
    }

    /// The version in a release's manifest; empty when it cannot be read. For people only, so no reason to fail.
    fn version(&self, digest: Digest) -> String {
        #[derive(Deserialize)]
        struct Manifest {
            version: String,
        }
        let text = fs::read(self.path(digest).join(DEFAULT_MANIFEST)).unwrap_or_default();
        serde_json::from_slice(&text).map(|Manifest { version }| version).unwrap_or_default()
    }

    fn sync(folder: &Path) -> Result<(), SlotError> {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("syncing", folder))
    }
}

/// Removes a file, a link or a folder with all that is in it; fine if nothing is there.
fn remove(path: &Path) -> Result<(), SlotError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at("removing", path)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SlotError {
    let path = path.to_owned();
    move |source| SlotError::Io { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(slots: &Slots, name: &str) -> Digest {
        let digest = Digest::of(name.as_bytes());
        let folder = slots.begin(digest).unwrap();
        fs::write(folder.join(DEFAULT_MANIFEST), format!("{{\"version\": \"{name}\", \"id\": 1}}")).unwrap();
        slots.finish(digest).unwrap();
        digest
    }

    #[test]
    fn current_names_one_release_after_the_other() {
        let root = tempfile::tempdir().unwrap();
        let slots = Slots::open(root.path()).unwrap();
        assert_eq!(slots.current().unwrap(), None);
        let (old, new) = (release(&slots, "1.0"), release(&slots, "2.0"));
        for (digest, version) in [(old, "1.0"), (new, "2.0"), (new, "2.0"), (old, "1.0")] {
            slots.point(digest).unwrap();
            assert_eq!(slots.current().unwrap(), Some(Installed { digest, version: version.into() }));
            assert!(root.path().join("current/manifest.json").is_file());
        }
        assert!(matches!(slots.point(Digest::of(b"never seen")), Err(SlotError::Absent(_))));
        slots.unpoint().unwrap();
        slots.unpoint().unwrap();
        assert_eq!(slots.current().unwrap(), None);
    }

    #[test]
    fn a_sweep_takes_leftovers_and_old_releases_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let slots = Slots::open(root.path()).unwrap();
        let [current, previous, old] = ["3.0", "2.0", "1.0"].map(|name| release(&slots, name));
        slots.point(current).unwrap();
        fs::write(slots.begin(Digest::of(b"half")).unwrap().join("file"), "x").unwrap();
        symlink("releases/x", root.path().join(".tmp-current")).unwrap();
        fs::create_dir(root.path().join("releases/somebody else's")).unwrap();

        slots.sweep(&[previous]).unwrap();
        assert!(slots.contains(current) && slots.contains(previous) && !slots.contains(old));
        let left = fs::read_dir(root.path().join("releases")).unwrap().count();
        assert_eq!(left, 3, "the stranger stays, the half release does not");
        assert!(fs::symlink_metadata(root.path().join(".tmp-current")).is_err());
    }

    #[test]
    fn a_current_of_other_hands_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let slots = Slots::open(root.path()).unwrap();
        let link = root.path().join("current");
        symlink("/opt/elsewhere", &link).unwrap();
        assert!(matches!(slots.current(), Err(SlotError::Foreign { .. })));
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        assert!(matches!(slots.current(), Err(SlotError::Foreign { .. })));
    }
}
