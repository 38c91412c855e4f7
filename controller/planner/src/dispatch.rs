//! Starts hosts, and takes offers back.

use flota_model::Timestamp;
use flota_model::rollout::{
    Owner, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetSpec, TargetState,
};
use flota_model::update::{Generation, UpdatePhase};

use crate::budgets::Places;
use crate::snapshot::{Contact, FleetSnapshot, HostFacts};
use crate::target::{Standing, not_started, reason};
use crate::windows::{Opening, opening};
use crate::{change, count, unaccepted_failures};

/// Moves on to the next wave when this one has passed, and starts what may start.
pub(crate) fn advance(
    spec: &RolloutSpec,
    intent: RolloutIntent,
    plan: &mut RolloutPlan,
    fleet: &FleetSnapshot,
    now: Timestamp,
) {
    while wave(spec, intent, plan) == WaveEnd::Passed && plan.wave.saturating_add(1) < spec.waves.len() {
        plan.wave = plan.wave.saturating_add(1);
        plan.wave_passed_at = Some(now);
    }
    start_hosts(spec, plan, fleet, now);
    (plan.state, plan.cause) = match wave(spec, intent, plan) {
        WaveEnd::NobodySucceeded => {
            let name = spec.waves.get(plan.wave).map_or("the wave", String::as_str);
            (RolloutState::Halted, format!("nobody of {name} succeeded; nothing new starts until a person decides"))
        }
        WaveEnd::Passed | WaveEnd::NotYet => conclusion(spec, plan, now),
    };
}

/// Whether the wave in progress is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaveEnd {
    /// Somebody is in motion, or may still be started.
    NotYet,
    /// Nobody is in motion, and somebody succeeded or a person accepted that nobody did.
    Passed,
    /// Nobody is in motion and nobody succeeded: no data is not success.
    NobodySucceeded,
}

fn wave(spec: &RolloutSpec, intent: RolloutIntent, plan: &RolloutPlan) -> WaveEnd {
    let states: Vec<TargetState> = in_wave(spec, plan, plan.wave).map(|target| target.state).collect();
    let ended = |state: &TargetState| state.is_failure() || !(state.is_in_flight() || state.is_waiting());
    let failed = states.iter().any(|state| state.is_failure());
    if !states.iter().all(|state| ended(state) || *state == TargetState::Deferred) {
        return WaveEnd::NotYet;
    }
    if states.contains(&TargetState::Committed) || (failed && unaccepted_failures(intent, plan) == 0) {
        return WaveEnd::Passed;
    }
    if failed { WaveEnd::NobodySucceeded } else { WaveEnd::NotYet }
}

fn in_wave<'a>(spec: &'a RolloutSpec, plan: &'a RolloutPlan, wave: usize) -> impl Iterator<Item = &'a TargetPlan> + 'a {
    plan.targets
        .iter()
        .filter(move |(host, _)| spec.targets.get(*host).is_some_and(|target| target.wave == wave))
        .map(|(_, target)| target)
}

fn start_hosts(spec: &RolloutSpec, plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    let limit = usize::try_from(spec.max_in_flight.get()).unwrap_or(usize::MAX);
    let mut in_flight = count(plan, TargetState::is_in_flight);
    let baking = plan.wave_passed_at.map(|passed| passed.plus(spec.bake)).filter(|until| now < *until);
    let wave = plan.wave;
    let mut places = Places::new(spec, plan, fleet);
    let opening = opening(&spec.windows, now);
    for (host, target) in &mut plan.targets {
        let Some(wanted) = spec.targets.get(host).filter(|_| target.state.is_waiting()) else { continue };
        let budget = places.refuse(host, wanted);
        let standing = match (obstacle(fleet.host(host), wanted, now), baking) {
            _ if wanted.wave > wave => {
                let name = spec.waves.get(wanted.wave).map_or("a later wave", String::as_str);
                (TargetState::Pending, reason(Owner::Controller, format!("{name} has not begun")))
            }
            (Err(obstacle), _) => obstacle,
            (Ok(_), Some(until)) if wanted.wave == wave => {
                (TargetState::Pending, reason(Owner::Controller, format!("the wave before it bakes until {until}")))
            }
            (Ok(_), _) if let Opening::Closed(opens) = opening => {
                (TargetState::Pending, reason(Owner::Nobody, closed(opens)))
            }
            (Ok(_), _) if in_flight >= limit => (
                TargetState::Pending,
                reason(Owner::Controller, format!("all {limit} slots for hosts in motion are in use")),
            ),
            (Ok(_), _) if let Some(budget) = budget => (TargetState::Pending, reason(Owner::Controller, budget)),
            (Ok(generation), _) => {
                places.take(host, wanted);
                in_flight = in_flight.saturating_add(1);
                let text = "offered; the host has not accepted it yet";
                (TargetState::Offered { generation }, reason(Owner::Host, text))
            }
        };
        change(target, standing, now);
    }
}

fn closed(opens: Option<Timestamp>) -> String {
    match opens {
        Some(opens) => format!("outside the rollout's windows; the next one opens at {opens}"),
        None => "the rollout's windows never open".to_owned(),
    }
}

/// The generation to start a host with, or what keeps it from being started.
fn obstacle(facts: Option<&HostFacts>, wanted: &TargetSpec, now: Timestamp) -> Result<Generation, Standing> {
    let deferred = |owner, text: String| Err((TargetState::Deferred, reason(owner, text)));
    let Some(facts) = facts else {
        return Err((TargetState::Skipped, reason(Owner::Nobody, "the host is no longer in the fleet")));
    };
    if let Some(from) = wanted.not_before.filter(|from| now < *from) {
        return deferred(Owner::Nobody, format!("the release's own waves reach it at {from}"));
    }
    let host = &facts.host;
    if host.awaits_approval {
        return deferred(Owner::Operator, "its enrolment waits for approval".to_owned());
    }
    if !host.trust.admits_work() {
        let why = if host.trust_reason.is_empty() { String::new() } else { format!(": {}", host.trust_reason) };
        return deferred(Owner::Operator, format!("its attestation is {}{why}", host.trust));
    }
    if !host.admits_work(now) {
        let lapsed = host.lease_until.map_or_else(String::new, |until| format!(" since {until}"));
        return deferred(Owner::Host, format!("it has no lease{lapsed}: a quote must pass first"));
    }
    if facts.contact == Contact::Silent {
        let since =
            host.last_seen.map_or_else(|| "it was never seen".to_owned(), |seen| format!("silent since {seen}"));
        return deferred(Owner::Host, since);
    }
    let observed = host.observed.as_ref();
    let accepted = observed.and_then(|report| report.generation);
    if let Some(desired) = host.desired.as_ref().filter(|desired| Some(desired.generation) > accepted) {
        return deferred(Owner::Controller, format!("{} is changing it", desired.rollout));
    }
    if let Some(report) = observed.filter(|report| !report.phase.is_terminal()) {
        return deferred(Owner::Host, format!("an update is going on: {}", report.phase));
    }
    let newest = host.desired.as_ref().map(|desired| desired.generation).max(accepted);
    Ok(Generation::after(newest))
}

/// Where a running rollout stands after this plan.
fn conclusion(spec: &RolloutSpec, plan: &RolloutPlan, now: Timestamp) -> (RolloutState, String) {
    let waiting = count(plan, TargetState::is_waiting);
    let moving = plan.targets.values().filter(|t| t.state.is_in_flight() && !t.state.is_failure()).count();
    let failed = count(plan, TargetState::is_failure);
    let committed = count(plan, |state| state == TargetState::Committed);
    let name = spec.waves.get(plan.wave).map_or("", String::as_str);
    if waiting == 0 && moving == 0 {
        return if committed == plan.targets.len() {
            (RolloutState::Succeeded, format!("all {committed} hosts run it, confirmed by quotes"))
        } else {
            let other = plan.targets.len().saturating_sub(committed).saturating_sub(failed);
            (
                RolloutState::SucceededWithExceptions,
                format!("{committed} hosts run it, {failed} failed, {other} were left out"),
            )
        };
    }
    let baking = plan.wave_passed_at.map(|passed| passed.plus(spec.bake)).filter(|until| now < *until);
    let cause = match baking {
        Some(until) => format!("the wave before {name} bakes until {until}"),
        None if moving > 0 => format!("{name}: {moving} in motion"),
        None if let Opening::Closed(opens) = opening(&spec.windows, now) => format!("{name}: {}", closed(opens)),
        None => format!("{name}: {waiting} wait"),
    };
    (RolloutState::Running, cause)
}

/// Paused or halted: offers that no host has accepted yet are taken back, so that a host which comes online now does
/// not start something that was stopped meanwhile.
pub(crate) fn withdraw_unaccepted(plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    for (host, target) in &mut plan.targets {
        let standing = match target.state {
            TargetState::Offered { generation } => withdrawal(fleet.host(host), generation),
            state if state.is_waiting() => (TargetState::Pending, reason(Owner::Operator, "the rollout stands still")),
            _ => continue,
        };
        change(target, standing, now);
    }
}

/// Aborting: offers are taken back, nothing starts, and it ends when nobody is in motion.
pub(crate) fn wind_down(plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    for (host, target) in &mut plan.targets {
        let standing = match target.state {
            TargetState::Offered { generation } | TargetState::Lost { generation, how: _ } => {
                withdrawal(fleet.host(host), generation)
            }
            TargetState::Applying { generation } if can_turn_back(fleet.host(host)) => {
                withdrawal(fleet.host(host), generation)
            }
            state if state.is_waiting() => (TargetState::Skipped, reason(Owner::Nobody, "the rollout was aborted")),
            _ => continue,
        };
        change(target, standing, now);
    }
    let moving = plan.targets.iter().filter(|(host, target)| is_awaited(target.state, fleet.host(host))).count();
    if moving > 0 {
        plan.cause = format!("aborted by an operator; {moving} hosts in motion finish first");
        return;
    }
    plan.state = RolloutState::Aborted;
    let open = |target: &&mut TargetPlan| target.state.is_in_flight() && !target.state.is_failure();
    for target in plan.targets.values_mut().filter(open) {
        let text = "taken back; the host will hear of it when it returns";
        change(target, (TargetState::Skipped, reason(Owner::Nobody, text)), now);
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

/// Whether an abort waits for this target. A withdrawal must be stored; then a silent host reads it when it returns, and
/// nobody waits for it.
fn is_awaited(state: TargetState, facts: Option<&HostFacts>) -> bool {
    let stored = |facts: &HostFacts| facts.host.desired.as_ref().map(|desired| desired.generation);
    match state {
        TargetState::Applying { .. } | TargetState::Confirming { .. } => true,
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
