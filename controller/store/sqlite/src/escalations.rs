//! Escalations, and their way to the webhook.

mod record;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::{HostId, Timestamp};
use flota_store::{Delivery, EscalationRecord, EscalationStore, NewEscalation, Resolution, StoreError, Which};

use crate::SqliteStore;
use crate::audit::append;
use crate::transaction::Writing;
use record::EscalationRow;

#[async_trait]
impl EscalationStore for SqliteStore {
    async fn escalate(&self, host: &HostId, new: &NewEscalation, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("opening an escalation").await?;
        if !open(&mut writing, host, new, audit.at).await? {
            return Ok(false);
        }
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(true)
    }

    async fn escalations(&self, which: Which, limit: u32) -> Result<Vec<EscalationRecord>, StoreError> {
        let select = match which {
            Which::Open => record::OPEN_ESCALATIONS,
            Which::All => record::ALL_ESCALATIONS,
        };
        let query = sqlx::query_as::<_, EscalationRow>(select).bind(limit);
        self.read("listing escalations").all(query).await?.into_iter().map(EscalationRecord::try_from).collect()
    }

    async fn undelivered(&self, now: Timestamp, limit: u32) -> Result<Vec<EscalationRecord>, StoreError> {
        let query = sqlx::query_as::<_, EscalationRow>(record::DUE_ESCALATIONS).bind(limit).bind(now.as_micros());
        let rows = self.read("looking for escalations to be delivered").all(query).await?;
        rows.into_iter().map(EscalationRecord::try_from).collect()
    }

    async fn note_delivery(&self, id: &str, delivery: &Delivery) -> Result<(), StoreError> {
        // How often it failed stays to be read when it came to an end.
        let (attempts, next, delivered, failure) = match delivery {
            Delivery::Waiting { attempts, next } => (Some(*attempts), Some(next.as_micros()), None, None),
            Delivery::Delivered { at } => (None, None, Some(at.as_micros()), None),
            Delivery::Failed { why } => (None, None, None, Some(why)),
        };
        let mut writing = self.write("noting a delivery").await?;
        let update = "update escalations set delivery = $2, attempts = coalesce($3, attempts), next_attempt = $4, \
                      delivered_at = $5, failure = $6 where id = $1";
        let query = sqlx::query(update)
            .bind(id)
            .bind(record::delivery_word(delivery))
            .bind(attempts)
            .bind(next)
            .bind(delivered)
            .bind(failure);
        writing.run(query).await?;
        writing.commit().await
    }

    async fn resolve(&self, id: &str, resolution: &Resolution, audit: &AuditEntry) -> Result<bool, StoreError> {
        let Resolution { at, by, text } = resolution;
        let mut writing = self.write("resolving an escalation").await?;
        let update = "update escalations set resolved_at = $2, resolved_by = $3, resolution = $4 \
                      where id = $1 and resolved_at is null";
        let changed = writing.run(sqlx::query(update).bind(id).bind(at.as_micros()).bind(by).bind(text)).await?;
        writing.commit_if(changed > 0, audit).await
    }
}

/// Opens one, to be delivered at once. False: one of that kind is open for this host, or there is no such host.
pub(crate) async fn open(
    writing: &mut Writing,
    host: &HostId,
    new: &NewEscalation,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let NewEscalation { kind, summary } = new;
    let at = at.as_micros();
    let insert = "insert into escalations (id, kind, host, summary, opened_at, delivery, attempts, next_attempt) \
                  select $1, $3, id, $4, $5, 'waiting', 0, $5 from hosts where id = $2 on conflict do nothing";
    let query =
        sqlx::query(insert).bind(format!("{host}-{kind}-{at}")).bind(host.as_str()).bind(kind).bind(summary).bind(at);
    Ok(writing.run(query).await? > 0)
}
