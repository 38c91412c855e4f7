//! Reading and writing, with errors that say what was being done.

use flota_model::audit::AuditEntry;
use flota_store::StoreError;
use serde::Serialize;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::query::{Query, QueryAs};
use sqlx::query_builder::Separated;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{FromRow, QueryBuilder, Sqlite, SqlitePool, Transaction};

use crate::SqliteStore;
use crate::audit::append;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Rows of one insert: their values stay far below the 32766 that a statement can have.
const ROWS: usize = 64;

/// One read: one statement, and so one state of the database.
pub(crate) struct Reading<'s> {
    readers: &'s SqlitePool,
    doing: &'static str,
}

/// One transaction that writes. Dropped without [`Writing::commit`], it never was.
pub(crate) struct Writing {
    transaction: Transaction<'static, Sqlite>,
    doing: &'static str,
}

impl SqliteStore {
    /// A read; `doing` completes "the database did not answer while".
    pub(crate) fn read(&self, doing: &'static str) -> Reading<'_> {
        Reading { readers: &self.readers, doing }
    }

    /// A transaction that holds the write lock from its beginning: what it reads cannot change under it, and it never
    /// fails half-way for want of the lock.
    pub(crate) async fn write(&self, doing: &'static str) -> Result<Writing, StoreError> {
        let begun = self.writer.begin_with("begin immediate").await;
        Ok(Writing { transaction: begun.map_err(|source| failed(doing, source))?, doing })
    }
}

impl Reading<'_> {
    /// All rows.
    pub(crate) async fn all<R>(&self, query: QueryAs<'_, Sqlite, R, SqliteArguments>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_all(self.readers).await.map_err(|source| failed(self.doing, source))
    }

    /// The row, if there is one.
    pub(crate) async fn find<R>(&self, query: QueryAs<'_, Sqlite, R, SqliteArguments>) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_optional(self.readers).await.map_err(|source| failed(self.doing, source))
    }

    /// A list of words as the JSON that `json_each` takes apart.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|source| rejected(self.doing, source))
    }
}

impl Writing {
    /// All rows.
    pub(crate) async fn all<R>(&mut self, query: QueryAs<'_, Sqlite, R, SqliteArguments>) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_all(&mut *self.transaction).await.map_err(|source| failed(self.doing, source))
    }

    /// The row, if there is one.
    pub(crate) async fn find<R>(
        &mut self,
        query: QueryAs<'_, Sqlite, R, SqliteArguments>,
    ) -> Result<Option<R>, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_optional(&mut *self.transaction).await.map_err(|source| failed(self.doing, source))
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one<R>(&mut self, query: QueryAs<'_, Sqlite, R, SqliteArguments>) -> Result<R, StoreError>
    where
        R: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        query.fetch_one(&mut *self.transaction).await.map_err(|source| failed(self.doing, source))
    }

    /// Executes a statement; returns how many rows it changed.
    pub(crate) async fn run(&mut self, query: Query<'_, Sqlite, SqliteArguments>) -> Result<u64, StoreError> {
        let done = query.execute(&mut *self.transaction).await;
        done.map(|done| done.rows_affected()).map_err(|source| failed(self.doing, source))
    }

    /// Inserts rows, many with one statement: handing a statement to the database's thread costs more than a row does.
    /// `into` is `insert into table (columns) `, `conflict` what follows the values.
    pub(crate) async fn insert<T>(
        &mut self,
        into: &'static str,
        rows: &[T],
        mut bind: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &T),
        conflict: &'static str,
    ) -> Result<(), StoreError> {
        for rows in rows.chunks(ROWS) {
            let mut insert = QueryBuilder::new(into);
            insert.push_values(rows, |mut values, row| bind(&mut values, row)).push(conflict);
            // Of all the numbers between, each would be another statement to remember.
            let query = insert.build().persistent(matches!(rows.len(), 1 | ROWS));
            self.run(query).await?;
        }
        Ok(())
    }

    /// Makes it last.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let Self { transaction, doing } = self;
        transaction.commit().await.map_err(|source| failed(doing, source))
    }

    /// Commits a change with its audit entry; says false, and commits nothing, where nothing was changed.
    pub(crate) async fn commit_if(mut self, changed: bool, audit: &AuditEntry) -> Result<bool, StoreError> {
        if changed {
            append(&mut self, audit).await?;
            self.commit().await?;
        }
        Ok(changed)
    }

    /// A document as it is stored.
    pub(crate) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|source| rejected(self.doing, source))
    }

    /// A count as it is stored.
    pub(crate) fn number(&self, number: u64) -> Result<i64, StoreError> {
        i64::try_from(number).map_err(|_| self.rejected(TooLarge(number)))
    }

    /// What was to be written cannot be.
    pub(crate) fn rejected(&self, source: impl Into<Cause>) -> StoreError {
        rejected(self.doing, source)
    }
}

/// More than fits in a column of either backend: 2^63 - 1.
#[derive(Debug, thiserror::Error)]
#[error("{0} is too large a number")]
struct TooLarge(u64);

/// A broken constraint is the caller's fault; everything else is the database's.
fn failed(doing: &'static str, source: sqlx::Error) -> StoreError {
    match source.as_database_error().map(DatabaseError::kind) {
        None | Some(ErrorKind::Other) => unavailable(doing, source),
        Some(_) => rejected(doing, source),
    }
}

fn rejected(doing: &'static str, source: impl Into<Cause>) -> StoreError {
    StoreError::Rejected { doing, source: source.into() }
}

/// The database did not do what it was asked.
pub(crate) fn unavailable(doing: &'static str, source: impl Into<Cause>) -> StoreError {
    StoreError::Unavailable { doing, source: source.into() }
}
