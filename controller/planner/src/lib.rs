//! Decides what a rollout does next. Pure: specification, intent, the parent plan, a snapshot of the fleet and the time
//! go in; an immutable plan comes out, with a reason for every host.
//!
//! Never: IO, async, clocks, randomness. The executor (in the controller) has no choices left: it gives each host the
//! generation that the plan names. Start at [`plan`]; `target` reads one host, `lint` says what no plan may look like.

mod budgets;
mod dispatch;
mod lint;
mod snapshot;
mod target;
mod waves;
mod windows;

pub use lint::{Note, lint};
pub use snapshot::{Contact, FleetSnapshot, HostFacts};
pub use target::{APPLY_WITHIN, CONFIRM_WITHIN, DARK_AFTER};
pub use waves::{WaveSizes, assign_waves};
pub use windows::is_zone;

use target::Look;

use flota_model::Timestamp;
use flota_model::rollout::{
    IntentVerb, PlanId, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetState,
};

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// What the rollout is to do.
    pub spec: &'a RolloutSpec,
    /// What operators want now.
    pub intent: RolloutIntent,
    /// The current plan; none for a rollout that was just created.
    pub parent: Option<(PlanId, &'a RolloutPlan)>,
    /// The fleet as it was known a moment ago.
    pub fleet: &'a FleetSnapshot,
    /// The present.
    pub now: Timestamp,
}

/// The plan that should follow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan that nobody stores changes nothing"]
pub enum Planned {
    /// The parent still says all there is to say.
    Unchanged,
    /// This one should become current.
    New(RolloutPlan),
}

/// Plans one rollout.
pub fn plan(input: PlanInput<'_>) -> Planned {
    let PlanInput { spec, intent, parent, fleet, now } = input;
    let mut next = parent.map_or_else(|| first_plan(spec, now), |(id, parent)| successor(id, parent, now));
    if next.state.is_terminal() {
        return Planned::Unchanged;
    }

    for (host, target) in &mut next.targets {
        let Some(wanted) = spec.targets.get(host) else { continue };
        let observed = match fleet.host(host) {
            Some(facts) => {
                let listening_since = fleet.listening_since;
                target::observe(Look { rollout: spec.id, target, wanted, facts, listening_since, now })
            }
            None => target::observe_missing(target),
        };
        change(target, observed, now);
    }
    let (state, cause) = rollout_state(spec, intent, &next);
    next.state = state;
    next.cause = cause;
    match state {
        RolloutState::Running => dispatch::advance(spec, intent, &mut next, fleet, now),
        RolloutState::Paused | RolloutState::Halted => dispatch::withdraw_unaccepted(&mut next, fleet, now),
        RolloutState::Aborting => dispatch::wind_down(&mut next, fleet, now),
        _ => {}
    }

    match parent {
        Some((_, parent)) if says_the_same(parent, &next) => Planned::Unchanged,
        _ => Planned::New(next),
    }
}

/// Replaces what is known of a target; `since` moves only when the state does.
fn change(target: &mut TargetPlan, (state, reason): target::Standing, now: Timestamp) {
    if target.state != state {
        target.since = now;
    }
    target.state = state;
    target.reason = reason;
}

fn first_plan(spec: &RolloutSpec, now: Timestamp) -> RolloutPlan {
    let waiting = || TargetPlan { state: TargetState::Pending, since: now, reason: target::not_started() };
    RolloutPlan {
        rollout: spec.id,
        parent: None,
        revision: 1,
        made_at: now,
        state: RolloutState::Draft,
        cause: String::new(),
        wave: 0,
        wave_passed_at: None,
        targets: spec.targets.keys().map(|host| (host.clone(), waiting())).collect(),
    }
}

fn successor(id: PlanId, parent: &RolloutPlan, now: Timestamp) -> RolloutPlan {
    RolloutPlan { parent: Some(id), revision: parent.revision.saturating_add(1), made_at: now, ..parent.clone() }
}

/// Failures win over everything but a person's decision to stop for good.
fn rollout_state(spec: &RolloutSpec, intent: RolloutIntent, plan: &RolloutPlan) -> (RolloutState, String) {
    let counted = unaccepted_failures(intent, plan);
    let limit = usize::try_from(spec.max_failures.get()).unwrap_or(usize::MAX);
    match intent.verb {
        IntentVerb::Draft => (RolloutState::Draft, "not started".to_owned()),
        IntentVerb::Abort => (RolloutState::Aborting, "aborted by an operator".to_owned()),
        _ if counted >= limit => (
            RolloutState::Halted,
            format!("{counted} failed, the limit is {limit}; nothing new starts until a person decides"),
        ),
        IntentVerb::Pause => (RolloutState::Paused, "paused by an operator".to_owned()),
        IntentVerb::Run => (RolloutState::Running, String::new()),
    }
}

/// Failures that nobody has looked at and accepted.
fn unaccepted_failures(intent: RolloutIntent, plan: &RolloutPlan) -> usize {
    let accepted = usize::try_from(intent.accepted_failures).unwrap_or(usize::MAX);
    count(plan, TargetState::is_failure).saturating_sub(accepted)
}

fn count(plan: &RolloutPlan, which: fn(TargetState) -> bool) -> usize {
    plan.targets.values().filter(|target| which(target.state)).count()
}

fn says_the_same(parent: &RolloutPlan, next: &RolloutPlan) -> bool {
    let RolloutPlan { rollout: _, parent: _, revision: _, made_at: _, state, cause, wave, wave_passed_at, targets } =
        next;
    *state == parent.state
        && *cause == parent.cause
        && *wave == parent.wave
        && *wave_passed_at == parent.wave_passed_at
        && *targets == parent.targets
}
