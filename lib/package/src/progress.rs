//! How far a check has come, for whoever watches.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// A gauge that a check moves and another thread reads as often as it likes: the check never waits for its watcher.
///
/// For a folder the bytes are those of the files to hash, for an archive those of the archive itself.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Bytes read so far.
    pub fn bytes_done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Bytes to read in all; 0 until that is known.
    pub fn bytes_total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Whole per cent done, at most 100. `None` until the total is known.
    pub fn percent(&self) -> Option<u64> {
        self.bytes_done().saturating_mul(100).checked_div(self.bytes_total()).map(|percent| percent.min(100))
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A reader that is watched.
pub(super) struct Watched<'a, R> {
    pub(super) inner: R,
    pub(super) progress: &'a Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_known_once_the_total_is() {
        let progress = Progress::default();
        assert_eq!(progress.percent(), None);
        progress.expect(200);
        let mut watched = Watched { inner: io::repeat(0).take(50), progress: &progress };
        io::copy(&mut watched, &mut io::sink()).unwrap();
        assert_eq!((progress.bytes_done(), progress.percent()), (50, Some(25)));
        progress.advance(1000);
        assert_eq!(progress.percent(), Some(100));
    }
}
