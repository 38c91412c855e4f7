//! How one of Flota's own programs becomes the release that `current` names, and never gets stuck with one that does not run.
//!
//! What the system starts is the installed program, which stays as it was installed. It counts, on disk, and then replaces
//! itself with the release; one that was begun too often without ever coming to rest is passed over, and the installed
//! program runs: it opens the same journal, in which the update goes back.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flota_daemon::error_chain::chain;
use flota_package::durable;
use serde::{Deserialize, Serialize};

use crate::settings::Component;
use crate::slots::CURRENT;

/// The count, in the state folder of the component.
const FILE: &str = "boots.json";
/// Permissions of it: nothing in it is secret.
const MODE: u32 = 0o644;
/// Starts of one release without coming to rest: one is the update's own, one a power cut, one more chance.
const MAX_BOOTS: u32 = 3;

/// How often a release was begun since it last came to rest.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boots {
    /// The folder of the release.
    release: PathBuf,
    count: u32,
}

/// Replaces this program with the release of `component` that `root/current` names. Returns if there is none, if this is it
/// already, or if it does not run; `state_dir` keeps the count.
pub fn hand_over(component: Component, root: &Path, state_dir: &Path) {
    if let Err(error) = try_hand_over(component, root, state_dir) {
        let error = chain(&error);
        tracing::error!(error, "the release of this program does not run; running the installed one");
    }
}

/// The release that runs has come to rest: it counts from nothing again. Without one, nothing is counted.
pub fn settled(state_dir: &Path) {
    match fs::remove_file(state_dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the count of starts cannot be removed");
        }
        _ => {}
    }
}

fn try_hand_over(component: Component, root: &Path, state_dir: &Path) -> io::Result<()> {
    let release = match fs::canonicalize(root.join(CURRENT)) {
        Ok(release) => release,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if std::env::current_exe()?.starts_with(fs::canonicalize(root)?) {
        return Ok(());
    }
    let count = begun(state_dir, &release)?;
    if count > MAX_BOOTS {
        let release = release.display();
        return Err(io::Error::other(format!("{release} was begun {MAX_BOOTS} times and never came to rest")));
    }
    let program = release.join(component.package_id().unwrap_or_default());
    // Returns only if that fails.
    Err(Command::new(program).args(std::env::args_os().skip(1)).exec())
}

/// Counts a start, on disk when this returns.
fn begun(state_dir: &Path, release: &Path) -> io::Result<u32> {
    let path = state_dir.join(FILE);
    let known: Option<Boots> = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let before = known.filter(|boots| boots.release == release).map_or(0, |boots| boots.count);
    let boots = Boots { release: release.to_owned(), count: before.saturating_add(1) };
    durable::make_folder(state_dir)?;
    durable::write_file(&path, MODE, &serde_json::to_vec(&boots)?).map_err(io::Error::other)?;
    Ok(boots.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_is_counted_for_itself_until_it_settles() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Path::new("/releases/1"), Path::new("/releases/2"));
        let counts: Vec<_> = [one, one, other, one, one].map(|release| begun(folder.path(), release).unwrap()).into();
        assert_eq!(counts, [1, 2, 1, 1, 2]);
        settled(folder.path());
        settled(folder.path());
        assert_eq!(begun(folder.path(), one).unwrap(), 1);
        fs::write(folder.path().join(FILE), "{torn").unwrap();
        assert_eq!(begun(folder.path(), one).unwrap(), 1);
    }
}
