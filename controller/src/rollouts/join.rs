//! Adds hosts that came later to rollouts that take them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flota_model::audit::AuditEntry;
use flota_model::host::Host;
use flota_model::rollout::{LateJoiners, RolloutState, TargetSpec};
use flota_model::{HostId, RolloutId, Selector, Timestamp};
use flota_store::RolloutRecord;
use serde_json::json;

use super::create::{ALL_HOSTS, Offer, target};
use crate::core::Core;
use crate::fault::Fault;
use crate::releases::check_signed;

/// Between two tries for hosts that could not be added: their release may be signed again, or its waves widened.
const AGAIN: Duration = Duration::from_mins(1);

/// When a host could last not be added to a rollout; no host: nobody could. A restart forgets it.
#[derive(Debug, Default)]
pub struct LeftOut(Mutex<BTreeMap<(RolloutId, Option<HostId>), Timestamp>>);

impl LeftOut {
    fn is_due(&self, rollout: RolloutId, host: Option<&HostId>, now: Timestamp) -> bool {
        let tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.get(&(rollout, host.cloned())).is_none_or(|tried| now.since(*tried) >= AGAIN)
    }

    fn note(&self, rollout: RolloutId, host: Option<&HostId>, now: Timestamp) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.retain(|_, at| now.since(*at) < AGAIN);
        tried.insert((rollout, host.cloned()), now);
    }
}

/// Adds the hosts of the fleet that match and are not in it yet; returns how many. While it has not begun, or is over,
/// nobody joins. What keeps hosts from joining keeps nobody else from anything.
pub(super) async fn join(core: &Core, record: &RolloutRecord, fleet: &[Host]) -> usize {
    match try_join(core, record, fleet).await {
        Ok(joined) => joined,
        Err(fault) => {
            let id = record.spec.id;
            core.left_out.note(id, None, core.now());
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::warn!(rollout = %id, error, "hosts that came later cannot be added now; trying again");
            0
        }
    }
}

async fn try_join(core: &Core, record: &RolloutRecord, fleet: &[Host]) -> Result<usize, Fault> {
    let state = record.plan.as_ref().map_or(RolloutState::Draft, |(_, plan)| plan.state);
    let waits = matches!(state, RolloutState::Draft | RolloutState::AwaitingApproval | RolloutState::Aborting);
    let begun = !state.is_terminal() && !waits;
    if record.spec.late_joiners == LateJoiners::LeftOut || !begun {
        return Ok(0);
    }
    let selector = if record.spec.selector == ALL_HOSTS { "" } else { record.spec.selector.as_str() };
    let selector: Selector = selector.parse().map_err(Fault::bad)?;
    let (id, now) = (record.spec.id, core.now());
    let is_new = |host: &&Host| {
        let may = host.trust.admits_connection() && !host.awaits_approval;
        may && selector.matches(&host.name, &host.labels) && !record.spec.targets.contains_key(&host.id)
    };
    let is_due = |host: &&Host| core.left_out.is_due(id, Some(&host.id), now);
    let late: Vec<&Host> = fleet.iter().filter(is_new).filter(is_due).collect();
    if late.is_empty() || !core.left_out.is_due(id, None, now) {
        return Ok(0);
    }
    let terms = check_signed(core, &record.spec.release).await?;
    let releases = core.store.releases().await?;
    let offer = Offer { release: &record.spec.release, terms: &terms, releases: &releases };
    let specified = record.specified();
    let mut joiners = Vec::with_capacity(late.len());
    for host in late {
        match target(host, specified.waves.len(), offer, &record.spec.budgets) {
            Ok(target) => joiners.push((host.id.clone(), target.clone(), audit(core, record, host, &target))),
            // The release's own waves never reach it; it would refuse for ever.
            Err(fault) => {
                tracing::debug!(host.id = %host.id, rollout = %id, %fault, "a late host is left out");
                core.left_out.note(id, Some(&host.id), now);
            }
        }
    }
    Ok(core.store.join_rollout(record.spec.id, &joiners).await?)
}

fn audit(core: &Core, record: &RolloutRecord, host: &Host, target: &TargetSpec) -> AuditEntry {
    let details = json!({ "host": host.id, "name": host.name, "previous": target.previous });
    core.audit("rollout.join", format!("rollout/{}", record.spec.id), "ok", &details)
}
