//! The audit log.

use async_trait::async_trait;
use flota_model::audit::{AuditEntry, AuditRow, chain_start, row_hash};
use flota_model::{Digest, Timestamp};
use flota_store::{AuditStore, StoreError};
use sqlx::Sqlite;
use sqlx::query_builder::Separated;

use crate::SqliteStore;
use crate::row::Origin;
use crate::transaction::Writing;

/// Puts an entry at the end of the chain.
pub(crate) async fn append(writing: &mut Writing, entry: &AuditEntry) -> Result<(), StoreError> {
    append_all(writing, [entry]).await
}

/// Puts entries at the end of the chain, in their order. The transaction holds the write lock, so no other can take
/// their places.
pub(crate) async fn append_all<'e>(
    writing: &mut Writing,
    entries: impl IntoIterator<Item = &'e AuditEntry>,
) -> Result<(), StoreError> {
    let (mut last, mut head) = read_end(writing).await?;
    let mut rows = Vec::new();
    for entry in entries {
        let previous = head;
        last = last.saturating_add(1);
        head = row_hash(last, &previous, entry);
        rows.push((writing.number(last)?, entry, previous, head));
    }
    let into = "insert into audit (sequence, at, actor, action, object, outcome, details, previous, hash) ";
    let bind = |values: &mut Separated<'_, Sqlite, &'static str>, row: &(i64, &AuditEntry, Digest, Digest)| {
        let (sequence, AuditEntry { at, actor, action, object, outcome, details_json }, previous, hash) = row;
        values.push_bind(*sequence);
        values.push_bind(at.as_micros());
        for text in [actor, action, object, outcome, details_json] {
            values.push_bind(text);
        }
        values.push_bind(previous.to_string());
        values.push_bind(hash.to_string());
    };
    writing.insert(into, &rows, bind, "").await
}

/// Where the chain ends: sequence and hash of its last row.
async fn read_end(writing: &mut Writing) -> Result<(u64, Digest), StoreError> {
    let last = sqlx::query_as::<_, (i64, String)>("select sequence, hash from audit order by sequence desc limit 1");
    let Some((sequence, hash)) = writing.find(last).await? else { return Ok((0, chain_start())) };
    let row = sequence.to_string();
    let origin = Origin { table: "audit", row: &row };
    Ok((origin.number("sequence", sequence)?, origin.parse("hash", &hash)?))
}

#[async_trait]
impl AuditStore for SqliteStore {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut writing = self.write("writing to the audit log").await?;
        append_all(&mut writing, entries).await?;
        writing.commit().await
    }

    async fn audit(&self, object: Option<&str>, action: Option<&str>, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        // Two statements: one with `$1 is null or object = $1` could not use the index.
        let query = match object {
            Some(object) => sqlx::query_as::<_, Row>(
                "select sequence, at, actor, action, object, outcome, details, previous, hash from audit \
                 where object = $3 and substr(action, 1, length($1)) = $1 order by sequence desc limit $2",
            )
            .bind(action.unwrap_or_default())
            .bind(limit)
            .bind(object),
            None => sqlx::query_as::<_, Row>(
                "select sequence, at, actor, action, object, outcome, details, previous, hash from audit \
                 where substr(action, 1, length($1)) = $1 order by sequence desc limit $2",
            )
            .bind(action.unwrap_or_default())
            .bind(limit),
        };
        self.read("reading the audit log").all(query).await?.into_iter().map(AuditRow::try_from).collect()
    }

    async fn audit_from(&self, sequence: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        // Beyond the largest number that a row can have, there is none.
        let Ok(sequence) = i64::try_from(sequence) else { return Ok(Vec::new()) };
        let select = "select sequence, at, actor, action, object, outcome, details, previous, hash from audit \
                      where sequence >= $1 order by sequence limit $2";
        let query = sqlx::query_as::<_, Row>(select).bind(sequence).bind(limit);
        self.read("reading the audit log").all(query).await?.into_iter().map(AuditRow::try_from).collect()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    sequence: i64,
    at: i64,
    actor: String,
    action: String,
    object: String,
    outcome: String,
    details: String,
    previous: String,
    hash: String,
}

impl TryFrom<Row> for AuditRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { sequence, at, actor, action, object, outcome, details, previous, hash } = row;
        let key = sequence.to_string();
        let origin = Origin { table: "audit", row: &key };
        Ok(Self {
            sequence: origin.number("sequence", sequence)?,
            entry: AuditEntry { at: Timestamp::from_micros(at), actor, action, object, outcome, details_json: details },
            previous: origin.parse("previous", &previous)?,
            hash: origin.parse("hash", &hash)?,
        })
    }
}
