//! The archive of security exports: made by schedule, missed when they are not made, kept as long as they must be.

pub mod search;

use std::collections::BTreeMap;
use std::time::Duration;

use flota_model::host::Host;
use flota_model::task::TaskKind;
use flota_model::{HostId, Timestamp};
use flota_store::{ExportHold, NewEscalation};
use serde_json::json;

use crate::core::Core;
use crate::fault::Fault;
use crate::grpc::tasks;

/// Hosts that are asked for their export in one round: a fleet that is due at once is asked over some minutes.
const AT_ONCE: usize = 50;
/// Time that a host has for an export that it was asked for.
const DEADLINE: Duration = Duration::from_hours(1);
/// Least time after the interval before a missing export is somebody's business.
const LEAST_GRACE: Duration = Duration::from_hours(1);
/// Exports that are removed in one round.
const REMOVED_AT_ONCE: u32 = 1000;
/// The kind of escalation.
const MISSING: &str = "export_missing";

/// Asks hosts whose export is due, and escalates those that have made none for too long.
pub async fn keep_schedule(core: &Core) -> Result<(), Fault> {
    let Some(interval) = core.settings.exports.every else { return Ok(()) };
    let newest: BTreeMap<HostId, Timestamp> = core.store.newest_exports().await?.into_iter().collect();
    let now = core.now();
    let age = |host: &Host| now.since(newest.get(&host.id).copied().unwrap_or(host.enrolled_at));
    let fleet = core.store.hosts().await?;
    let mut due = Vec::new();
    for host in fleet.iter().filter(|host| host.trust.admits_connection() && !host.awaits_approval) {
        let made_none = !newest.contains_key(&host.id);
        if age(host) >= grace(interval) {
            miss(core, host, age(host)).await?;
        }
        if (made_none || age(host) >= interval) && host.admits_work(now) && due.len() < AT_ONCE {
            due.push(host.clone());
        }
    }
    ask(core, due).await
}

/// An interval and a quarter, and an hour more at least.
fn grace(interval: Duration) -> Duration {
    interval.saturating_add((interval / 4).max(LEAST_GRACE))
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

async fn miss(core: &Core, host: &Host, age: Duration) -> Result<(), Fault> {
    let hours = age.as_secs() / 3600;
    let summary = format!("{} has made no security export for {hours} hours", host.name);
    let new = NewEscalation { kind: MISSING.to_owned(), summary };
    let details = json!({ "kind": MISSING, "hours": hours });
    let audit = core.audit("escalation.open", format!("host/{}", host.id), "ok", &details);
    // False: somebody has been told already.
    let _new = core.store.escalate(&host.id, &new, &audit).await?;
    Ok(())
}

/// Removes exports that are older than they have to be kept, of hosts that no hold selects. The newest of each host stays.
pub async fn keep_no_longer(core: &Core) -> Result<(), Fault> {
    let Some(keep) = core.settings.exports.keep else { return Ok(()) };
    let Some(before) = core.now().minus(keep) else { return Ok(()) };
    let holds = core.store.export_holds(flota_store::Holds::Open).await?;
    let fleet = core.store.hosts().await?;
    let held: Vec<HostId> =
        fleet.into_iter().filter(|host| holds.iter().any(|hold| holds_host(hold, host))).map(|host| host.id).collect();
    let details = json!({ "before": before, "held_hosts": held.len() });
    let audit = core.audit("export.expire", "exports".to_owned(), "ok", &details);
    let removed = core.store.remove_exports(before, &held, REMOVED_AT_ONCE, &audit).await?;
    if removed > 0 {
        tracing::info!(exports = removed, %before, "exports were kept as long as they had to be");
    }
    Ok(())
}

fn holds_host(hold: &ExportHold, host: &Host) -> bool {
    hold.selector.matches(&host.name, &host.labels)
}
