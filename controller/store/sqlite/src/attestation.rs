//! Verdicts and what they are based on.

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::host::{Confirmed, Trust, VerdictKind};
use flota_model::{HostId, Timestamp};
use flota_store::{AttestationRecord, AttestationStore, HostMeasurements, StoreError, VerdictRecord};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use crate::transaction::Writing;

#[async_trait]
impl AttestationStore for SqliteStore {
    async fn measurements(&self, id: &HostId) -> Result<Option<HostMeasurements>, StoreError> {
        let query = sqlx::query_as::<_, (String, String, String)>(
            "select baseline, clock, quoted from host_measurements where host = $1",
        );
        let row = self.read("reading a host's measurements").find(query.bind(id.as_str())).await?;
        Ok(row.map(|(baseline_json, clock_json, quoted_json)| HostMeasurements {
            baseline_json,
            clock_json,
            quoted_json,
        }))
    }

    async fn record_verdict(&self, verdict: &VerdictRecord, audit: &AuditEntry) -> Result<(), StoreError> {
        let VerdictRecord { host, at, verdict, reasons, trust, confirmed, measurements } = verdict;
        let host = host.as_str();
        let mut writing = self.write("storing a verdict").await?;
        let reasons = writing.json(reasons)?;
        let insert = sqlx::query("insert into attestations (host, at, verdict, reasons) values ($1, $2, $3, $4)");
        writing.run(insert.bind(host).bind(at.as_micros()).bind(verdict.as_str()).bind(reasons)).await?;
        if let Some((trust, reason)) = trust {
            // An operator may have shut the host out while its quote was checked; no verdict takes that back.
            let update = "update hosts set trust = $2, trust_reason = $3 \
                          where id = $1 and trust not in ('quarantined', 'retired')";
            writing.run(sqlx::query(update).bind(host).bind(trust.as_str()).bind(reason)).await?;
        }
        if let Some(confirmed) = confirmed {
            put_confirmed(&mut writing, host, confirmed).await?;
        }
        if let Some(measurements) = measurements {
            put_measurements(&mut writing, host, measurements).await?;
        }
        append(&mut writing, audit).await?;
        writing.commit().await
    }

    async fn attestations(&self, id: &HostId, limit: u32) -> Result<Vec<AttestationRecord>, StoreError> {
        let query = sqlx::query_as::<_, Row>(
            "select id, at, verdict, reasons from attestations where host = $1 order by at desc, id desc limit $2",
        );
        let rows = self.read("reading a host's attestations").all(query.bind(id.as_str()).bind(limit)).await?;
        rows.into_iter().map(AttestationRecord::try_from).collect()
    }

    async fn set_trust(
        &self,
        id: &HostId,
        from: &[Trust],
        to: Trust,
        reason: &str,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write("changing a host's trust").await?;
        let from = writing.json(from)?;
        let update = "update hosts set trust = $2, trust_reason = $3 \
                      where id = $1 and trust in (select value from json_each($4))";
        let query = sqlx::query(update).bind(id.as_str()).bind(to.as_str()).bind(reason).bind(from);
        if writing.run(query).await? == 0 {
            return Ok(false);
        }
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(true)
    }
}

/// Replaces what the host's next quote is compared with.
pub(crate) async fn put_measurements(
    writing: &mut Writing,
    host: &str,
    measurements: &HostMeasurements,
) -> Result<(), StoreError> {
    let HostMeasurements { baseline_json, clock_json, quoted_json } = measurements;
    let upsert = "insert into host_measurements (host, baseline, clock, quoted) values ($1, $2, $3, $4) \
                  on conflict (host) do update set baseline = excluded.baseline, clock = excluded.clock, \
                  quoted = excluded.quoted";
    let query = sqlx::query(upsert).bind(host).bind(baseline_json).bind(clock_json).bind(quoted_json);
    writing.run(query).await.map(drop)
}

async fn put_confirmed(writing: &mut Writing, host: &str, confirmed: &Confirmed) -> Result<(), StoreError> {
    let Confirmed { running, generation, at } = confirmed;
    let generation = generation.map(|generation| writing.number(generation.number())).transpose()?;
    let upsert = "insert into host_confirmed (host, running, generation, at) values ($1, $2, $3, $4) \
                  on conflict (host) do update set running = excluded.running, generation = excluded.generation, \
                  at = excluded.at";
    let query = sqlx::query(upsert)
        .bind(host)
        .bind(running.map(|digest| digest.to_string()))
        .bind(generation)
        .bind(at.as_micros());
    writing.run(query).await.map(drop)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: i64,
    verdict: String,
    reasons: String,
}

const VERDICTS: [(&str, VerdictKind); 3] = [
    (VerdictKind::Pass.as_str(), VerdictKind::Pass),
    (VerdictKind::Fail.as_str(), VerdictKind::Fail),
    (VerdictKind::Retry.as_str(), VerdictKind::Retry),
];

impl TryFrom<Row> for AttestationRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { id, at, verdict, reasons } = row;
        let key = id.to_string();
        let origin = Origin { table: "attestations", row: &key };
        Ok(Self {
            at: Timestamp::from_micros(at),
            verdict: origin.word("verdict", &verdict, &VERDICTS)?,
            reasons: origin.json("reasons", &reasons)?,
        })
    }
}
