//! What a folder holds: names, sizes, modes, owners and links; contents only where they are asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

/// Entries that a backup may have. An installation has thousands; more is another folder given by mistake.
pub const MAX_TREE_ENTRIES: usize = 1 << 20;
/// Folders in each other. Deeper ones are no installation.
const MAX_DEPTH: usize = 64;

/// Everything below a folder, by its path from there, folders before what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub(super) BTreeMap<PathBuf, Entry>);

/// One of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder(Attributes),
    /// A regular file of so many bytes.
    File(Attributes, u64),
    /// A link to a place below the same root.
    Link(PathBuf),
}

/// Whose it is, and who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, as of `chmod`.
    pub(super) mode: u32,
    /// Owner.
    pub(super) uid: u32,
    /// Group.
    pub(super) gid: u32,
}

/// What to make of links that leave the folder, and of devices, sockets and pipes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strangers {
    Refused,
    Ignored,
}

/// Why a folder cannot serve as a backup.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Something in it cannot be read.
    #[error("looking at {}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A device, a socket or a pipe: not part of an installation. Leave it out of the backup.
    #[error("{} is neither file, folder nor link: leave it out of the backup", path.display())]
    Special {
        /// What.
        path: PathBuf,
    },
    /// A link that leaves the backup: restored, it would let files land anywhere.
    #[error("{} is a link that leaves the backup", path.display())]
    Escapes {
        /// The link.
        path: PathBuf,
    },
    /// It is too large or too deep.
    #[error("{} has more than {MAX_TREE_ENTRIES} entries or {MAX_DEPTH} folders in each other: is it a backup?", path.display())]
    TooMuch {
        /// The folder.
        path: PathBuf,
    },
}

impl Tree {
    /// Lists what is below `root`. Links are not followed.
    pub fn scan(root: &Path) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        tree.add(root, Path::new(""), 0, Strangers::Refused)?;
        Ok(tree)
    }

    /// The same for a host, where sockets and links that lead elsewhere are as they should be.
    pub fn scan_host(root: &Path) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        tree.add(root, Path::new(""), 0, Strangers::Ignored)?;
        Ok(tree)
    }

    /// Every entry, folders before what is in them.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    fn add(&mut self, root: &Path, folder: &Path, depth: usize, strangers: Strangers) -> Result<(), TreeError> {
        let at = |path: &Path| {
            let path = root.join(path);
            move |source| TreeError::Io { path, source }
        };
        if depth > MAX_DEPTH {
            return Err(TreeError::TooMuch { path: root.to_owned() });
        }
        for found in fs::read_dir(root.join(folder)).map_err(at(folder))? {
            let path = folder.join(found.map_err(at(folder))?.file_name());
            if self.0.len() >= MAX_TREE_ENTRIES {
                return Err(TreeError::TooMuch { path: root.to_owned() });
            }
            let metadata = fs::symlink_metadata(root.join(&path)).map_err(at(&path))?;
            let attributes = Attributes { mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid() };
            if metadata.is_dir() {
                self.0.insert(path.clone(), Entry::Folder(attributes));
                self.add(root, &path, depth + 1, strangers)?;
            } else if metadata.is_file() {
                self.0.insert(path, Entry::File(attributes, metadata.len()));
            } else if metadata.is_symlink() {
                let target = fs::read_link(root.join(&path)).map_err(at(&path))?;
                if strangers == Strangers::Refused && !stays_inside(folder, &target) {
                    return Err(TreeError::Escapes { path: root.join(&path) });
                }
                self.0.insert(path, Entry::Link(target));
            } else if strangers == Strangers::Refused {
                return Err(TreeError::Special { path: root.join(&path) });
            }
        }
        Ok(())
    }
}

/// Whether a link in `folder` leads to a place below the root, judged by its text alone.
fn stays_inside(folder: &Path, target: &Path) -> bool {
    let mut depth = folder.components().count();
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}
