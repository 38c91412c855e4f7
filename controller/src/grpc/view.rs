//! Read models: how what the store has is shown to operators.

pub mod rollout;

use std::collections::BTreeMap;

use flota_model::Timestamp;
use flota_model::audit::AuditRow;
use flota_model::host::{Host, KeyStorage};
use flota_model::release::Release;
use flota_model::task::{Export, HostHealth, Task};
use flota_model::update::{Generation, Goal};
use flota_proto::v1;
use flota_release::{Catalogue, Wave};
use flota_store::{Approval, TokenRecord, TokenState};

/// A time, or nothing.
pub fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

/// Newest of what is known of each host beyond its row.
#[derive(Debug, Default)]
pub struct Extras {
    /// Newest health reports by host id.
    pub health: BTreeMap<String, HostHealth>,
    /// Newest exports by host id.
    pub exports: BTreeMap<String, Export>,
}

/// A host in a listing.
pub fn host(host: &Host, connected: bool, extras: &Extras) -> v1::Host {
    let liveness = match (connected, host.last_seen) {
        (true, _) => "connected",
        (false, Some(_)) => "silent",
        (false, None) => "never",
    };
    let observed = host.observed.as_ref();
    // A person on the host may have asked for something since; then nobody here wants anything of it.
    let accepted = observed.and_then(|report| report.generation);
    let desired = host.desired.as_ref().filter(|desired| Some(desired.generation) >= accepted);
    let wanted = desired.and_then(|desired| match &desired.goal {
        Goal::Install { release, .. } => Some(release),
        Goal::Stay => None,
    });
    let health = extras.health.get(host.id.as_str());
    v1::Host {
        id: host.id.to_string(),
        name: host.name.to_string(),
        labels: host.labels.as_map().clone(),
        trust: host.trust.to_string(),
        trust_reason: host.trust_reason.clone(),
        liveness: liveness.to_owned(),
        last_seen: time(host.last_seen),
        running: text(observed.and_then(|report| report.running.as_ref())),
        version: observed.map(|report| report.version.clone()).unwrap_or_default(),
        attested_release: text(host.confirmed.as_ref().and_then(|confirmed| confirmed.running.as_ref())),
        wanted: text(wanted.map(|release| &release.digest)),
        wanted_version: wanted.map(|release| release.version.clone()).unwrap_or_default(),
        phase: text(observed.map(|report| &report.phase)),
        detail: observed.map(|report| report.detail.clone()).unwrap_or_default(),
        generation: observed.and_then(|report| report.generation).map_or(0, Generation::number),
        rollout: text(desired.map(|desired| &desired.rollout)),
        health: health.map_or_else(|| "unknown".to_owned(), |health| health.overall.clone()),
        health_at: time(health.map(|health| health.at)),
        last_export_at: time(extras.exports.get(host.id.as_str()).map(|export| export.at)),
        attested_at: time(host.confirmed.as_ref().map(|confirmed| confirmed.at)),
        agent_version: host.agent_version.clone(),
        lease_until: time(host.lease_until),
        key_storage: host.key_storage.as_str().to_owned(),
        awaits_approval: host.awaits_approval,
        policy: host.policy.clone(),
        oem_evidence: host.oem.evidence.clone(),
        oem_licence: host.oem.licence.clone(),
        ahead: accepted
            .is_some_and(|accepted| host.desired.as_ref().is_none_or(|desired| desired.generation < accepted)),
    }
}

/// A token in a listing.
pub fn token(token: &TokenRecord) -> v1::Token {
    let state = match token.state {
        TokenState::Open => "open",
        TokenState::Used => "used",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
    };
    v1::Token {
        id: token.id.to_string(),
        host_name: text(token.host_name.as_ref()),
        labels: token.labels.as_map().clone(),
        state: state.to_owned(),
        created_at: token.created_at.to_string(),
        expires_at: token.expires_at.to_string(),
        created_by: token.created_by.clone(),
        used_by: text(token.used_by.as_ref()),
        approval: token.admits.approval == Approval::Needed,
        software_key: token.admits.key_storage == KeyStorage::File,
    }
}

/// A task.
pub fn task(task: &Task) -> v1::Task {
    v1::Task {
        id: task.id.to_string(),
        kind: task.kind.name().to_owned(),
        host_id: task.host.to_string(),
        host_name: task.host_name.to_string(),
        state: task.state.to_string(),
        detail: task.detail.clone(),
        created_at: task.created_at.to_string(),
        finished_at: time(task.finished_at),
        export_id: text(task.export.as_ref()),
        health: task.health.clone().unwrap_or_default(),
    }
}

/// An export.
pub fn export(export: &Export) -> v1::Export {
    v1::Export {
        id: export.id.to_string(),
        host_id: export.host.to_string(),
        host_name: export.host_name.to_string(),
        at: export.at.to_string(),
        blob: export.blob.to_string(),
        size_bytes: export.size,
        audit_entries: export.audit_entries,
        alert_entries: export.alert_entries,
        status: export.status.clone(),
        key_id: export.key_id.clone(),
        signature: export.signature.as_str().to_owned(),
        reason: export.reason.clone(),
    }
}

/// A release, with the terms under which it is signed.
pub fn release(release: &Release, catalogue: Option<&Catalogue>) -> v1::Release {
    let entry = catalogue.and_then(|catalogue| catalogue.find(&release.target.digest));
    let terms = entry.map(|entry| &entry.terms);
    let wave = |wave: &Wave| v1::ReleaseWave { after_seconds: wave.after_seconds, permille: wave.permille.into() };
    v1::Release {
        digest: release.target.digest.to_string(),
        id: release.id.clone(),
        version: release.target.version.clone(),
        platform: release.platform.clone(),
        runtime: release.runtime.clone(),
        size_bytes: release.target.size,
        published_at: release.published_at.to_string(),
        published_by: release.published_by.clone(),
        sequence: terms.map_or(0, |terms| terms.sequence),
        security_floor: terms.map_or(0, |terms| terms.security_floor),
        data_floor: terms.map_or(0, |terms| terms.data_floor),
        upgrades_from: terms.map(|terms| terms.upgrades_from.clone()).unwrap_or_default(),
        waves: terms.map(|terms| terms.waves.iter().map(wave).collect()).unwrap_or_default(),
        released_at: terms.map(|terms| terms.released_at.to_string()).unwrap_or_default(),
    }
}

/// An entry of the audit log.
pub fn audit(row: &AuditRow) -> v1::AuditEntry {
    let AuditRow { sequence, entry, previous, hash } = row;
    v1::AuditEntry {
        sequence: *sequence,
        at: entry.at.to_string(),
        actor: entry.actor.clone(),
        action: entry.action.clone(),
        object: entry.object.clone(),
        outcome: entry.outcome.clone(),
        details_json: entry.details_json.clone(),
        hash: hash.to_string(),
        previous_hash: previous.to_string(),
    }
}

/// Counts fit: no fleet has four thousand million hosts.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
