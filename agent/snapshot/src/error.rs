//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no snapshot, or it was not restored. Nothing is half-done: an unfinished snapshot has no name, and a
/// database is replaced whole.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk: full, most often.
    #[error("{what} {}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// SQLite could not read the database, or not within the time it was given.
    #[error("copying the database {}", path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// A name or path that is none.
    #[error("'{}' is no path below the bot's folder", .0.display())]
    Outside(PathBuf),
}

/// With what was being done, and to what.
pub(crate) fn doing<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> SnapshotError + 'a {
    move |source| SnapshotError::Io { what, path: path.to_owned(), source }
}

/// The same, for results.
pub(crate) trait IoContext<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T, SnapshotError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T, SnapshotError> {
        self.map_err(doing(what, path))
    }
}
