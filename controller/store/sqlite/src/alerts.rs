//! Alerts, whom they are told, and silences.

mod notices;
mod silences;

use async_trait::async_trait;
use flota_model::Timestamp;
use flota_model::alert::{Alert, Silence};
use flota_model::audit::AuditEntry;
use flota_store::{AlertChange, AlertRecord, AlertStore, Notice, StoreError, Tell, Told};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use crate::transaction::Writing;

#[async_trait]
impl AlertStore for SqliteStore {
    async fn alerts(&self, ended_since: Timestamp) -> Result<Vec<AlertRecord>, StoreError> {
        let select = "select id, revision, document from alerts where ended_at is null \
                      union all select id, revision, document from alerts where ended_at >= $1 order by id";
        let query = sqlx::query_as::<_, AlertRow>(select).bind(ended_since.as_micros());
        self.read("listing alerts").all(query).await?.into_iter().map(AlertRecord::try_from).collect()
    }

    async fn save_alerts(&self, changes: &[AlertChange], tell: &Tell) -> Result<Vec<bool>, StoreError> {
        let mut writing = self.write("storing alerts").await?;
        let mut saved = Vec::with_capacity(changes.len());
        for change in changes {
            let done = save(&mut writing, change).await?;
            if let (true, Some(audit), Some(alert)) = (done, &change.told, &change.after) {
                append(&mut writing, audit).await?;
                for receiver in &tell.receivers {
                    notices::raise(&mut writing, receiver, &alert.key.rule, tell).await?;
                }
            }
            saved.push(done);
        }
        writing.commit().await?;
        Ok(saved)
    }

    async fn forget_alerts(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut writing = self.write("forgetting alerts").await?;
        let delete = "delete from alerts where ended_at < $1";
        let removed = writing.run(sqlx::query(delete).bind(before.as_micros())).await?;
        writing.commit().await?;
        Ok(removed)
    }

    async fn notices(&self) -> Result<Vec<Notice>, StoreError> {
        notices::all(self).await
    }

    async fn introduce(&self, rule: &str, tell: &Tell) -> Result<(), StoreError> {
        notices::introduce(self, rule, tell).await
    }

    async fn claim_notices(&self, now: Timestamp, until: Timestamp) -> Result<Vec<Notice>, StoreError> {
        notices::claim(self, now, until).await
    }

    async fn note_told(&self, notice: &Notice, told: &Told) -> Result<(), StoreError> {
        notices::note(self, notice, told).await
    }

    async fn add_silence(&self, silence: &Silence, audit: &AuditEntry) -> Result<u32, StoreError> {
        silences::add(self, silence, audit).await
    }

    async fn silences(&self, now: Option<Timestamp>) -> Result<Vec<Silence>, StoreError> {
        silences::list(self, now).await
    }

    async fn end_silence(&self, id: u32, audit: &AuditEntry) -> Result<bool, StoreError> {
        silences::end(self, id, audit).await
    }
}

async fn save(writing: &mut Writing, change: &AlertChange) -> Result<bool, StoreError> {
    let changed = match (change.before, &change.after) {
        (None, None) => 0,
        (None, Some(alert)) => {
            let Columns { fingerprint, state, ended_at, document } = Columns::of(writing, alert)?;
            let insert = "insert into alerts (id, fingerprint, state, revision, ended_at, document) \
                          select coalesce(max(id), 0) + 1, $1, $2, 1, $3, $4 from alerts where true on conflict do nothing";
            writing.run(sqlx::query(insert).bind(fingerprint).bind(state).bind(ended_at).bind(document)).await?
        }
        (Some((id, revision)), Some(alert)) => {
            let Columns { fingerprint, state, ended_at, document } = Columns::of(writing, alert)?;
            let update = "update alerts set state = $4, revision = revision + 1, ended_at = $5, document = $6 \
                          where id = $1 and revision = $2 and fingerprint = $3";
            let query = sqlx::query(update).bind(id).bind(revision_column(revision)).bind(fingerprint);
            writing.run(query.bind(state).bind(ended_at).bind(document)).await?
        }
        (Some((id, revision)), None) => {
            let delete = "delete from alerts where id = $1 and revision = $2";
            writing.run(sqlx::query(delete).bind(id).bind(revision_column(revision))).await?
        }
    };
    Ok(changed > 0)
}

/// No row has a revision beyond the range of its column.
fn revision_column(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

struct Columns {
    fingerprint: String,
    state: &'static str,
    ended_at: Option<i64>,
    document: String,
}

impl Columns {
    fn of(writing: &Writing, alert: &Alert) -> Result<Self, StoreError> {
        Ok(Self {
            fingerprint: alert.key.fingerprint(),
            state: alert.state.as_str(),
            ended_at: alert.ended_at.map(Timestamp::as_micros),
            document: writing.json(alert)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct AlertRow {
    id: i64,
    revision: i64,
    document: String,
}

impl TryFrom<AlertRow> for AlertRecord {
    type Error = StoreError;

    fn try_from(AlertRow { id, revision, document }: AlertRow) -> Result<Self, StoreError> {
        let key = id.to_string();
        let origin = Origin { table: "alerts", row: &key };
        Ok(Self {
            id: origin.number("id", id)?,
            revision: origin.number("revision", revision)?,
            alert: origin.json("document", &document)?,
        })
    }
}
