//! Verdicts and what they are based on.

mod verdict;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::host::{Trust, VerdictKind};
use flota_model::{Digest, HostId, Timestamp};
use flota_store::{AttestationRecord, AttestationStore, BootLog, HostMeasurements, StoreError, VerdictRecord};
use sqlx::Sqlite;
use sqlx::query_builder::Separated;

use crate::SqliteStore;
use crate::row::Origin;
use crate::transaction::Writing;

#[async_trait]
impl AttestationStore for SqliteStore {
    async fn measurements(&self, id: &HostId) -> Result<Option<HostMeasurements>, StoreError> {
        let query = sqlx::query_as::<_, MeasurementsRow>(
            "select host, baseline, clock, quoted, baseline_log, quoted_log from host_measurements where host = $1",
        );
        let row = self.read("reading a host's measurements").find(query.bind(id.as_str())).await?;
        row.map(HostMeasurements::try_from).transpose()
    }

    async fn record_verdicts(&self, verdicts: &[(VerdictRecord, Vec<AuditEntry>)]) -> Result<(), StoreError> {
        let mut writing = self.write("storing verdicts").await?;
        verdict::put(&mut writing, verdicts).await?;
        writing.commit().await
    }

    async fn boot_log(&self, digest: &Digest) -> Result<Option<BootLog>, StoreError> {
        let query = sqlx::query_as::<_, (Vec<u8>,)>("select bytes from boot_logs where digest = $1");
        let row = self.read("reading a boot log").find(query.bind(digest.to_string())).await?;
        Ok(row.map(|(bytes,)| BootLog { digest: *digest, bytes }))
    }

    async fn sweep_boot_logs(&self) -> Result<u64, StoreError> {
        let mut writing = self.write("removing boot logs that nothing names").await?;
        let delete = "delete from boot_logs where digest not in \
                      (select baseline_log from host_measurements where baseline_log is not null \
                      union select quoted_log from host_measurements where quoted_log is not null)";
        let removed = writing.run(sqlx::query(delete)).await?;
        writing.commit().await?;
        Ok(removed)
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
        let update = "update hosts set trust = $2, trust_reason = $3, lease_until = iif($5, lease_until, null) \
                      where id = $1 and trust in (select value from json_each($4))";
        let query =
            sqlx::query(update).bind(id.as_str()).bind(to.as_str()).bind(reason).bind(from).bind(to.admits_work());
        let changed = writing.run(query).await?;
        writing.commit_if(changed > 0, audit).await
    }
}

/// Replaces what each host's next quote is compared with. Of a host that is there twice, the last.
pub(crate) async fn put_measurements(
    writing: &mut Writing,
    measurements: &[(&HostId, &HostMeasurements)],
) -> Result<(), StoreError> {
    let into = "insert into host_measurements (host, baseline, clock, quoted, baseline_log, quoted_log) ";
    let conflict = " on conflict (host) do update set baseline = excluded.baseline, clock = excluded.clock, \
                    quoted = excluded.quoted, baseline_log = excluded.baseline_log, quoted_log = excluded.quoted_log";
    let bind = |values: &mut Separated<'_, Sqlite, &'static str>, row: &(&HostId, &HostMeasurements)| {
        let (host, HostMeasurements { baseline_json, clock_json, quoted_json, baseline_log, quoted_log }) = row;
        values.push_bind(host.as_str());
        for document in [baseline_json, clock_json, quoted_json] {
            values.push_bind(document);
        }
        for log in [baseline_log, quoted_log] {
            values.push_bind(log.map(|digest| digest.to_string()));
        }
    };
    writing.insert(into, measurements, bind, conflict).await
}

#[derive(sqlx::FromRow)]
struct MeasurementsRow {
    host: String,
    baseline: String,
    clock: String,
    quoted: String,
    baseline_log: Option<String>,
    quoted_log: Option<String>,
}

impl TryFrom<MeasurementsRow> for HostMeasurements {
    type Error = StoreError;

    fn try_from(row: MeasurementsRow) -> Result<Self, StoreError> {
        let MeasurementsRow { host, baseline, clock, quoted, baseline_log, quoted_log } = row;
        let origin = Origin { table: "host_measurements", row: &host };
        Ok(Self {
            baseline_json: baseline,
            clock_json: clock,
            quoted_json: quoted,
            baseline_log: origin.parse_some("baseline_log", baseline_log.as_deref())?,
            quoted_log: origin.parse_some("quoted_log", quoted_log.as_deref())?,
        })
    }
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
