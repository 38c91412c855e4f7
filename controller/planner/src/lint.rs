//! What no plan may look like. Run on every plan in every test, and on every plan before it becomes current.

use std::collections::BTreeMap;

use flota_model::HostId;
use flota_model::rollout::{RolloutPlan, RolloutSpec, RolloutState, TargetState};

/// A rule that a plan breaks: a bug of the planner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// More hosts in motion than the rollout allows.
    #[error("{in_flight} hosts in motion, {limit} allowed")]
    TooManyInFlight {
        /// How many.
        in_flight: usize,
        /// How many may be.
        limit: usize,
    },
    /// More hosts of one group in motion than a budget allows.
    #[error("{in_flight} hosts with {label}={value} in motion, {limit} allowed")]
    OverBudget {
        /// The budget's label.
        label: String,
        /// The value that they share.
        value: String,
        /// How many.
        in_flight: u32,
        /// How many may be.
        limit: u32,
    },
    /// A host of a later wave was started.
    #[error("host {host} of wave {wave} was started while wave {current} is in progress")]
    WaveOutOfTurn {
        /// Which host.
        host: HostId,
        /// Its wave.
        wave: usize,
        /// The wave in progress.
        current: usize,
    },
    /// The plan has a host that the rollout has not, or the other way round.
    #[error("host {0} is in the plan or in the rollout, not in both")]
    UnknownHost(HostId),
    /// A rollout that is over has a host that waits.
    #[error("the rollout is {state} and host {host} still waits")]
    WaitsForNothing {
        /// The rollout's state.
        state: RolloutState,
        /// Which host.
        host: HostId,
    },
    /// A rollout that says that it succeeded has a host that is not known to run its release.
    #[error("the rollout succeeded and host {0} is not done")]
    NotDone(HostId),
    /// A host stands still and nobody is told why.
    #[error("host {0} has no reason")]
    NoReason(HostId),
}

/// All rules that `plan` breaks.
pub fn lint(spec: &RolloutSpec, plan: &RolloutPlan) -> Vec<Note> {
    let mut notes = Vec::new();
    let limit = usize::try_from(spec.max_in_flight.get()).unwrap_or(usize::MAX);
    let in_flight = plan.targets.values().filter(|target| target.state.is_in_flight()).count();
    if in_flight > limit {
        notes.push(Note::TooManyInFlight { in_flight, limit });
    }
    over_budget(spec, plan, &mut notes);
    for (host, target) in &plan.targets {
        let Some(wanted) = spec.targets.get(host) else {
            notes.push(Note::UnknownHost(host.clone()));
            continue;
        };
        let started = target.state.is_in_flight() || target.state.is_failure();
        if started && wanted.wave > plan.wave {
            notes.push(Note::WaveOutOfTurn { host: host.clone(), wave: wanted.wave, current: plan.wave });
        }
        let succeeded = matches!(plan.state, RolloutState::Succeeded | RolloutState::SucceededWithExceptions);
        if succeeded && target.state.is_waiting() {
            notes.push(Note::WaitsForNothing { state: plan.state, host: host.clone() });
        }
        if plan.state == RolloutState::Succeeded && target.state != TargetState::Committed {
            notes.push(Note::NotDone(host.clone()));
        }
        if target.reason.text.is_empty() && target.state != TargetState::Committed {
            notes.push(Note::NoReason(host.clone()));
        }
    }
    let missing = spec.targets.keys().filter(|host| !plan.targets.contains_key(*host));
    notes.extend(missing.cloned().map(Note::UnknownHost));
    notes
}

fn over_budget(spec: &RolloutSpec, plan: &RolloutPlan, notes: &mut Vec<Note>) {
    for (index, budget) in spec.budgets.iter().enumerate() {
        let mut groups = BTreeMap::<&str, u32>::new();
        for (host, _) in plan.targets.iter().filter(|(_, target)| target.state.is_in_flight()) {
            if let Some(value) = spec.targets.get(host).and_then(|wanted| wanted.groups.get(index)) {
                let in_flight = groups.entry(value).or_default();
                *in_flight = in_flight.saturating_add(1);
            }
        }
        for (value, in_flight) in groups {
            let limit = budget.limit(value);
            if in_flight > limit {
                let (label, value) = (budget.wish.label.clone(), value.to_owned());
                notes.push(Note::OverBudget { label, value, in_flight, limit });
            }
        }
    }
}
