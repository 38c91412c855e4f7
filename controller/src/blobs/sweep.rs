//! Blobs that nobody needs: uploads that were given up, and files that nothing came to refer to.

use std::collections::HashSet;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use flota_model::Digest;

use super::BlobFolder;

/// What is younger stays, whether something refers to it or not: an upload goes on after a break of hours, and what it
/// belongs to is said after it.
pub const SWEEP_AGE: Duration = Duration::from_hours(24);

impl BlobFolder {
    /// Keeps a blob for another while.
    pub(super) fn keep_for_now(&self, digest: &Digest) {
        let touched = File::open(self.path(digest)).and_then(|file| file.set_modified(SystemTime::now()));
        match touched {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(blob = %digest, %error, "the time of a blob could not be set");
            }
            _ => {}
        }
    }

    /// Removes what is in nobody's `needed` and was not touched since `before`; returns how many blobs that were.
    pub fn sweep(&self, needed: &HashSet<Digest>, before: SystemTime) -> io::Result<u64> {
        let mut removed = 0;
        for folder in fs::read_dir(&self.root)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(folder.path())? {
                removed += u64::from(self.remove_unneeded(&entry?, needed, before)?);
            }
        }
        Ok(removed)
    }

    fn remove_unneeded(&self, entry: &DirEntry, needed: &HashSet<Digest>, before: SystemTime) -> io::Result<bool> {
        let path = entry.path();
        // A list of chunks goes with its blob; anything else is not ours.
        let Some(digest) = digest_of_name(&path) else { return Ok(false) };
        let in_use = needed.contains(&digest) || self.uploading().contains(&digest);
        if in_use || entry.metadata()?.modified()? >= before {
            return Ok(false);
        }
        fs::remove_file(&path)?;
        match fs::remove_file(path.with_extension("chunks")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(true),
        }
    }
}

fn digest_of_name(path: &Path) -> Option<Digest> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(blobs: &BlobFolder, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut upload = blobs.upload(digest, bytes.len() as u64, 0).unwrap();
        upload.write(bytes).unwrap();
        upload.finish().unwrap();
        digest
    }

    #[test]
    fn what_nobody_needs_goes_when_it_is_old_and_everything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobFolder::open(dir.path()).unwrap();
        let (needed, orphan, asked_about) =
            (put(&blobs, b"a release"), put(&blobs, b"an orphan"), put(&blobs, b"asked about"));
        blobs.index(&orphan).unwrap().unwrap();
        let half = Digest::of(b"given up");
        let mut upload = blobs.upload(half, 8, 0).unwrap();
        upload.write(b"gi").unwrap();
        let in_progress = Digest::of(b"in progress");
        let going_on = blobs.upload(in_progress, 11, 0).unwrap();
        drop(upload);
        let everything = [needed, orphan, asked_about];
        let keep = HashSet::from([needed]);

        let cutoff = SystemTime::now() + Duration::from_mins(1);
        let later = File::open(blobs.path(&asked_about)).unwrap();
        later.set_modified(cutoff).unwrap();
        assert_eq!(blobs.sweep(&keep, SystemTime::UNIX_EPOCH).unwrap(), 0, "all of it is young");
        assert_eq!(blobs.sweep(&keep, cutoff).unwrap(), 2);
        assert_eq!(everything.map(|blob| blobs.path(&blob).exists()), [true, false, true]);
        assert!(!blobs.path(&orphan).with_extension("chunks").exists());
        assert!(!blobs.partial(&half).exists() && blobs.partial(&in_progress).exists());
        drop(going_on);

        File::open(blobs.path(&needed)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        blobs.presence(&needed);
        let yesterday = SystemTime::now() - SWEEP_AGE;
        assert_eq!(blobs.sweep(&HashSet::new(), yesterday).unwrap(), 0, "somebody asked about it");
    }
}
