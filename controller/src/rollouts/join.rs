//! Adds hosts that came later to rollouts that take them.

use flota_model::Selector;
use flota_model::audit::AuditEntry;
use flota_model::host::Host;
use flota_model::rollout::{LateJoiners, RolloutState, TargetSpec};
use flota_store::RolloutRecord;
use serde_json::json;

use super::create::{ALL_HOSTS, Offer, target};
use crate::core::Core;
use crate::fault::Fault;
use crate::releases::check_signed;

/// Adds the hosts of the fleet that match and are not in it yet; returns how many. While it has not begun, or is over,
/// nobody joins.
pub(super) async fn join(core: &Core, record: &RolloutRecord, fleet: &[Host]) -> Result<usize, Fault> {
    let state = record.plan.as_ref().map_or(RolloutState::Draft, |(_, plan)| plan.state);
    let begun = !state.is_terminal() && !matches!(state, RolloutState::Draft | RolloutState::Aborting);
    if record.spec.late_joiners == LateJoiners::LeftOut || !begun {
        return Ok(0);
    }
    let selector = if record.spec.selector == ALL_HOSTS { "" } else { record.spec.selector.as_str() };
    let selector: Selector = selector.parse().map_err(Fault::bad)?;
    let is_new = |host: &&Host| {
        let may = host.trust.admits_connection() && !host.awaits_approval;
        may && selector.matches(&host.name, &host.labels) && !record.spec.targets.contains_key(&host.id)
    };
    let late: Vec<&Host> = fleet.iter().filter(is_new).collect();
    if late.is_empty() {
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
                tracing::debug!(host.id = %host.id, rollout = %record.spec.id, %fault, "a late host is left out")
            }
        }
    }
    Ok(core.store.join_rollout(record.spec.id, &joiners).await?)
}

fn audit(core: &Core, record: &RolloutRecord, host: &Host, target: &TargetSpec) -> AuditEntry {
    let details = json!({ "host": host.id, "name": host.name, "previous": target.previous });
    core.audit("rollout.join", format!("rollout/{}", record.spec.id), "ok", &details)
}
