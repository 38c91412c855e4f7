//! One database, back to what it was.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::database::{self, BESIDE, Schema};
use crate::error::{IoContext as _, SnapshotError};
use crate::{COPIES, REPLACED, copy};

/// Ending of the copy that is about to take the database's place.
const COMING: &str = "-flota-restore";

/// Replaces the database unless it has this schema; says whether it did. What was there is put aside first, so a crash
/// leaves it missing at worst, and then this does it again.
pub(crate) fn database(root: &Path, path: &Path, schema: &Schema, snapshot: &Path) -> Result<bool, SnapshotError> {
    let present = root.join(path);
    if database::schema(&present).as_ref() == Some(schema) {
        return Ok(false);
    }
    let folder = present.parent().unwrap_or(root);
    fs::create_dir_all(folder).doing("making", folder)?;
    let coming = beside(&present, COMING);
    let copied = snapshot.join(COPIES).join(path);
    fs::copy(&copied, &coming).doing("copying", &copied)?;
    copy::be_like(&copied, &coming)?;
    copy::sync(&coming)?;

    let aside = snapshot.join(REPLACED).join(path);
    let aside_folder = aside.parent().unwrap_or(snapshot);
    fs::create_dir_all(aside_folder).doing("making", aside_folder)?;
    // The log of changes first: without its database it is nothing, and before another one it would be damage.
    for suffix in BESIDE.into_iter().chain([""]) {
        put_aside(&beside(&present, suffix), &beside(&aside, suffix))?;
    }
    fs::rename(&coming, &present).doing("putting in place", &present)?;
    copy::sync(folder)?;
    Ok(true)
}

/// Moves a file, if it is there, over what an interrupted attempt had put there.
fn put_aside(from: &Path, to: &Path) -> Result<(), SnapshotError> {
    match fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // The snapshots may be on another file system.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to).doing("putting aside", from)?;
            copy::sync(to)?;
            fs::remove_file(from).doing("removing", from)
        }
        Err(error) => Err(error).doing("putting aside", from),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
