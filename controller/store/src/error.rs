//! What can go wrong in any store.

/// The store could not answer. Conflicts are not in here: they are values of the methods that can have them.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Disk full, database gone, lock not obtained in time. Trying again may help.
    #[error("the database did not answer while {doing}")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// The backend's error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was to be written cannot be: a number too large, a reference to nothing, a word that is not one. A bug of the
    /// caller, or a wrong claim that it passed on; nothing was changed, and trying again does not help.
    #[error("the database cannot hold what it was given while {doing}")]
    Rejected {
        /// What was being done.
        doing: &'static str,
        /// The rule that was broken.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row that no version of this program would have written. A person must look.
    #[error("the database holds something impossible: table {table}, column {column}, row {row}")]
    Inconsistent {
        /// Where.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Its key.
        row: String,
        /// What was wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database was written by a newer version; this one would damage it.
    #[error(
        "the database has schema {found}, this program knows up to {known}: run the newer version, or restore a backup"
    )]
    FromNewerVersion {
        /// Newest migration in the database.
        found: i64,
        /// Newest migration in the program.
        known: i64,
    },
}
