//! Stops: offers are taken back, hosts are left out, and a rollout ends early.

use flota_model::Timestamp;
use flota_model::rollout::{
    HostWish, Owner, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetState,
};
use flota_model::update::{Generation, UpdatePhase};

use crate::change;
use crate::snapshot::{Contact, FleetSnapshot, HostFacts};
use crate::target::{Standing, not_started, reason};

/// Paused, halted or not approved: offers that no host has accepted yet are taken back, so that a host which comes online
/// now does not start something that was stopped meanwhile. Hosts that a person asked to be tried again are not stopped
/// by a halt.
pub(crate) fn withdraw_unaccepted(plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    let retries = plan.state == RolloutState::Halted;
    let (owner, text) = match plan.state {
        RolloutState::AwaitingApproval => (Owner::Operator, plan.cause.clone()),
        _ => (Owner::Operator, "the rollout stands still".to_owned()),
    };
    for (host, target) in &mut plan.targets {
        let standing = match target.state {
            _ if retries && target.retried > 0 => continue,
            TargetState::Offered { generation } => withdrawal(fleet.host(host), generation),
            state if state.is_waiting() => (TargetState::Pending, reason(owner, text.clone())),
            _ => continue,
        };
        change(target, standing, now);
    }
}

/// What operators want of single hosts.
pub(crate) fn heed_wishes(intent: &RolloutIntent, plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    for (host, wish) in &intent.wishes.hosts {
        let Some(target) = plan.targets.get_mut(host) else { continue };
        let HostWish { retries, skip } = *wish;
        if skip {
            leave_out(target, fleet.host(host), now);
        } else if retries > target.retried {
            try_again(target, now);
            target.retried = retries;
        }
    }
}

fn leave_out(target: &mut TargetPlan, facts: Option<&HostFacts>, now: Timestamp) {
    let standing = match target.state {
        state if state.is_waiting() => (TargetState::Skipped, reason(Owner::Nobody, "left out by an operator")),
        TargetState::Offered { generation } => withdrawal(facts, generation),
        TargetState::Applying { generation } if can_turn_back(facts) => withdrawal(facts, generation),
        _ => return,
    };
    change(target, standing, now);
}

fn try_again(target: &mut TargetPlan, now: Timestamp) {
    if matches!(target.state, TargetState::Refused | TargetState::RolledBack | TargetState::SafeHold) {
        change(target, (TargetState::Pending, reason(Owner::Controller, "a person asked for another try")), now);
    }
}

/// After the deadline nobody is started.
pub(crate) fn leave_out_the_late(spec: &RolloutSpec, plan: &mut RolloutPlan, now: Timestamp) {
    let Some(text) = deadline_passed(spec, now) else { return };
    for target in plan.targets.values_mut().filter(|target| target.state.is_waiting()) {
        change(target, (TargetState::Skipped, reason(Owner::Nobody, text.clone())), now);
    }
}

/// A rollout whose deadline left somebody out ends when nobody is in motion.
pub(crate) fn expire(spec: &RolloutSpec, plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    let Some(text) = deadline_passed(spec, now) else { return };
    let late = plan.targets.values().filter(|target| target.reason.text == text).count();
    if late > 0 && awaited(plan, fleet) == 0 {
        plan.state = RolloutState::Expired;
        plan.cause = format!("{text}; {late} hosts were not started");
        forget_open(plan, now);
    }
}

/// What is said of hosts that the deadline left out, once it has passed.
pub(crate) fn deadline_passed(spec: &RolloutSpec, now: Timestamp) -> Option<String> {
    let deadline = spec.deadline.filter(|deadline| *deadline <= now)?;
    Some(format!("the deadline was {deadline}"))
}

/// Aborting: offers are taken back, nothing starts, and it ends when nobody is in motion.
pub(crate) fn wind_down(intent: &RolloutIntent, plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    let (by, ended) = match (intent.wishes.superseded_by, intent.wishes.taken_back_by) {
        (Some(other), _) => (format!("superseded by {other}"), RolloutState::Superseded),
        (None, Some(other)) => (format!("taken back by {other}, as it was to do when it halts"), RolloutState::Aborted),
        (None, None) => ("aborted by an operator".to_owned(), RolloutState::Aborted),
    };
    for (host, target) in &mut plan.targets {
        let standing = match target.state {
            TargetState::Offered { generation } | TargetState::Lost { generation, how: _ } => {
                withdrawal(fleet.host(host), generation)
            }
            TargetState::Applying { generation } if can_turn_back(fleet.host(host)) => {
                withdrawal(fleet.host(host), generation)
            }
            state => (state, target.reason.clone()),
        };
        let ended = (TargetState::Skipped, reason(Owner::Nobody, format!("the rollout was {by}")));
        change(target, if standing.0.is_waiting() { ended } else { standing }, now);
    }
    let moving = awaited(plan, fleet);
    plan.cause = if moving > 0 { format!("{by}; {moving} hosts in motion finish first") } else { by };
    if moving == 0 {
        plan.state = ended;
        forget_open(plan, now);
    }
}

/// Of a rollout that is over: who was asked to stay and has not said that it heard.
fn forget_open(plan: &mut RolloutPlan, now: Timestamp) {
    for target in plan.targets.values_mut() {
        let standing = match target.state {
            TargetState::Offered { .. } | TargetState::Withdrawing { .. } => {
                let text = "taken back; the host will hear of it when it returns";
                (TargetState::Skipped, reason(Owner::Nobody, text))
            }
            _ => continue,
        };
        change(target, standing, now);
    }
}

/// Whether the host has not reached the point of no return, as far as is known. It may be past it by the time it hears
/// of the withdrawal; then it finishes what it does first.
fn can_turn_back(facts: Option<&HostFacts>) -> bool {
    let phase = facts.and_then(|facts| facts.host.observed.as_ref()).map(|report| report.phase);
    matches!(
        phase,
        Some(
            UpdatePhase::Offered
                | UpdatePhase::Preflight
                | UpdatePhase::Downloading
                | UpdatePhase::Staged
                | UpdatePhase::Exporting
        )
    )
}

/// Hosts that an end waits for.
fn awaited(plan: &RolloutPlan, fleet: &FleetSnapshot) -> usize {
    plan.targets.iter().filter(|(host, target)| is_awaited(target.state, fleet.host(host))).count()
}

/// Whether an end waits for this target. A withdrawal must be stored; then a silent host reads it when it returns, and
/// nobody waits for it.
fn is_awaited(state: TargetState, facts: Option<&HostFacts>) -> bool {
    let stored = |facts: &HostFacts| facts.host.desired.as_ref().map(|desired| desired.generation);
    match state {
        TargetState::Offered { .. }
        | TargetState::Applying { .. }
        | TargetState::Confirming { .. }
        | TargetState::Checking { .. } => true,
        TargetState::Withdrawing { generation } => {
            facts.is_some_and(|facts| facts.contact == Contact::Connected || stored(facts) < Some(generation))
        }
        _ => false,
    }
}

fn withdrawal(facts: Option<&HostFacts>, offered: Generation) -> Standing {
    let newest = facts.and_then(|facts| facts.host.desired.as_ref()).map(|desired| desired.generation);
    if newest < Some(offered) {
        // The executor has not given it to the host: there is nothing to take back.
        return (TargetState::Pending, not_started());
    }
    let generation = Generation::after(newest.max(Some(offered)));
    (
        TargetState::Withdrawing { generation },
        reason(Owner::Host, "taken back; the host has not confirmed that it heard"),
    )
}
