//! Decides what a rollout does next. Pure: specification, intent, the parent plan, a snapshot of the fleet and the time
//! go in; an immutable plan comes out, with a reason for every host.
//!
//! Never: IO, async, clocks, randomness. The executor (in the controller) has no choices left: it gives each host the
//! generation that the plan names. Start at [`plan`]; `target` reads one host, `lint` says what no plan may look like.

mod budgets;
mod dispatch;
mod forecast;
mod gates;
mod hours;
mod lint;
mod snapshot;
mod stop;
mod target;
mod waves;
mod windows;

use std::collections::BTreeMap;

pub use forecast::{Assumptions, Begun, Forecast, GroupForecast, WaveForecast, forecast, forecast_while};
pub use lint::{Note, lint};
pub use snapshot::{Contact, FleetSnapshot, HealthFact, HealthFinding, HostFacts};
pub use target::{APPLY_WITHIN, CHECK_WITHIN, CONFIRM_WITHIN, DARK_AFTER};
pub use waves::{Canaries, WaveSizes, assign_waves};
pub use windows::is_zone;

use target::Look;

use flota_model::rollout::{
    IntentVerb, PlanId, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState, TargetPlan, TargetState,
};
use flota_model::{HostId, Timestamp};

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// What the rollout is to do.
    pub spec: &'a RolloutSpec,
    /// What operators want now.
    pub intent: &'a RolloutIntent,
    /// Who has approved it, as it is specified now.
    pub approvers: &'a [&'a str],
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
    let PlanInput { spec, intent, approvers: _, parent, fleet, now } = input;
    let mut next = successor(spec, parent, now);
    if next.state.is_terminal() {
        return Planned::Unchanged;
    }

    observe(spec, &mut next, fleet, now);
    stop::heed_wishes(intent, &mut next, fleet, now);
    (next.state, next.cause) = rollout_state(&input, &next);
    if !matches!(next.state, RolloutState::Draft | RolloutState::Aborting) {
        stop::leave_out_the_late(spec, &mut next, now);
    }
    match next.state {
        RolloutState::Running => dispatch::advance(spec, intent, &mut next, fleet, now),
        RolloutState::AwaitingApproval | RolloutState::Paused | RolloutState::Inconclusive => {
            stop::withdraw_unaccepted(&mut next, fleet, now);
        }
        RolloutState::Halted => {
            stop::withdraw_unaccepted(&mut next, fleet, now);
            // A halt says first that something failed; a pause and a missing approval hold nevertheless.
            if intent.verb == IntentVerb::Run && missing_approvals(&input) == 0 {
                dispatch::retry_hosts(spec, &mut next, fleet, now);
            }
        }
        RolloutState::Aborting => stop::wind_down(intent, &mut next, fleet, now),
        _ => {}
    }
    // What waits for a decision about hosts goes on waiting for it: a deadline decides nothing about them.
    let may_expire = [
        RolloutState::Running,
        RolloutState::Paused,
        RolloutState::AwaitingApproval,
        RolloutState::SucceededWithExceptions,
    ];
    if may_expire.contains(&next.state) {
        stop::expire(spec, &mut next, fleet, now);
    }

    let parent = parent.map(|(_, parent)| parent);
    keep_since(parent, &mut next);
    match parent {
        Some(parent) if says_the_same(parent, &next) => Planned::Unchanged,
        _ => Planned::New(next),
    }
}

fn observe(spec: &RolloutSpec, next: &mut RolloutPlan, fleet: &FleetSnapshot, now: Timestamp) {
    for (host, target) in &mut next.targets {
        let Some(wanted) = spec.targets.get(host) else { continue };
        let (listening_since, health) = (fleet.listening_since, spec.gates.health);
        let observed = match fleet.host(host) {
            Some(facts) => {
                target::observe(Look { rollout: spec.id, target, wanted, facts, health, listening_since, now })
            }
            None => target::observe_missing(target),
        };
        change(target, observed, now);
    }
}

/// `since` is when a target came to the state it is in, whatever it went through while this plan was made.
fn keep_since(parent: Option<&RolloutPlan>, next: &mut RolloutPlan) {
    for (host, before) in parent.into_iter().flat_map(|parent| &parent.targets) {
        if let Some(target) = next.targets.get_mut(host).filter(|target| target.state == before.state) {
            target.since = before.since;
        }
    }
}

/// Replaces what is known of a target.
fn change(target: &mut TargetPlan, (state, reason): target::Standing, now: Timestamp) {
    if target.state != state {
        target.since = now;
    }
    target.state = state;
    target.reason = reason;
}

/// The parent with a new name, or the first plan; hosts that joined since wait in it.
fn successor(spec: &RolloutSpec, parent: Option<(PlanId, &RolloutPlan)>, now: Timestamp) -> RolloutPlan {
    let waiting = || TargetPlan { state: TargetState::Pending, since: now, reason: target::not_started(), retried: 0 };
    let mut next = match parent {
        Some((id, parent)) => RolloutPlan {
            parent: Some(id),
            revision: parent.revision.saturating_add(1),
            made_at: now,
            ..parent.clone()
        },
        None => RolloutPlan {
            rollout: spec.id,
            parent: None,
            revision: 1,
            made_at: now,
            state: RolloutState::Draft,
            cause: String::new(),
            wave: 0,
            wave_passed_at: None,
            stands_after: None,
            targets: BTreeMap::<HostId, TargetPlan>::new(),
        },
    };
    if next.targets.len() < spec.targets.len() {
        for host in spec.targets.keys() {
            next.targets.entry(host.clone()).or_insert_with(waiting);
        }
    }
    next
}

/// An abort wins over everything, then failures, then missing approvals, then a person's pause, then missing data.
fn rollout_state(input: &PlanInput<'_>, plan: &RolloutPlan) -> (RolloutState, String) {
    let PlanInput { spec, intent, approvers, .. } = *input;
    match intent.verb {
        IntentVerb::Draft => return (RolloutState::Draft, "not started".to_owned()),
        IntentVerb::Abort => return (RolloutState::Aborting, String::new()),
        IntentVerb::Run | IntentVerb::Pause => {}
    }
    if let Some(why) = gates::error_gate(spec, intent, plan) {
        return (RolloutState::Halted, format!("{why}; nothing new starts until a person decides"));
    }
    if missing_approvals(input) > 0 {
        let given = match approvers {
            [] => "none given".to_owned(),
            names => format!("given by {}", names.join(", ")),
        };
        let needed = spec.approvals;
        let needed = if needed == 1 { "1 approval is".to_owned() } else { format!("{needed} approvals are") };
        return (RolloutState::AwaitingApproval, format!("{needed} needed, {given}"));
    }
    let unknown = gates::unaccepted_unknown(intent, plan);
    match intent.verb {
        IntentVerb::Pause => (RolloutState::Paused, "paused by an operator".to_owned()),
        _ if unknown > 0 => {
            (RolloutState::Inconclusive, format!("nobody knows whether {unknown} updated hosts are well"))
        }
        _ => (RolloutState::Running, String::new()),
    }
}

fn missing_approvals(input: &PlanInput<'_>) -> usize {
    usize::try_from(input.spec.approvals).unwrap_or(usize::MAX).saturating_sub(input.approvers.len())
}

fn count(plan: &RolloutPlan, which: fn(TargetState) -> bool) -> usize {
    plan.targets.values().filter(|target| which(target.state)).count()
}

fn says_the_same(parent: &RolloutPlan, next: &RolloutPlan) -> bool {
    let RolloutPlan {
        rollout: _,
        parent: _,
        revision: _,
        made_at: _,
        state,
        cause,
        wave,
        wave_passed_at,
        stands_after,
        targets,
    } = next;
    *state == parent.state
        && *cause == parent.cause
        && *wave == parent.wave
        && *wave_passed_at == parent.wave_passed_at
        && *stands_after == parent.stands_after
        && *targets == parent.targets
}
