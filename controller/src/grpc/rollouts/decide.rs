//! What operators may want of a rollout in the state it is in. Pure: an intent becomes another, or a refusal says why not.

use std::collections::BTreeSet;

use flota_model::HostId;
use flota_model::rollout::{IntentVerb, RolloutIntent, RolloutPlan, RolloutState, TargetState};
use flota_store::RolloutRecord;

use crate::fault::{Code, Fault};

/// An intent, or why not.
pub(super) type Decided = Result<RolloutIntent, Fault>;

/// Where a rollout stands.
pub(super) fn state_of(record: &RolloutRecord) -> RolloutState {
    record.plan.as_ref().map_or(RolloutState::Draft, |(_, plan)| plan.state)
}

/// It begins, or waits for its approvals.
pub(super) fn start(record: &RolloutRecord) -> Decided {
    match state_of(record) {
        RolloutState::Draft => Ok(record.intent.with(IntentVerb::Run)),
        state => Err(wrong_state(state, "started")),
    }
}

/// Nothing new starts.
pub(super) fn pause(record: &RolloutRecord) -> Decided {
    match state_of(record) {
        RolloutState::Running | RolloutState::Halted | RolloutState::Inconclusive | RolloutState::AwaitingApproval => {
            Ok(record.intent.with(IntentVerb::Pause))
        }
        RolloutState::Paused if record.intent.verb == IntentVerb::Run => Ok(record.intent.with(IntentVerb::Pause)),
        state => Err(wrong_state(state, "paused")),
    }
}

/// What a person looked at and accepts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Accepted {
    pub(super) failures: u32,
    pub(super) unknown: u32,
}

/// It goes on. What is accepted is what is there: nobody accepts failures that are yet to come.
pub(super) fn resume(record: &RolloutRecord, accepted: Accepted) -> Decided {
    let state = state_of(record);
    let id = record.spec.id;
    let Some((_, plan)) = &record.plan else { return Err(wrong_state(state, "resumed")) };
    let mut next = record.intent.with(IntentVerb::Run);
    next.accepted_failures =
        next.accepted_failures.saturating_add(accepted.failures).min(failed(plan)).max(record.intent.accepted_failures);
    let unknown = &mut next.wishes.accepted_unknown;
    *unknown =
        unknown.saturating_add(accepted.unknown).min(nobody_knows(plan)).max(record.intent.wishes.accepted_unknown);
    let past_this_wave = u32::try_from(plan.wave.saturating_add(1)).unwrap_or(u32::MAX);
    match state {
        RolloutState::Halted if accepted.failures == 0 && failed(plan) > record.intent.accepted_failures => {
            Err(Fault::new(Code::WrongState, "it halted because hosts failed, and would halt again at once")
                .fix(format!("look at the failed hosts, then: flota rollout resume {id} --accept-failures N")))
        }
        RolloutState::Inconclusive if accepted.unknown == 0 => {
            let sentence = "nobody knows whether updated hosts are well, and nobody would know it then";
            let fix = format!("flota health run, which answers it; or flota rollout resume {id} --accept-unknown N");
            Err(Fault::new(Code::WrongState, sentence).fix(fix))
        }
        RolloutState::Halted => {
            // The wave's own gates were looked at too, where it has come to its end.
            if plan.stands_after == Some(plan.wave) || has_ended(record, plan) {
                next.wishes.released_waves = next.wishes.released_waves.max(past_this_wave);
            }
            Ok(next)
        }
        RolloutState::Inconclusive => Ok(next),
        RolloutState::Paused => {
            // Paused by a person, or by itself after a wave: then the person lets the next one begin.
            if plan.stands_after == Some(plan.wave) {
                next.wishes.released_waves = next.wishes.released_waves.max(past_this_wave);
            }
            Ok(next)
        }
        state => Err(wrong_state(state, "resumed")),
    }
}

/// It ends.
pub(super) fn abort(record: &RolloutRecord) -> Decided {
    match state_of(record) {
        state if state.is_terminal() || state == RolloutState::Aborting => Err(wrong_state(state, "aborted")),
        _ => Ok(record.intent.with(IntentVerb::Abort)),
    }
}

/// These hosts are tried again.
pub(super) fn retry(record: &RolloutRecord, hosts: &BTreeSet<HostId>) -> Decided {
    let mut next = record.intent.clone();
    for host in hosts {
        let state = of_host(record, host, "tried again")?;
        match state {
            TargetState::Refused | TargetState::RolledBack | TargetState::SafeHold => {}
            TargetState::Unhealthy { .. } | TargetState::Unknown { .. } => {
                let sentence = "it runs the release already; a health check that passes mends it";
                return Err(Fault::new(Code::WrongState, sentence).fix("flota health run HOST"));
            }
            state => {
                let word = state.as_str();
                return Err(Fault::new(Code::WrongState, format!("a host that is {word} cannot be tried again")));
            }
        }
        let wish = next.wishes.hosts.entry(host.clone()).or_default();
        wish.retries = wish.retries.saturating_add(1);
    }
    Ok(next)
}

/// These hosts are left out.
pub(super) fn skip(record: &RolloutRecord, hosts: &BTreeSet<HostId>) -> Decided {
    let mut next = record.intent.clone();
    for host in hosts {
        let state = of_host(record, host, "left out")?;
        if !state.is_waiting() && !matches!(state, TargetState::Offered { .. } | TargetState::Applying { .. }) {
            let word = state.as_str();
            let fix = format!("to take it back: flota rollout rollback {} --host HOST", record.spec.id);
            return Err(Fault::new(Code::WrongState, format!("a host that is {word} cannot be left out")).fix(fix));
        }
        next.wishes.hosts.entry(host.clone()).or_default().skip = true;
    }
    Ok(next)
}

fn of_host(record: &RolloutRecord, host: &HostId, wish: &str) -> Result<TargetState, Fault> {
    let state = state_of(record);
    if state.is_terminal() || state == RolloutState::Aborting {
        return Err(Fault::new(Code::WrongState, format!("the rollout is {state}: none of its hosts can be {wish}")));
    }
    let target = record.plan.as_ref().and_then(|(_, plan)| plan.targets.get(host));
    let id = record.spec.id;
    let target = target.ok_or_else(|| Fault::new(Code::NotFound, format!("that host is not part of {id}")))?;
    Ok(target.state)
}

/// Hosts that count as failed.
pub(super) fn failed(plan: &RolloutPlan) -> u32 {
    number(plan.targets.values().filter(|target| target.counts_as_failed()).count())
}

/// Updated hosts whose health nobody knows.
pub(super) fn nobody_knows(plan: &RolloutPlan) -> u32 {
    number(plan.targets.values().filter(|target| matches!(target.state, TargetState::Unknown { .. })).count())
}

/// Whether nobody of the wave in progress is in motion or waits for its turn.
fn has_ended(record: &RolloutRecord, plan: &RolloutPlan) -> bool {
    let in_wave = |host: &HostId| record.spec.targets.get(host).is_some_and(|target| target.wave == plan.wave);
    let open = |state: TargetState| state == TargetState::Pending || (state.is_in_flight() && !state.is_failure());
    !plan.targets.iter().any(|(host, target)| in_wave(host) && open(target.state))
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn wrong_state(state: RolloutState, wish: &str) -> Fault {
    let word = state.as_str().replace('_', " ");
    Fault::new(Code::WrongState, format!("a rollout that is {word} cannot be {wish}; nothing was changed"))
}
