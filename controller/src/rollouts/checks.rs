//! Asks hosts whose update a quote confirmed for a health check, once for each; the report is what the planner waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use flota_model::rollout::{RolloutPlan, TargetState};
use flota_model::task::TaskKind;
use flota_model::{HostId, RolloutId};
use flota_planner::CHECK_WITHIN;

use crate::core::Core;
use crate::fault::Fault;
use crate::grpc::tasks;

/// Whom a check was asked of. A restart forgets it, and asks again: a check changes nothing.
#[derive(Debug, Default)]
pub struct Checks(Mutex<BTreeMap<RolloutId, BTreeSet<HostId>>>);

impl Checks {
    /// Those of `checking` that were not asked yet; they are, from now on. Who is not among them any more is forgotten.
    fn new_ones(&self, rollout: RolloutId, checking: BTreeSet<HostId>) -> Vec<HostId> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = asked.remove(&rollout).unwrap_or_default();
        let new = checking.difference(&before).cloned().collect();
        if !checking.is_empty() {
            asked.insert(rollout, checking);
        }
        new
    }

    /// Asks again later: the question was not stored.
    fn forget(&self, rollout: RolloutId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&rollout);
    }
}

/// Asks those that the plan waits for.
pub(super) async fn ask(core: &Core, plan: &RolloutPlan) -> Result<(), Fault> {
    let waits = |state: TargetState| matches!(state, TargetState::Checking { .. });
    let checking = plan.targets.iter().filter(|(_, target)| waits(target.state)).map(|(host, _)| host.clone());
    let new = core.checks.new_ones(plan.rollout, checking.collect());
    if new.is_empty() {
        return Ok(());
    }
    let mut hosts = Vec::with_capacity(new.len());
    for id in new {
        hosts.extend(core.store.host(&id).await?);
    }
    let deadline = core.now().plus(CHECK_WITHIN);
    let given = tasks::give(core, "controller", hosts, &TaskKind::Health { checks: Vec::new() }, deadline).await;
    if given.is_err() {
        core.checks.forget(plan.rollout);
    }
    given.map(drop)
}
