//! How long exports are kept.

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::task::Export;
use flota_model::{ExportId, HostId, Timestamp};
use flota_store::{ArchiveStore, ExportHold, Holds, Removed, StoreError};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use crate::tasks::record::{ExportRow, OLD_EXPORTS};

#[async_trait]
impl ArchiveStore for SqliteStore {
    async fn newest_exports(&self) -> Result<Vec<(HostId, Timestamp)>, StoreError> {
        let query = sqlx::query_as::<_, (String, i64)>("select host, max(at) from exports group by host order by host");
        let rows = self.read("reading when hosts exported").all(query).await?.into_iter();
        rows.map(|(host, at)| {
            let origin = Origin { table: "exports", row: &host };
            Ok((origin.parse("host", &host)?, Timestamp::from_micros(at)))
        })
        .collect()
    }

    async fn old_exports(&self, before: Timestamp, held: &[HostId], limit: u32) -> Result<Vec<Export>, StoreError> {
        let reading = self.read("listing exports that are kept no longer");
        let query = sqlx::query_as::<_, ExportRow>(OLD_EXPORTS).bind(limit).bind(before.as_micros());
        reading.all(query.bind(reading.json(held)?)).await?.into_iter().map(Export::try_from).collect()
    }

    async fn remove_exports(
        &self,
        exports: &[ExportId],
        newest_hold: Option<u32>,
        audit: &AuditEntry,
    ) -> Result<Removed, StoreError> {
        let mut writing = self.write("removing old exports").await?;
        let select = "select max(id) from export_holds where released_at is null";
        let (newest,) = writing.one(sqlx::query_as::<_, (Option<i64>,)>(select)).await?;
        if newest != newest_hold.map(i64::from) {
            return Ok(Removed::HoldsChanged);
        }
        let ids = writing.json(exports)?;
        let unname = "update tasks set export = null where export in (select value from json_each($1))";
        writing.run(sqlx::query(unname).bind(ids.clone())).await?;
        let remove = "delete from exports where id in (select value from json_each($1))";
        writing.run(sqlx::query(remove).bind(ids)).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(Removed::Done)
    }

    async fn add_export_hold(&self, hold: &ExportHold, audit: &AuditEntry) -> Result<u32, StoreError> {
        let ExportHold { id: _, selector, reason, created_by, created_at, released: _ } = hold;
        let mut writing = self.write("entering a legal hold").await?;
        let insert = "insert into export_holds (id, selector, reason, created_by, created_at) \
                      select coalesce(max(id), 0) + 1, $1, $2, $3, $4 from export_holds returning id";
        let query = sqlx::query_as::<_, (i64,)>(insert)
            .bind(selector.to_string())
            .bind(reason)
            .bind(created_by)
            .bind(created_at.as_micros());
        let (id,) = writing.one(query).await?;
        append(&mut writing, &AuditEntry { object: format!("hold/{id}"), ..audit.clone() }).await?;
        writing.commit().await?;
        Origin { table: "export_holds", row: "the newest" }.number("id", id)
    }

    async fn export_holds(&self, which: Holds) -> Result<Vec<ExportHold>, StoreError> {
        let select = "select id, selector, reason, created_by, created_at, released_by, released_at from export_holds \
                      where $1 or released_at is null order by id";
        let query = sqlx::query_as::<_, HoldRow>(select).bind(which == Holds::All);
        self.read("listing legal holds").all(query).await?.into_iter().map(ExportHold::try_from).collect()
    }

    async fn release_export_hold(&self, id: u32, by: &str, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("releasing a legal hold").await?;
        let update = "update export_holds set released_by = $2, released_at = $3 where id = $1 and released_at is null";
        let changed = writing.run(sqlx::query(update).bind(id).bind(by).bind(audit.at.as_micros())).await?;
        writing.commit_if(changed > 0, audit).await
    }
}

#[derive(sqlx::FromRow)]
struct HoldRow {
    id: i64,
    selector: String,
    reason: String,
    created_by: String,
    created_at: i64,
    released_by: Option<String>,
    released_at: Option<i64>,
}

impl TryFrom<HoldRow> for ExportHold {
    type Error = StoreError;

    fn try_from(row: HoldRow) -> Result<Self, StoreError> {
        let HoldRow { id, selector, reason, created_by, created_at, released_by, released_at } = row;
        let key = id.to_string();
        let origin = Origin { table: "export_holds", row: &key };
        Ok(Self {
            id: origin.number("id", id)?,
            selector: origin.parse("selector", &selector)?,
            reason,
            created_by,
            created_at: Timestamp::from_micros(created_at),
            released: released_by.zip(released_at.map(Timestamp::from_micros)),
        })
    }
}
