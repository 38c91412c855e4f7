//! Times in which nothing is changed.

use async_trait::async_trait;
use flota_model::Timestamp;
use flota_model::audit::AuditEntry;
use flota_model::freeze::Freeze;
use flota_store::{FreezeStore, StoreError};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;

#[async_trait]
impl FreezeStore for SqliteStore {
    async fn add_freeze(&self, freeze: &Freeze, audit: &AuditEntry) -> Result<u32, StoreError> {
        let Freeze { id: _, selector, from, until, reason, created_by } = freeze;
        let mut writing = self.write("entering a freeze").await?;
        let insert = "insert into freezes (id, selector, starts_at, ends_at, reason, created_by) \
                      select coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5 from freezes returning id";
        let query = sqlx::query_as::<_, (i64,)>(insert)
            .bind(selector.to_string())
            .bind(from.as_micros())
            .bind(until.as_micros())
            .bind(reason)
            .bind(created_by);
        let (id,) = writing.one(query).await?;
        append(&mut writing, &AuditEntry { object: format!("freeze/{id}"), ..audit.clone() }).await?;
        writing.commit().await?;
        Origin { table: "freezes", row: "the newest" }.number("id", id)
    }

    async fn freezes(&self, now: Option<Timestamp>) -> Result<Vec<Freeze>, StoreError> {
        let select = "select id, selector, starts_at, ends_at, reason, created_by from freezes \
                      where ends_at > $1 or $2 order by id";
        let query =
            sqlx::query_as::<_, FreezeRow>(select).bind(now.map_or(i64::MIN, Timestamp::as_micros)).bind(now.is_none());
        self.read("listing freezes").all(query).await?.into_iter().map(Freeze::try_from).collect()
    }

    async fn end_freeze(&self, id: u32, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("ending a freeze").await?;
        let update = "update freezes set starts_at = min(starts_at, $2), ends_at = $2 where id = $1 and ends_at > $2";
        let changed = writing.run(sqlx::query(update).bind(id).bind(audit.at.as_micros())).await?;
        writing.commit_if(changed > 0, audit).await
    }
}

#[derive(sqlx::FromRow)]
struct FreezeRow {
    id: i64,
    selector: String,
    starts_at: i64,
    ends_at: i64,
    reason: String,
    created_by: String,
}

impl TryFrom<FreezeRow> for Freeze {
    type Error = StoreError;

    fn try_from(row: FreezeRow) -> Result<Self, StoreError> {
        let FreezeRow { id, selector, starts_at, ends_at, reason, created_by } = row;
        let key = id.to_string();
        let origin = Origin { table: "freezes", row: &key };
        Ok(Self {
            id: origin.number("id", id)?,
            selector: origin.parse("selector", &selector)?,
            from: Timestamp::from_micros(starts_at),
            until: Timestamp::from_micros(ends_at),
            reason,
            created_by,
        })
    }
}
