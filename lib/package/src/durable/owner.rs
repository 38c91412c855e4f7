//! Whose a new file is.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;

/// Gives what root has just made in a folder to the folder's owner.
pub(super) fn inherit(made: &File, folder: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(folder)?;
    if owner.uid() == 0 { Ok(()) } else { fchown(made, Some(owner.uid()), Some(owner.gid())) }
}

/// Opens a file that is there to be locked, making it if need be.
pub fn lock_file(path: &Path) -> io::Result<File> {
    match File::options().append(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = File::options().create(true).append(true).open(path)?;
            inherit(&file, &super::folder_of(path))?;
            Ok(file)
        }
        opened => opened,
    }
}

/// Makes a folder and those above it, as far as they are missing.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = super::folder_of(path);
    // The folder above `/` and `.` is there.
    make_folder(&above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(()),
        Ok(()) => inherit(&File::open(path)?, &above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_file;

    /// Only root can give files away; for everybody else they stay what they are.
    #[test]
    fn what_root_makes_in_a_folder_belongs_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let own = rustix::process::geteuid();
        let owner = if own.is_root() { 65534 } else { own.as_raw() };
        std::os::unix::fs::chown(folder.path(), Some(owner), None).unwrap();
        make_folder(&folder.path().join("a/b")).unwrap();
        make_folder(&folder.path().join("a/b")).unwrap();
        write_file(&folder.path().join("a/b/file"), 0o600, b"x").unwrap();
        lock_file(&folder.path().join("a/lock")).unwrap();
        lock_file(&folder.path().join("a/lock")).unwrap();
        for name in ["a", "a/b", "a/b/file", "a/lock"] {
            assert_eq!(fs::metadata(folder.path().join(name)).unwrap().uid(), owner, "{name}");
        }
    }
}
