//! Silences.

use flota_model::Timestamp;
use flota_model::alert::Silence;
use flota_model::audit::AuditEntry;
use flota_store::StoreError;

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;

pub(super) async fn add(store: &SqliteStore, silence: &Silence, audit: &AuditEntry) -> Result<u32, StoreError> {
    let Silence { id: _, selector, rule, from, until, reason, created_by } = silence;
    let mut writing = store.write("entering a silence").await?;
    let insert = "insert into silences (id, selector, rule, starts_at, ends_at, reason, created_by) \
                  select coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6 from silences returning id";
    let query = sqlx::query_as::<_, (i64,)>(insert)
        .bind(selector.to_string())
        .bind(rule)
        .bind(from.as_micros())
        .bind(until.as_micros())
        .bind(reason)
        .bind(created_by);
    let (id,) = writing.one(query).await?;
    append(&mut writing, &AuditEntry { object: format!("silence/{id}"), ..audit.clone() }).await?;
    writing.commit().await?;
    Origin { table: "silences", row: "the newest" }.number("id", id)
}

pub(super) async fn list(store: &SqliteStore, now: Option<Timestamp>) -> Result<Vec<Silence>, StoreError> {
    let select = "select id, selector, rule, starts_at, ends_at, reason, created_by from silences \
                  where ends_at > $1 or $2 order by id";
    let query =
        sqlx::query_as::<_, SilenceRow>(select).bind(now.map_or(i64::MIN, Timestamp::as_micros)).bind(now.is_none());
    store.read("listing silences").all(query).await?.into_iter().map(Silence::try_from).collect()
}

pub(super) async fn end(store: &SqliteStore, id: u32, audit: &AuditEntry) -> Result<bool, StoreError> {
    let mut writing = store.write("ending a silence").await?;
    let update = "update silences set starts_at = min(starts_at, $2), ends_at = $2 where id = $1 and ends_at > $2";
    let changed = writing.run(sqlx::query(update).bind(id).bind(audit.at.as_micros())).await?;
    writing.commit_if(changed > 0, audit).await
}

#[derive(sqlx::FromRow)]
struct SilenceRow {
    id: i64,
    selector: String,
    rule: Option<String>,
    starts_at: i64,
    ends_at: i64,
    reason: String,
    created_by: String,
}

impl TryFrom<SilenceRow> for Silence {
    type Error = StoreError;

    fn try_from(row: SilenceRow) -> Result<Self, StoreError> {
        let SilenceRow { id, selector, rule, starts_at, ends_at, reason, created_by } = row;
        let key = id.to_string();
        let origin = Origin { table: "silences", row: &key };
        Ok(Self {
            id: origin.number("id", id)?,
            selector: origin.parse("selector", &selector)?,
            rule,
            from: Timestamp::from_micros(starts_at),
            until: Timestamp::from_micros(ends_at),
            reason,
            created_by,
        })
    }
}
