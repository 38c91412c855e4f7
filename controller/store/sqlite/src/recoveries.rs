//! Recoveries of hosts.

use async_trait::async_trait;
use flota_model::HostName;
use flota_model::audit::AuditEntry;
use flota_model::recovery::Recovery;
use flota_store::{RecoveryRecord, RecoveryStore, StoreError};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;

#[async_trait]
impl RecoveryStore for SqliteStore {
    async fn begin_recovery(&self, recovery: &Recovery, audit: &AuditEntry) -> Result<Option<u32>, StoreError> {
        let mut writing = self.write("entering a recovery").await?;
        let insert = "insert into recoveries (id, host, revision, is_open, document) \
                      select coalesce(max(id), 0) + 1, $1, 1, $2, $3 from recoveries where true \
                      on conflict do nothing returning id";
        let document = writing.json(recovery)?;
        let query = sqlx::query_as::<_, (i64,)>(insert);
        let query = query.bind(recovery.host.as_str()).bind(recovery.ended.is_none()).bind(document);
        let Some((id,)) = writing.find(query).await? else { return Ok(None) };
        append(&mut writing, &AuditEntry { object: format!("recovery/{id}"), ..audit.clone() }).await?;
        writing.commit().await?;
        Origin { table: "recoveries", row: "the newest" }.number("id", id).map(Some)
    }

    async fn open_recoveries(&self) -> Result<Vec<RecoveryRecord>, StoreError> {
        let select = "select id, revision, document from recoveries where is_open = 1 order by id";
        let query = sqlx::query_as::<_, RecoveryRow>(select);
        self.read("listing open recoveries").all(query).await?.into_iter().map(RecoveryRecord::try_from).collect()
    }

    async fn newest_recovery(&self, host: &HostName) -> Result<Option<RecoveryRecord>, StoreError> {
        let select = "select id, revision, document from recoveries where host = $1 order by id desc limit 1";
        let query = sqlx::query_as::<_, RecoveryRow>(select).bind(host.as_str());
        self.read("reading the recovery of a host").find(query).await?.map(RecoveryRecord::try_from).transpose()
    }

    async fn recoveries(&self, limit: u32) -> Result<Vec<RecoveryRecord>, StoreError> {
        let select = "select id, revision, document from recoveries order by id desc limit $1";
        let query = sqlx::query_as::<_, RecoveryRow>(select).bind(limit);
        self.read("listing recoveries").all(query).await?.into_iter().map(RecoveryRecord::try_from).collect()
    }

    async fn save_recovery(&self, record: &RecoveryRecord, audit: Option<&AuditEntry>) -> Result<bool, StoreError> {
        let RecoveryRecord { id, revision, recovery } = record;
        let mut writing = self.write("storing a recovery").await?;
        let update = "update recoveries set revision = revision + 1, is_open = $3, document = $4 \
                      where id = $1 and revision = $2 and is_open = 1";
        let document = writing.json(recovery)?;
        let revision = i64::try_from(*revision).unwrap_or(i64::MAX);
        let query = sqlx::query(update).bind(id).bind(revision).bind(recovery.ended.is_none()).bind(document);
        if writing.run(query).await? == 0 {
            return Ok(false);
        }
        if let Some(audit) = audit {
            append(&mut writing, audit).await?;
        }
        writing.commit().await?;
        Ok(true)
    }
}

#[derive(sqlx::FromRow)]
struct RecoveryRow {
    id: i64,
    revision: i64,
    document: String,
}

impl TryFrom<RecoveryRow> for RecoveryRecord {
    type Error = StoreError;

    fn try_from(RecoveryRow { id, revision, document }: RecoveryRow) -> Result<Self, StoreError> {
        let key = id.to_string();
        let origin = Origin { table: "recoveries", row: &key };
        Ok(Self {
            id: origin.number("id", id)?,
            revision: origin.number("revision", revision)?,
            recovery: origin.json("document", &document)?,
        })
    }
}
