//! The temporary files of processes that were killed.

use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// What the name of a temporary file begins with, before the id of its process.
const PREFIX: &str = ".flota-";
/// What it ends with.
const SUFFIX: &str = ".tmp";

/// The name of a process's temporary file.
pub(super) fn temporary_name(process: u32, number: u64) -> String {
    format!("{PREFIX}{process}-{number}{SUFFIX}")
}

/// Removes what killed processes left half-written in `folder`; fine if there is no such folder.
///
/// Files of processes that live stay. Those under the caller's own id go: they are of a dead process that had the same one,
/// as in a container every process may, so the caller must not be writing there meanwhile.
///
/// # Errors
/// The folder cannot be read, or such a file cannot be removed.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if writer_of(&path).is_some_and(is_gone) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether a path is that of a file on its way, whoever writes it.
pub fn is_temporary(path: &Path) -> bool {
    writer_of(path).is_some()
}

/// The process that writes, or wrote, the temporary file at this path; none if it is not such a file.
fn writer_of(path: &Path) -> Option<Pid> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (process, number) = name.split_once('-')?;
    number.parse::<u64>().ok()?;
    Pid::from_raw(process.parse().ok()?)
}

fn is_gone(process: Pid) -> bool {
    process == rustix::process::getpid() || test_kill_process(process) == Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let (dead, own, living) = (dead.id(), std::process::id(), 1);
        let left = [temporary_name(dead, 0), temporary_name(own, 7)];
        let kept = [
            temporary_name(living, 0),
            format!(".flota-{dead}-x.tmp"),
            format!("x.flota-{dead}-0.tmp"),
            ".flota-0-0.tmp".to_owned(),
            "state.json".to_owned(),
        ];
        for name in left.iter().chain(&kept) {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        remove_leftovers(folder.path()).unwrap();
        remove_leftovers(&folder.path().join("nowhere")).unwrap();
        let mut kept = kept.to_vec();
        kept.sort();
        let there = fs::read_dir(folder.path()).unwrap();
        let mut there: Vec<_> = there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        there.sort();
        assert_eq!(there, kept);
        assert!(is_temporary(&folder.path().join(&left[0])) && !is_temporary(Path::new("a.tmp")));
    }
}
