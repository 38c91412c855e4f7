//! Opening the file: its mode, its settings, its schema.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_store::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::SqliteStore;
use crate::row::Origin;
use crate::transaction::unavailable;

static MIGRATOR: Migrator = sqlx::migrate!("../../../migrations/sqlite");

/// How long a statement waits for a lock of another process (a backup, an operator's shell). Shorter fails writes for
/// nothing; longer keeps a host's RPC waiting beyond its own timeout.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection. A queue this long means that the disk hangs.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read. Each is a thread and a page cache; reads are short, so a few serve many callers.
const READERS: u32 = 4;
/// The database holds keys of enrolment tokens: for the controller's user alone. SQLite gives its log the same mode.
const NEW_FILE_MODE: u32 = 0o600;

/// A file or folder that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot create {}", path.display())]
struct CreateError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl SqliteStore {
    /// Opens the database at `path`, makes it if it is not there, and brings its schema up to date. A database of a
    /// newer version is refused and left as it is.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        create_if_missing(path).map_err(|source| unavailable("creating the database", source))?;
        refuse_newer(path).await?;

        let doing = "opening the database";
        let base = SqliteConnectOptions::new().filename(path).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
        // FULL: a commit that was acknowledged survives a power cut. With NORMAL it may be gone, and a generation
        // given out twice, a token used twice or an audit entry lost is what this controller exists to prevent.
        let writing = base.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let writer = pool(1).connect_with(writing).await.map_err(|source| unavailable(doing, source))?;
        MIGRATOR.run(&writer).await.map_err(migration_failed)?;
        let reading = base.pragma("query_only", "on");
        let readers = pool(READERS).connect_with(reading).await.map_err(|source| unavailable(doing, source))?;
        Ok(Self { writer, readers })
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // A connection to a file does not go stale: replacing or testing it would only cost its caches.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Blocks for a moment, once in the life of a database; before anything else is running.
fn create_if_missing(path: &Path) -> Result<(), CreateError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| CreateError { path, source }
    };
    match OpenOptions::new().write(true).create_new(true).mode(NEW_FILE_MODE).open(path) {
        Ok(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // Otherwise a power cut may take the file's name, and with it everything committed since.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(path)(error)),
    }
}

/// On a connection of its own that cannot write: the settings of the others change the file.
async fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    let doing = "reading the version of the database";
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await.map_err(|source| unavailable(doing, source))?;
    let has_schema: Option<i64> =
        sqlx::query_scalar("select 1 from sqlite_master where type = 'table' and name = '_sqlx_migrations'")
            .fetch_optional(&mut connection)
            .await
            .map_err(|source| unavailable(doing, source))?;
    let found: Option<i64> = match has_schema {
        Some(_) => sqlx::query_scalar("select max(version) from _sqlx_migrations")
            .fetch_one(&mut connection)
            .await
            .map_err(|source| unavailable(doing, source))?,
        None => None,
    };
    connection.close().await.map_err(|source| unavailable(doing, source))?;

    let known = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0);
    match found {
        Some(found) if found > known => Err(StoreError::FromNewerVersion { found, known }),
        _ => Ok(()),
    }
}

/// A history of migrations that is not ours needs a person; everything else may be the disk.
fn migration_failed(error: MigrateError) -> StoreError {
    let (column, version) = match &error {
        MigrateError::VersionMissing(version) => ("version", *version),
        MigrateError::VersionMismatch(version) => ("checksum", *version),
        MigrateError::Dirty(version) => ("success", *version),
        _ => return unavailable("bringing the database's schema up to date", error),
    };
    Origin { table: "_sqlx_migrations", row: &version.to_string() }.wrong(column, error)
}
