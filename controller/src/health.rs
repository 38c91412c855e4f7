//! Health checks by schedule.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_model::task::TaskKind;
use flota_model::{HostId, Timestamp};

use crate::core::Core;
use crate::fault::Fault;
use crate::grpc::tasks;
use crate::schedule::{Pace, Schedule};

/// Time that a host has for a check that it was asked for.
const DEADLINE: Duration = Duration::from_mins(5);

/// Asks hosts whose newest check is too old; over the whole interval, so that an exchange is not asked by all at once.
pub async fn keep_schedule(core: &Core, schedule: &mut Schedule) -> Result<(), Fault> {
    let Some(interval) = core.settings.health_every else { return Ok(()) };
    let checks = core.store.newest_checks().await?.into_iter();
    let newest: BTreeMap<HostId, Timestamp> = checks.map(|check| (check.host, check.asked_at)).collect();
    let mut fleet = core.store.hosts().await?;
    fleet.retain(|host| host.trust.admits_connection() && !host.awaits_approval);
    let due = schedule.due(core, fleet, &newest, Pace { interval, spread: interval, patience: DEADLINE });
    if due.is_empty() {
        return Ok(());
    }
    let deadline = core.now().plus(DEADLINE);
    tasks::give(core, "controller", due, &TaskKind::Health { checks: Vec::new() }, deadline).await.map(drop)
}
