//! The archive of security exports: made by schedule, missed when they are not made, kept as long as they must be.

pub mod search;
pub mod signatures;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flota_alerts::ExportPace;
use flota_model::host::Host;
use flota_model::task::{Export, TaskKind};
use flota_model::{HostId, Timestamp};
use flota_store::{ExportHold, Holds, NewEscalation, Removed, Which};
use serde_json::json;

use crate::core::Core;
use crate::fault::Fault;
use crate::grpc::tasks;
use crate::schedule::{Pace, Schedule};

/// Time that a host has for an export that it was asked for; one that could not make it is not asked again before that.
const DEADLINE: Duration = Duration::from_hours(1);
/// Least time after the interval before a missing export is somebody's business.
const LEAST_GRACE: Duration = Duration::from_hours(1);
/// Exports that are removed together: a writer waits no longer than for these, and their names fit into one entry of the log.
const REMOVED_AT_ONCE: u32 = 100;
/// Escalations that may be open: several of each host of the largest fleet.
const ESCALATIONS: u32 = 100_000;
/// The kind of escalation.
const MISSING: &str = "export_missing";

/// Asks hosts whose export is due, and escalates those that have made none for too long.
pub async fn keep_schedule(core: &Core, schedule: &mut Schedule) -> Result<(), Fault> {
    let Some(interval) = core.settings.exports.every else { return Ok(()) };
    let newest: BTreeMap<HostId, Timestamp> = core.store.newest_exports().await?.into_iter().collect();
    let now = core.now();
    let age = |host: &Host| now.since(newest.get(&host.id).copied().unwrap_or(host.enrolled_at));
    let mut fleet = core.store.hosts().await?;
    fleet.retain(|host| host.trust.admits_connection() && !host.awaits_approval);
    // Whoever was not asked for long enough is not late: after an outage, or when the schedule is new.
    let ExportPace { late_after, grace } = pace(interval);
    if now.since(core.listening_since) >= grace {
        let late: Vec<(&Host, Duration)> =
            fleet.iter().map(|host| (host, age(host))).filter(|(_, age)| *age >= late_after).collect();
        miss(core, &late).await?;
    }
    let pace = Pace { interval, spread: slack(interval), patience: DEADLINE };
    ask(core, schedule.due(core, fleet, &newest, pace)).await
}

/// When exports are late, with that interval.
pub fn pace(interval: Duration) -> ExportPace {
    ExportPace { late_after: interval.saturating_add(slack(interval)), grace: slack(interval).saturating_add(DEADLINE) }
}

/// A quarter of the interval, and an hour at least: the whole fleet is asked in that time.
fn slack(interval: Duration) -> Duration {
    (interval / 4).max(LEAST_GRACE)
}

async fn ask(core: &Core, due: Vec<Host>) -> Result<(), Fault> {
    let mut hosts = Vec::with_capacity(due.len());
    for host in due {
        let open = core.store.open_tasks(&host.id).await?;
        if !open.iter().any(|task| matches!(task.kind, TaskKind::Export { .. })) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Ok(());
    }
    let kind = TaskKind::Export { reason: "by schedule".to_owned() };
    let deadline = core.now().plus(DEADLINE);
    tasks::give(core, "controller", hosts, &kind, deadline).await.map(drop)
}

async fn miss(core: &Core, late: &[(&Host, Duration)]) -> Result<(), Fault> {
    if late.is_empty() {
        return Ok(());
    }
    let open = core.store.escalations(Which::Open, ESCALATIONS).await?;
    let told: BTreeSet<HostId> = open.into_iter().filter(|open| open.kind == MISSING).map(|open| open.host).collect();
    for (host, age) in late.iter().filter(|(host, _)| !told.contains(&host.id)) {
        let hours = age.as_secs() / 3600;
        let summary = format!("{} has made no security export for {hours} hours", host.name);
        let new = NewEscalation { kind: MISSING.to_owned(), summary };
        let details = json!({ "kind": MISSING, "hours": hours });
        let audit = core.audit("escalation.open", format!("host/{}", host.id), "ok", &details);
        // False: another controller was quicker.
        let _new = core.store.escalate(&host.id, &new, &audit).await?;
    }
    Ok(())
}

/// Removes exports that are older than they have to be kept, of hosts that no hold selects. The newest of each host stays.
pub async fn keep_no_longer(core: &Core) -> Result<(), Fault> {
    let Some(keep) = core.settings.exports.keep else { return Ok(()) };
    let Some(before) = core.now().minus(keep) else { return Ok(()) };
    let mut removed = 0_usize;
    loop {
        let holds = core.store.export_holds(Holds::Open).await?;
        let fleet = core.store.hosts().await?;
        let held: Vec<HostId> = fleet
            .into_iter()
            .filter(|host| holds.iter().any(|hold| holds_host(hold, host)))
            .map(|host| host.id)
            .collect();
        let old = core.store.old_exports(before, &held, REMOVED_AT_ONCE).await?;
        if old.is_empty() {
            break;
        }
        let audit = core.audit("export.expire", "exports".to_owned(), "ok", &destroyed(before, held.len(), &old));
        let ids: Vec<_> = old.iter().map(|export| export.id.clone()).collect();
        // A hold that was entered meanwhile is looked at first.
        if core.store.remove_exports(&ids, holds.iter().map(|hold| hold.id).max(), &audit).await? == Removed::Done {
            removed = removed.saturating_add(old.len());
        }
    }
    if removed > 0 {
        tracing::info!(exports = removed, %before, "exports were kept as long as they had to be");
    }
    Ok(())
}

/// What is destroyed can be named afterwards.
fn destroyed(before: Timestamp, held_hosts: usize, exports: &[Export]) -> serde_json::Value {
    let named = |export: &Export| json!({ "id": export.id, "host": export.host, "blob": export.blob });
    let named: Vec<_> = exports.iter().map(named).collect();
    json!({ "before": before, "held_hosts": held_hosts, "exports": named })
}

fn holds_host(hold: &ExportHold, host: &Host) -> bool {
    hold.selector.matches(&host.name, &host.labels)
}
