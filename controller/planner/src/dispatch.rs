//! Starts hosts, as far as waves, gates, hours, slots and budgets let them.

use flota_model::Timestamp;
use flota_model::rollout::{
    Owner, PauseAfter, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetSpec, TargetState,
};
use flota_model::update::Generation;

use crate::budgets::Places;
use crate::gates::{WaveEnd, wave_end};
use crate::hours::{Hours, hours};
use crate::snapshot::{Contact, FleetSnapshot, HostFacts};
use crate::stop::{deadline_passed, withdraw_unaccepted};
use crate::target::{Standing, not_started, reason};
use crate::{change, count};

/// Moves on to the next wave when this one has passed, and starts what may start.
pub(crate) fn advance(
    spec: &RolloutSpec,
    intent: &RolloutIntent,
    plan: &mut RolloutPlan,
    fleet: &FleetSnapshot,
    now: Timestamp,
) {
    if deadline_passed(spec, now).is_some() {
        // Everybody who waited was left out: no wave begins any more, and none is judged.
        (plan.state, plan.cause) = conclusion(spec, plan, &WaveEnd::NotYet(String::new()), now);
        return;
    }
    let end = loop {
        tell_who_can_start(spec, plan, fleet, now);
        match wave_end(spec, intent, plan) {
            WaveEnd::Passed if plan.wave.saturating_add(1) < spec.waves.len() => {}
            end => break end,
        }
        if pauses_here(spec, intent, plan) {
            let name = spec.wave_name(plan.wave);
            let cause = format!("{name} has passed; the next wave waits for a person to let it go on");
            return stand(spec, plan, fleet, (RolloutState::Paused, cause), now);
        }
        plan.wave = plan.wave.saturating_add(1);
        plan.wave_passed_at = Some(now);
    };
    if let WaveEnd::Failed(why) = end {
        let cause = format!("{why}; nothing new starts until a person decides");
        return stand(spec, plan, fleet, (RolloutState::Halted, cause), now);
    }
    plan.stands_after = None;
    start_hosts(spec, plan, fleet, now, |_| true);
    (plan.state, plan.cause) = conclusion(spec, plan, &end, now);
}

/// Of the waves that have begun: who waits for its turn, and who could not be started now.
fn tell_who_can_start(spec: &RolloutSpec, plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    let wave = plan.wave;
    for (host, target) in plan.targets.iter_mut().filter(|(_, target)| target.state.is_waiting()) {
        let Some(wanted) = spec.targets.get(host).filter(|wanted| wanted.wave <= wave) else { continue };
        let standing = match obstacle(fleet.host(host), wanted, now) {
            Ok(_) => (TargetState::Pending, not_started()),
            Err(obstacle) => obstacle,
        };
        change(target, standing, now);
    }
}

/// Hosts that a person asked to be tried again, of a rollout that is halted. Nobody else.
pub(crate) fn retry_hosts(spec: &RolloutSpec, plan: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    start_hosts(spec, plan, fleet, now, |target| target.retried > 0);
}

fn pauses_here(spec: &RolloutSpec, intent: &RolloutIntent, plan: &RolloutPlan) -> bool {
    let asked = match spec.pause_after {
        PauseAfter::Nothing => false,
        PauseAfter::Canary => plan.wave == 0,
        PauseAfter::EachWave => true,
    };
    asked && !is_released(intent, plan.wave)
}

/// Whether a person let the rollout go on after this wave.
pub(crate) fn is_released(intent: &RolloutIntent, wave: usize) -> bool {
    usize::try_from(intent.wishes.released_waves).unwrap_or(usize::MAX) > wave
}

/// It stops by itself at the end of a wave, and stays there whoever comes back meanwhile: until a person lets it go on, or
/// what failed has succeeded.
fn stand(
    spec: &RolloutSpec,
    plan: &mut RolloutPlan,
    fleet: &FleetSnapshot,
    (state, cause): (RolloutState, String),
    now: Timestamp,
) {
    (plan.state, plan.cause, plan.stands_after) = (state, cause, Some(plan.wave));
    withdraw_unaccepted(plan, fleet, now);
    if state == RolloutState::Halted {
        retry_hosts(spec, plan, fleet, now);
    }
}

fn start_hosts(
    spec: &RolloutSpec,
    plan: &mut RolloutPlan,
    fleet: &FleetSnapshot,
    now: Timestamp,
    admits: impl Fn(&TargetPlan) -> bool,
) {
    let limit = usize::try_from(spec.max_in_flight.get()).unwrap_or(usize::MAX);
    let mut in_flight = count(plan, TargetState::is_in_flight);
    let baking = bakes_until(spec, plan, now);
    let wave = plan.wave;
    let mut places = Places::new(spec, plan, fleet);
    let hours = hours(spec, now);
    for (host, target) in &mut plan.targets {
        if !target.state.is_waiting() || !admits(target) {
            continue;
        }
        let Some(wanted) = spec.targets.get(host) else { continue };
        let facts = fleet.host(host);
        let pending = |owner, text: String| (TargetState::Pending, reason(owner, text));
        let standing = match (obstacle(facts, wanted, now), baking) {
            _ if wanted.wave > wave => {
                pending(Owner::Controller, format!("{} has not begun", spec.wave_name(wanted.wave)))
            }
            (Err(obstacle), _) => obstacle,
            (Ok(_), Some(until)) if wanted.wave == wave => {
                pending(Owner::Controller, format!("the wave before it bakes until {until}"))
            }
            (Ok(_), _) if let Hours::Closed { why, .. } = &hours => pending(Owner::Controller, why.clone()),
            (Ok(_), _) if let Some(frozen) = frozen(spec, fleet, facts, now) => pending(Owner::Controller, frozen),
            (Ok(_), _) if in_flight >= limit => {
                pending(Owner::Controller, format!("all {limit} slots for hosts in motion are in use"))
            }
            (Ok(_), _) if let Some(budget) = places.refuse(host, wanted) => pending(Owner::Controller, budget),
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

/// The end of the pause after the wave before this one, while it lasts.
pub(crate) fn bakes_until(spec: &RolloutSpec, plan: &RolloutPlan, now: Timestamp) -> Option<Timestamp> {
    plan.wave_passed_at.map(|passed| passed.plus(spec.bake)).filter(|until| now < *until)
}

/// What keeps this host from being changed now, if a freeze does.
fn frozen(spec: &RolloutSpec, fleet: &FleetSnapshot, facts: Option<&HostFacts>, now: Timestamp) -> Option<String> {
    let host = &facts?.host;
    fleet.freeze(spec, host, now).map(|freeze| {
        let (until, who) = (freeze.until, &freeze.created_by);
        format!("frozen until {until} by {who}: {}", freeze.reason)
    })
}

/// The generation to start a host with, or what keeps it from being started.
fn obstacle(facts: Option<&HostFacts>, wanted: &TargetSpec, now: Timestamp) -> Result<Generation, Standing> {
    let deferred = |owner, text: String| Err((TargetState::Deferred, reason(owner, text)));
    let Some(facts) = facts else {
        return Err((TargetState::Skipped, reason(Owner::Nobody, "the host is no longer in the fleet")));
    };
    if let Some(from) = wanted.not_before.filter(|from| now < *from) {
        return deferred(Owner::Controller, format!("the release's own waves reach it at {from}"));
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
fn conclusion(spec: &RolloutSpec, plan: &RolloutPlan, end: &WaveEnd, now: Timestamp) -> (RolloutState, String) {
    let waiting = count(plan, TargetState::is_waiting);
    let moving = plan.targets.values().filter(|target| is_moving(target)).count();
    let failed = plan.targets.values().filter(|target| target.counts_as_failed()).count();
    let committed = count(plan, |state| state == TargetState::Committed);
    let name = spec.wave_name(plan.wave);
    if waiting == 0 && moving == 0 {
        return if committed == plan.targets.len() {
            (RolloutState::Succeeded, format!("all {committed} hosts run it, confirmed by quotes"))
        } else {
            let unknown = count(plan, |state| matches!(state, TargetState::Unknown { .. }));
            let other = plan.targets.len().saturating_sub(committed).saturating_sub(failed).saturating_sub(unknown);
            let unknown =
                if unknown == 0 { String::new() } else { format!(", of {unknown} nobody knows their health") };
            (
                RolloutState::SucceededWithExceptions,
                format!("{committed} hosts run it, {failed} failed, {other} were left out{unknown}"),
            )
        };
    }
    let cause = match (bakes_until(spec, plan, now), end) {
        (Some(until), _) => format!("the wave before {name} bakes until {until}"),
        (None, _) if moving > 0 => format!("{name}: {moving} in motion"),
        (None, _) if let Hours::Closed { why, .. } = hours(spec, now) => format!("{name}: {why}"),
        (None, WaveEnd::NotYet(why)) if !why.is_empty() => format!("{name}: {why}"),
        (None, WaveEnd::Passed) => format!("every wave has passed; {}", stragglers(waiting)),
        (None, _) => format!("{name}: {waiting} wait"),
    };
    (RolloutState::Running, cause)
}

fn stragglers(count: usize) -> String {
    if count == 1 { "1 straggler waits".to_owned() } else { format!("{count} stragglers wait") }
}

/// Started, and its end is not known.
pub(crate) fn is_moving(target: &TargetPlan) -> bool {
    target.state.is_in_flight() && !target.state.is_failure()
}
