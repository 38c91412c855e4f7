//! What the rules are told of the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_alerts::{FleetFacts, HealthFact, HostFact, Metadata, RolloutFact};
use flota_model::host::{Host, Trust};
use flota_model::rollout::RolloutState;
use flota_model::update::UpdatePhase;
use flota_model::{HostId, Timestamp, health};

use crate::archive;
use crate::core::Core;
use crate::fault::Fault;
use crate::releases;

/// The signed metadata are verified anew that often: they change with a publication, and expire with the days.
const METADATA_EVERY: Duration = Duration::from_mins(10);
/// Reports are asked for from so much before the newest known one: clocks of several controllers differ.
const OVERLAP: Duration = Duration::from_mins(1);

/// What is remembered between two looks. A restart may lose it.
#[derive(Debug, Default)]
pub struct Memory {
    health: BTreeMap<HostId, HealthFact>,
    metadata: Option<(Timestamp, Option<Metadata>)>,
}

/// Gathers them.
pub async fn gather(core: &Core, memory: &mut Memory) -> Result<FleetFacts, Fault> {
    let now = core.now();
    memory.read_health(core).await?;
    let metadata = memory.metadata(core, now).await?;
    let checks = if core.settings.health_every.is_some() { core.store.newest_checks().await? } else { Vec::new() };
    let mut failed: BTreeMap<HostId, String> =
        checks.into_iter().filter_map(|check| Some((check.host, check.outcome.err()?))).collect();
    let exports: BTreeMap<HostId, Timestamp> = match core.settings.exports.every {
        Some(_) => core.store.newest_exports().await?.into_iter().collect(),
        None => BTreeMap::new(),
    };
    let fleet = core.store.hosts().await?.into_iter();
    let hosts = fleet.filter(|host| is_member(host) && !host.awaits_approval).map(|host| {
        let export_age = now.since(exports.get(&host.id).copied().unwrap_or(host.enrolled_at));
        let (health, check_failed) = (memory.health.get(&host.id).cloned(), failed.remove(&host.id));
        HostFact { health, check_failed, export_age, ..fact(core, host, now) }
    });
    let hosts = hosts.collect();
    let rollouts = core.store.active_rollouts().await?.into_iter().filter_map(|record| {
        let (_, plan) = record.plan?;
        let stands =
            matches!(plan.state, RolloutState::Halted | RolloutState::AwaitingApproval | RolloutState::Inconclusive);
        stands.then_some(RolloutFact { id: record.spec.id, state: plan.state, cause: plan.cause })
    });
    Ok(FleetFacts {
        hosts,
        rollouts: rollouts.collect(),
        off: core.settings.alerts.rules.iter().filter(|(_, wish)| wish.off).map(|(name, _)| name.clone()).collect(),
        silences: core.store.silences(Some(now)).await?,
        health_every: core.settings.health_every,
        exports: core.settings.exports.every.map(archive::pace),
        listening_for: now.since(core.listening_since),
        metadata,
    })
}

fn fact(core: &Core, host: Host, now: Timestamp) -> HostFact {
    let held = host.observed.as_ref().filter(|report| report.phase == UpdatePhase::SafeHold);
    let silent_since = host.last_seen.filter(|_| !core.sessions.is_connected(&host.id));
    HostFact {
        safe_hold: held.map(|report| report.detail.clone()),
        silent_for: silent_since.map(|seen| now.since(seen)),
        name: host.name,
        labels: host.labels,
        shut_out: !host.trust.admits_connection(),
        trust: (host.trust, host.trust_reason),
        health: None,
        check_failed: None,
        export_age: Duration::ZERO,
    }
}

impl Memory {
    /// Reads the reports that are newer than those it has.
    async fn read_health(&mut self, core: &Core) -> Result<(), Fault> {
        // A clock that was set back makes what is newest lie ahead: then all are read.
        let now = core.now();
        let newest = self.health.values().map(|health| health.at).max().filter(|at| *at <= now);
        let since = newest.and_then(|newest| newest.minus(OVERLAP));
        for report in core.store.health(since).await? {
            if self.health.get(&report.host).is_some_and(|known| known.at == report.at) {
                continue;
            }
            let checks = health::checks(&report.report_json);
            self.health.insert(report.host, HealthFact { at: report.at, overall: report.overall, checks });
        }
        Ok(())
    }

    async fn metadata(&mut self, core: &Core, now: Timestamp) -> Result<Option<Metadata>, Fault> {
        if let Some((read_at, known)) = &self.metadata
            && now.since(*read_at) < METADATA_EVERY
        {
            return Ok(known.clone());
        }
        let known = if core.store.release_metadata().await?.is_empty() {
            None
        } else {
            match releases::signed(core).await {
                Ok(catalogue) => catalogue.first_expiry().map(|expiry| {
                    Metadata::Until(Timestamp::from_micros(expiry.at.as_microsecond()), expiry.role.to_string())
                }),
                Err(fault) => Some(Metadata::NotBelieved(fault.sentence)),
            }
        };
        self.metadata = Some((now, known.clone()));
        Ok(known)
    }
}

/// Whether alerts speak of it: also of one that failed its quote and was shut out for it, not of one that a person shut out.
fn is_member(host: &Host) -> bool {
    host.trust.admits_connection() || host.trust == Trust::Untrusted
}
