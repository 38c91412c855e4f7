//! The contract of every store, and what only a file can do: be reopened, copied, tampered with.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod file;
mod migrations;
mod tampering;
mod upgrade;

use std::path::{Path, PathBuf};

use flota_store_sqlite::SqliteStore;
use tempfile::TempDir;

flota_store::contract_suite!(fresh);

async fn fresh() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&database_in(folder.path())).await.unwrap();
    (store, folder)
}

fn database_in(folder: &Path) -> PathBuf {
    folder.join("flota.db")
}

/// Statements behind the store's back, as an operator with a shell would run them.
async fn raw(path: &Path, statement: &'static str) -> Result<(), sqlx::Error> {
    use sqlx::Connection as _;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(statement).execute(&mut connection).await?;
    connection.close().await
}
