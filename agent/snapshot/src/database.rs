//! SQLite databases: what tells one, a consistent copy of it, and its schema.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{IoContext as _, SnapshotError};

/// How a database file begins (SQLite file format §1.3.1).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What SQLite puts beside a database; it belongs to it and is not copied by itself.
pub(crate) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// How long a writer may hold the database. A bot at rest writes nothing, or little.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages copied at a time, without a pause: the copy is wanted soon.
const PAGES: i32 = 1024;

/// What a release must know of a database to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schema {
    /// `PRAGMA user_version`, which programs use for the version of their schema.
    user_version: i64,
    /// SHA-256 over every table, index, view and trigger, in hex.
    digest: String,
}

/// Whether the file begins as a database does.
pub(crate) fn is_database(path: &Path) -> Result<bool, SnapshotError> {
    let mut begin = Vec::new();
    let file = File::open(path).doing("opening", path)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut begin).doing("reading", path)?;
    Ok(begin == MAGIC)
}

/// A consistent copy, and the schema in it.
pub(crate) fn back_up(from: &Path, to: &Path) -> Result<Schema, SnapshotError> {
    let failed = |source| SnapshotError::Database { path: from.to_owned(), source };
    let source = open(from).map_err(failed)?;
    let mut copy = Connection::open(to).map_err(failed)?;
    Backup::new(&source, &mut copy)
        .and_then(|backup| backup.run_to_completion(PAGES, Duration::ZERO, None))
        .map_err(failed)?;
    read_schema(&copy).map_err(failed)
}

/// The schema of a database; none if there is no database that can be read.
pub(crate) fn schema(path: &Path) -> Option<Schema> {
    open(path).and_then(|database| read_schema(&database)).ok()
}

/// For reading: nothing is made where nothing is.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let database =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    database.busy_timeout(PATIENCE)?;
    Ok(database)
}

fn read_schema(database: &Connection) -> rusqlite::Result<Schema> {
    let user_version = database.query_row("pragma user_version", [], |row| row.get(0))?;
    let mut hash = Sha256::new();
    let mut objects = database.prepare(
        "select type, name, tbl_name, coalesce(sql, '') from sqlite_schema where name not like 'sqlite_%' order by 1, 2",
    )?;
    let mut rows = objects.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            let text: String = row.get(column)?;
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
    }
    Ok(Schema { user_version, digest: hex::encode(hash.finalize()) })
}
