//! What the budgets leave room for.
//!
//! A host takes its place in each budget from when it is offered something until it is known to be well again. Hosts that change
//! for another reason take places too: another rollout, a person on the host, an update that ended in safe-hold.

use std::collections::BTreeMap;

use flota_model::HostId;
use flota_model::budget::Budget;
use flota_model::rollout::{RolloutPlan, RolloutSpec, TargetSpec, TargetState};
use flota_model::update::UpdatePhase;

use crate::snapshot::{FleetSnapshot, HostFacts};

/// Names in a reason; more are a number.
const NAMES: usize = 3;

/// Who takes a place, for each budget of a rollout by value of its label.
pub(crate) struct Places<'a> {
    budgets: &'a [Budget],
    taken: Vec<BTreeMap<String, BTreeMap<HostId, String>>>,
}

impl<'a> Places<'a> {
    /// As plan and fleet have it.
    pub(crate) fn new(spec: &'a RolloutSpec, plan: &RolloutPlan, fleet: &FleetSnapshot) -> Self {
        let mut places = Self { budgets: &spec.budgets, taken: vec![BTreeMap::new(); spec.budgets.len()] };
        let disrupted = |state: TargetState| state.is_in_flight() || matches!(state, TargetState::Unhealthy { .. });
        for (host, _) in plan.targets.iter().filter(|(_, target)| disrupted(target.state)) {
            if let Some(wanted) = spec.targets.get(host) {
                places.take(host, wanted);
            }
        }
        for facts in fleet.hosts().filter(|facts| is_changing(facts)) {
            for (budget, taken) in places.budgets.iter().zip(&mut places.taken) {
                let value = facts.host.labels.value(&budget.wish.label).unwrap_or_default();
                let users = taken.entry(value.to_owned()).or_default();
                users.insert(facts.host.id.clone(), facts.host.name.to_string());
            }
        }
        places
    }

    /// What keeps a host from being started, if a budget does.
    pub(crate) fn refuse(&self, host: &HostId, wanted: &TargetSpec) -> Option<String> {
        self.budgets.iter().zip(&self.taken).zip(&wanted.groups).find_map(|((budget, taken), value)| {
            let others = taken.get(value).into_iter().flatten().filter(|(user, _)| *user != host);
            let others: Vec<&str> = others.map(|(_, name)| name.as_str()).collect();
            let limit = budget.limit(value);
            let is_full = u32::try_from(others.len()).unwrap_or(u32::MAX) >= limit;
            is_full.then(|| {
                let label = &budget.wish.label;
                let group = if value.is_empty() { format!("no {label}") } else { format!("{label}={value}") };
                format!("budget {group}, {limit} at most: in use by {}", few(&others))
            })
        })
    }

    /// A host is started.
    pub(crate) fn take(&mut self, host: &HostId, wanted: &TargetSpec) {
        for (taken, value) in self.taken.iter_mut().zip(&wanted.groups) {
            taken.entry(value.clone()).or_default().insert(host.clone(), wanted.name.to_string());
        }
    }
}

/// Whether a host changes, or is to, or is not well after a change, whoever wanted that.
fn is_changing(facts: &HostFacts) -> bool {
    let host = &facts.host;
    let accepted = host.observed.as_ref().and_then(|report| report.generation);
    let is_asked = host.desired.as_ref().is_some_and(|desired| Some(desired.generation) > accepted);
    let phase = host.observed.as_ref().map(|report| report.phase);
    is_asked || phase.is_some_and(|phase| !phase.is_terminal() || phase == UpdatePhase::SafeHold)
}

fn few(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
