//! Verdicts with their consequences. A fleet's quotes come in by the hundred at once: whatever each verdict has is
//! written for all of them with few statements, and only what differs from one to the next takes one each.

use std::collections::BTreeSet;

use flota_model::HostId;
use flota_model::audit::AuditEntry;
use flota_model::host::Confirmed;
use flota_store::{ATTESTATIONS_KEPT, BootLog, Lease, StoreError, VerdictRecord};
use sqlx::Sqlite;
use sqlx::query_builder::Separated;

use super::put_measurements;
use crate::audit::append_all;
use crate::escalations::open;
use crate::transaction::Writing;

/// Of a host that is not there: nothing.
pub(super) async fn put(
    writing: &mut Writing,
    verdicts: &[(VerdictRecord, Vec<AuditEntry>)],
) -> Result<(), StoreError> {
    let known = known_hosts(writing, verdicts).await?;
    let verdicts = verdicts.iter().filter(|(record, _)| known.contains(record.host.as_str()));
    let records: Vec<_> = verdicts.clone().map(|(record, _)| record).collect();
    put_history(writing, &records).await?;
    put_confirmed(writing, &records).await?;
    let measured = records.iter().filter_map(|record| Some((&record.host, record.measurements.as_ref()?)));
    put_measurements(writing, &measured.collect::<Vec<_>>()).await?;
    for record in records {
        put_standing(writing, record).await?;
        if let Some(boot_log) = &record.boot_log {
            put_boot_log(writing, boot_log).await?;
        }
        for escalation in &record.escalations {
            open(writing, &record.host, escalation, record.at).await?;
        }
    }
    append_all(writing, verdicts.flat_map(|(_, audit)| audit)).await
}

async fn known_hosts(
    writing: &mut Writing,
    verdicts: &[(VerdictRecord, Vec<AuditEntry>)],
) -> Result<BTreeSet<String>, StoreError> {
    let asked: BTreeSet<_> = verdicts.iter().map(|(record, _)| record.host.as_str()).collect();
    let asked = writing.json(&asked)?;
    let select = "select h.id from json_each($1) asked join hosts h on h.id = asked.value";
    let known = writing.all(sqlx::query_as::<_, (String,)>(select).bind(asked)).await?;
    Ok(known.into_iter().map(|(host,)| host).collect())
}

async fn put_history(writing: &mut Writing, records: &[&VerdictRecord]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        rows.push((*record, writing.json(&record.reasons)?));
    }
    let into = "insert into attestations (host, at, verdict, reasons) ";
    let bind = |values: &mut Separated<'_, Sqlite, &'static str>, (record, reasons): &(&VerdictRecord, String)| {
        values.push_bind(record.host.as_str());
        values.push_bind(record.at.as_micros());
        values.push_bind(record.verdict.as_str());
        values.push_bind(reasons);
    };
    writing.insert(into, &rows, bind, "").await?;

    // Walks the index over the rows of each host that are kept, and finds none or few beyond them.
    let trim = "delete from attestations where id in (select old.id from json_each($1) host \
                join attestations old on old.host = host.value and (old.at, old.id) < \
                (select at, id from attestations where host = host.value order by at desc, id desc limit 1 offset $2))";
    let hosts: BTreeSet<_> = records.iter().map(|record| record.host.as_str()).collect();
    let hosts = writing.json(&hosts)?;
    writing.run(sqlx::query(trim).bind(hosts).bind(ATTESTATIONS_KEPT.saturating_sub(1))).await.map(drop)
}

async fn put_confirmed(writing: &mut Writing, records: &[&VerdictRecord]) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for VerdictRecord { host, confirmed, .. } in records {
        let Some(confirmed) = confirmed else { continue };
        let generation = confirmed.generation.map(|generation| writing.number(generation.number())).transpose()?;
        rows.push((host, confirmed, generation));
    }
    let into = "insert into host_confirmed (host, running, generation, at) ";
    let conflict = " on conflict (host) do update set running = excluded.running, generation = excluded.generation, \
                    at = excluded.at";
    let bind = |values: &mut Separated<'_, Sqlite, &'static str>, row: &(&HostId, &Confirmed, Option<i64>)| {
        let (host, Confirmed { running, generation: _, at }, generation) = row;
        values.push_bind(host.as_str());
        values.push_bind(running.map(|digest| digest.to_string()));
        values.push_bind(*generation);
        values.push_bind(at.as_micros());
    };
    writing.insert(into, &rows, bind, conflict).await
}

/// An operator may have shut the host out while its quote was checked; no verdict takes that back.
async fn put_standing(writing: &mut Writing, record: &VerdictRecord) -> Result<(), StoreError> {
    let VerdictRecord { host, trust, lease, policy, oem, .. } = record;
    if trust.is_none() && *lease == Lease::Keep && policy.is_none() && oem.is_none() {
        return Ok(());
    }
    let (keep_lease, lease_until) = match lease {
        Lease::Keep => (true, None),
        Lease::Until(until) => (false, Some(until.as_micros())),
        Lease::Drop => (false, None),
    };
    let update = "update hosts set \
                  trust = iif(trust in ('quarantined', 'retired'), trust, coalesce($2, trust)), \
                  trust_reason = iif(trust in ('quarantined', 'retired'), trust_reason, coalesce($3, trust_reason)), \
                  lease_until = iif($4 or trust in ('quarantined', 'retired'), lease_until, $5), \
                  policy = coalesce($6, policy), oem_evidence = coalesce($7, oem_evidence), \
                  oem_licence = coalesce($8, oem_licence) where id = $1";
    let query = sqlx::query(update)
        .bind(host.as_str())
        .bind(trust.as_ref().map(|(trust, _)| trust.as_str()))
        .bind(trust.as_ref().map(|(_, reason)| reason))
        .bind(keep_lease)
        .bind(lease_until)
        .bind(policy.as_ref())
        .bind(oem.as_ref().map(|oem| &oem.evidence))
        .bind(oem.as_ref().map(|oem| &oem.licence));
    writing.run(query).await.map(drop)
}

/// Hosts of one model send the same log.
async fn put_boot_log(writing: &mut Writing, log: &BootLog) -> Result<(), StoreError> {
    let BootLog { digest, bytes } = log;
    let insert = "insert into boot_logs (digest, bytes) values ($1, $2) on conflict do nothing";
    writing.run(sqlx::query(insert).bind(digest.to_string()).bind(bytes.as_slice())).await.map(drop)
}
