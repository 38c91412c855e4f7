//! What tasks become on the wire, and what their results become in the store.

use flota_model::host::{Host, Trust};
use flota_model::task::{Export, HostHealth, Task, TaskKind, TaskState};
use flota_model::{Digest, ExportId, HostId, RolloutId, TaskId};
use flota_proto::v1;
use flota_proto::v1::task_offer::Kind;
use flota_proto::v1::task_result::Result as Outcome;
use flota_store::{ExportsOf, FinishedTask};
use serde_json::json;

use crate::archive::signatures::{self, Checked};
use crate::blobs::Presence;
use crate::ca;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::rights;
use crate::peer::Peer;

/// Longest health report kept, in bytes: it is shown to people.
const MAX_REPORT_BYTES: usize = 64 * 1024;
/// Exports of a host that are looked through for one that is sent again: it was sent a moment ago.
const KNOWN_EXPORTS: u32 = 100;
/// Longest sentence kept of a result.
const MAX_DETAIL_CHARS: usize = 1000;

/// A task as it is offered.
pub(super) fn offer(task: &Task, deadline_seconds: u32) -> v1::TaskOffer {
    let kind = match &task.kind {
        TaskKind::Export { reason } => Kind::Export(v1::ExportTask { reason: reason.clone() }),
        TaskKind::Health { checks } => Kind::Health(v1::HealthTask { checks: checks.clone() }),
    };
    v1::TaskOffer { id: task.id.to_string(), deadline_seconds, kind: Some(kind) }
}

/// Stores a task's result.
pub(super) async fn store(core: &Core, host: &HostId, message: v1::TaskResult) -> Result<(), Fault> {
    let v1::TaskResult { id, ok, detail, result } = message;
    let detail: String = detail.chars().take(MAX_DETAIL_CHARS).collect();
    let id: TaskId = id.parse().map_err(Fault::bad)?;
    let task = core.store.tasks(std::slice::from_ref(&id)).await?.into_iter().next();
    let (export, health) = match result {
        Some(Outcome::Export(made)) => (Some(export(core, host, made).await?), None),
        Some(Outcome::Health(found)) => (None, Some(health(core, host, found)?)),
        None => (None, None),
    };
    let found = health.as_ref().map(|health| health.overall.clone());
    let some_checks =
        task.as_ref().is_some_and(|task| matches!(&task.kind, TaskKind::Health { checks } if !checks.is_empty()));
    let health = match health {
        Some(health) if some_checks => Some(whole(core, health).await?),
        health => health,
    };
    let reason = task.as_ref().map(|task| match &task.kind {
        TaskKind::Export { reason } => reason.clone(),
        TaskKind::Health { .. } => String::new(),
    });
    let export = export.map(|export| Export { reason: reason.unwrap_or_default(), ..export });
    let details = json!({
        "task": id, "detail": detail, "export": export.as_ref().map(|export| &export.id),
        "blob": export.as_ref().map(|export| export.blob),
        "signature": export.as_ref().map(|export| export.signature.as_str()), "health": found,
    });
    let action = if health.is_some() { "host.health" } else { "host.export" };
    let audit = core.audit_host(host, action, if ok { "ok" } else { "failed" }, &details);
    let state = if ok { TaskState::Done } else { TaskState::Failed };
    let finished = FinishedTask { state, detail, export, found, health, at: core.now() };
    // Repeated results and results of tasks that expired meanwhile change nothing.
    let _outcome = core.store.finish_task(host, &id, &finished, &audit).await?;
    Ok(())
}

/// Stores an export that the host made before an update.
pub(super) async fn archive(core: &Core, host: &HostId, made: v1::ExportResult) -> Result<(), Fault> {
    core.quotas.entry(host)?;
    let export = export(core, host, made).await?;
    let details = json!({ "export": export.id, "blob": export.blob, "rollout": export.rollout,
        "signature": export.signature.as_str(),
    });
    let audit = core.audit_host(host, "host.export", &export.status, &details);
    // False when this very export is there already: the host asked again after a crash or a lost answer.
    let _new = core.store.add_export(&export, &audit).await?;
    Ok(())
}

async fn export(core: &Core, host: &HostId, made: v1::ExportResult) -> Result<Export, Fault> {
    let blob: Digest = made.blob.parse().map_err(Fault::bad)?;
    let Presence::Whole { size } = core.blobs.presence(&blob) else {
        return Err(Fault::new(Code::BadRequest, "the export's file was not uploaded before its result"));
    };
    if !rights::may_export(core, host, &blob).await? {
        return Err(Fault::new(Code::BadRequest, "the export's file is not this host's"));
    }
    let rollout = rollout(core, host, &made.rollout).await?;
    let unknown = || Fault::new(Code::UnknownCertificate, "the host is not in the fleet");
    let host = core.store.host(host).await?.ok_or_else(unknown)?;
    // Sent again after a lost answer, it is what it was: it is looked at once.
    let checked = if let Some(known) = archived(core, &host.id, &blob).await? {
        Checked { signature: known.signature, key_id: Some(known.key_id), why: String::new() }
    } else {
        let checked = signatures::check(core, &host, &blob).await?;
        signatures::escalate(core, &host, &checked).await?;
        checked
    };
    Ok(Export {
        id: ExportId::from_uuid(uuid::Uuid::now_v7()),
        host: host.id,
        host_name: host.name,
        at: core.now(),
        blob,
        size,
        audit_entries: made.audit_entries,
        alert_entries: made.alert_entries,
        status: if made.status == "ok" { "ok".into() } else { "partial".into() },
        // What the file says counts more than what the host says of it.
        key_id: checked.key_id.as_ref().unwrap_or(&made.key_id).chars().take(100).collect(),
        signature: checked.signature,
        reason: rollout.map(|id| format!("before the update of {id}")).unwrap_or_default(),
        rollout,
    })
}

/// The export of this host that this blob is already, among its newest.
async fn archived(core: &Core, host: &HostId, blob: &Digest) -> Result<Option<Export>, Fault> {
    if !core.store.exporters(blob).await?.contains(host) {
        return Ok(None);
    }
    let known = core.store.exports(ExportsOf::host(host), KNOWN_EXPORTS).await?;
    Ok(known.into_iter().find(|export| export.blob == *blob))
}

/// The rollout that the host made an export for. One that the host has no part in is left out: a wrong number must not
/// lose an export.
async fn rollout(core: &Core, host: &HostId, id: &str) -> Result<Option<RolloutId>, Fault> {
    if id.is_empty() {
        return Ok(None);
    }
    let id: RolloutId = id.parse().map_err(Fault::bad)?;
    let known = core.store.rollout(id).await?;
    if known.is_some_and(|rollout| rollout.spec.targets.contains_key(host)) {
        return Ok(Some(id));
    }
    tracing::warn!(host.id = %host, rollout = %id, "an export names a rollout that its host has no part in");
    Ok(None)
}

fn health(core: &Core, host: &HostId, found: v1::HealthResult) -> Result<HostHealth, Fault> {
    let v1::HealthResult { overall, report_json } = found;
    if !matches!(overall.as_str(), "healthy" | "degraded" | "unavailable") {
        return Err(Fault::new(Code::BadRequest, "overall health must be healthy, degraded or unavailable"));
    }
    if report_json.len() > MAX_REPORT_BYTES || serde_json::from_str::<serde_json::Value>(&report_json).is_err() {
        return Err(Fault::new(Code::BadRequest, "the health report must be JSON of 64 KiB at most"));
    }
    Ok(HostHealth { host: host.clone(), overall, at: core.now(), report_json })
}

/// The whole picture of a host after some of its checks alone were made: what was not asked is what it was.
async fn whole(core: &Core, made: HostHealth) -> Result<HostHealth, Fault> {
    let newest = core.store.health(None).await?.into_iter().find(|newest| newest.host == made.host);
    let Some(newest) = newest else { return Ok(made) };
    Ok(match flota_model::health::merged(&newest.report_json, &made.report_json) {
        // What was not asked now is as old as it was.
        Some((overall, report_json)) if report_json.len() <= MAX_REPORT_BYTES => {
            HostHealth { overall, report_json, ..newest }
        }
        _ => newest,
    })
}

/// A new certificate over the key of the present one. Only for a host whose newest quote passed, or that waits for a
/// person: its certificate opens the waiting room alone, and it must not have to enrol again because somebody took a day.
pub(super) async fn renew(core: &Core, host: &HostId, peer: &Peer, csr: &[u8]) -> Result<Vec<u8>, Fault> {
    let known = core.store.host(host).await?;
    let may = |known: &Host| known.awaits_approval || matches!(known.trust, Trust::Trusted | Trust::Unattested);
    if !known.as_ref().is_some_and(may) {
        return Err(Fault::new(Code::EvidenceRefused, "a certificate is renewed only after a quote that passed"));
    }
    let key = ca::request_public_key(csr).map_err(|error| Fault::new(Code::BadRequest, error.to_string()))?;
    let same = peer.certificate.as_ref().is_some_and(|certificate| *certificate.public_key == *key);
    if !same {
        return Err(Fault::new(Code::EvidenceRefused, "a renewal keeps the key of the present certificate"));
    }
    let (certificate, expires_at) = core
        .ca
        .issue_host(host, csr, core.now())
        .map_err(|error| Fault::new(Code::Bug, "the certificate could not be made").because(error))?;
    let details = json!({ "expires_at": expires_at });
    let audit = core.audit_host(host, "host.renew", "ok", &details);
    core.store.certificate_renewed(host, expires_at, &audit).await?;
    Ok(certificate.to_vec())
}
