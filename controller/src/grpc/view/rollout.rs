//! Rollouts and forecasts on the wire.

use flota_model::HostId;
use flota_model::rollout::{
    Gates, HealthGate, LateJoiners, Percent, RolloutApproval, RolloutPlan, RolloutSpec, RolloutState, TargetPlan,
    TargetState, Urgency,
};
use flota_planner::{GroupForecast, WaveForecast};
use flota_proto::v1;
use flota_store::RolloutRecord;

use super::{count, text, time};
use crate::rollouts::create::wishes;
use crate::rollouts::foresee::Foreseen;

/// A rollout with its current plan, and the approvals that count.
pub fn shown<'a>(record: &RolloutRecord, approvals: impl Iterator<Item = &'a RolloutApproval>) -> v1::Rollout {
    let plan = record.plan.as_ref().map(|(_, plan)| plan);
    let failed = plan.map_or(0, |plan| plan.targets.values().filter(|target| target.counts_as_failed()).count());
    let is_unknown = |target: &&TargetPlan| matches!(target.state, TargetState::Unknown { .. });
    let unknown = plan.map_or(0, |plan| plan.targets.values().filter(is_unknown).count());
    let accepted = usize::try_from(record.intent.wishes.accepted_unknown).unwrap_or(usize::MAX);
    v1::Rollout {
        state: plan.map_or(RolloutState::Draft, |plan| plan.state).to_string(),
        cause: plan.map_or_else(|| "not planned yet".to_owned(), |plan| plan.cause.clone()),
        started_at: time(record.started_at),
        finished_at: time(record.finished_at),
        wave: count(plan.map_or(0, |plan| plan.wave)),
        waves: record.spec.waves.iter().enumerate().map(|(index, name)| wave(record, plan, index, name)).collect(),
        targets: targets(&record.spec, plan),
        failed: count(failed),
        unknown: count(unknown.saturating_sub(accepted)),
        plan: text(record.plan.as_ref().map(|(id, _)| id)),
        revision: plan.map_or(0, |plan| plan.revision),
        spec: record.digest.to_string(),
        approvals: approvals.map(approval).collect(),
        superseded_by: text(record.intent.wishes.superseded_by.as_ref()),
        ..specified(&record.spec)
    }
}

/// What would be created.
pub fn draft(spec: &RolloutSpec) -> v1::Rollout {
    let wave = |(index, name): (usize, &String)| v1::Wave {
        name: name.clone(),
        state: "waiting".to_owned(),
        hosts: count(spec.targets.values().filter(|target| target.wave == index).count()),
        done: 0,
        failed: 0,
    };
    v1::Rollout {
        state: RolloutState::Draft.to_string(),
        cause: "not created".to_owned(),
        waves: spec.waves.iter().enumerate().map(wave).collect(),
        targets: targets(spec, None),
        ..specified(spec)
    }
}

/// A forecast.
pub fn forecast(spec: &RolloutSpec, rollout: v1::Rollout, foreseen: &Foreseen) -> v1::Forecast {
    let Foreseen { forecast, host_takes, because, warnings, now } = foreseen;
    let name = |host: &HostId| spec.targets.get(host).map(|target| target.name.to_string()).unwrap_or_default();
    let wave = |wave: &WaveForecast| v1::WaveForecast {
        name: wave.name.clone(),
        hosts: count(wave.hosts),
        begins: time(wave.begins),
        ends: time(wave.ends),
        changed_when_it_halts: count(wave.changed_when_it_halts),
    };
    let group = |group: &GroupForecast| v1::GroupForecast {
        name: group.name.clone(),
        hosts: count(group.hosts),
        most_at_once: count(group.most_at_once),
        limit: group.limit,
    };
    let left_out = |(host, reason): &(HostId, String)| v1::LeftOut {
        host_id: host.to_string(),
        host_name: name(host),
        reason: reason.clone(),
    };
    v1::Forecast {
        rollout: Some(rollout),
        waves: forecast.waves.iter().map(wave).collect(),
        ends: time(forecast.ends),
        most_at_once: count(forecast.most_at_once),
        groups: forecast.groups.iter().map(group).collect(),
        left_out: forecast.left_out.iter().map(left_out).collect(),
        stands_still: forecast.stands_still.clone(),
        host_seconds: u32::try_from(host_takes.as_secs()).unwrap_or(u32::MAX),
        host_seconds_from: because.clone(),
        warnings: warnings.clone(),
        now: now.to_string(),
    }
}

fn approval(approval: &RolloutApproval) -> v1::RolloutApproval {
    let RolloutApproval { spec: _, by, at, reason } = approval;
    v1::RolloutApproval { by: by.clone(), at: at.to_string(), reason: reason.clone() }
}

/// What does not change while it runs.
fn specified(spec: &RolloutSpec) -> v1::Rollout {
    v1::Rollout {
        id: spec.id.to_string(),
        release: spec.release.digest.to_string(),
        version: spec.release.version.clone(),
        selector: spec.selector.clone(),
        created_by: spec.created_by.clone(),
        created_at: spec.created_at.to_string(),
        ticket: spec.ticket.clone(),
        max_failures: spec.max_failures.get(),
        rollback_of: text(spec.rollback_of.as_ref()),
        budgets: wishes(spec),
        windows: spec.windows.iter().map(ToString::to_string).collect(),
        max_in_flight: spec.max_in_flight.get(),
        markets: spec.markets.iter().map(|rule| rule.wish.to_string()).collect(),
        approvals_needed: spec.approvals,
        deadline: time(spec.deadline),
        pause_after: spec.pause_after.to_string(),
        on_halt: spec.on_halt.to_string(),
        emergency: spec.urgency == Urgency::Emergency,
        reason: spec.reason.clone(),
        gates: gates(spec),
        late_joiners: spec.late_joiners == LateJoiners::LastWave,
        ..v1::Rollout::default()
    }
}

/// The gates beside the number of failures, in words.
fn gates(spec: &RolloutSpec) -> Vec<String> {
    let Gates { max_failure_rate, min_success, min_sample, min_coverage, health } = spec.gates;
    let mut words = Vec::new();
    if let Some(rate) = max_failure_rate {
        words.push(format!("halts at {rate} failed"));
    }
    if min_success > Percent::NONE {
        words.push(format!("{min_success} of a wave must succeed"));
    }
    if min_coverage > Percent::NONE {
        words.push(format!("{min_coverage} of a wave must have ended"));
    }
    if min_sample.get() > 1 {
        words.push(format!("{min_sample} of a wave must have ended"));
    }
    if health == HealthGate::Asked {
        words.push("health check after the quote".to_owned());
    }
    words
}

fn wave(record: &RolloutRecord, plan: Option<&RolloutPlan>, index: usize, name: &str) -> v1::Wave {
    let hosts = record.spec.targets.iter().filter(|(_, target)| target.wave == index);
    let states: Vec<TargetState> = hosts
        .map(|(host, _)| {
            plan.and_then(|plan| plan.targets.get(host)).map_or(TargetState::Pending, |target| target.state)
        })
        .collect();
    let done = states.iter().filter(|state| **state == TargetState::Committed).count();
    let failed = states.iter().filter(|state| state.is_failure()).count();
    let current = plan.map_or(0, |plan| plan.wave);
    let state = match plan.map(|plan| plan.state) {
        _ if done == states.len() => "done",
        _ if index > current => "waiting",
        Some(RolloutState::Running | RolloutState::Aborting) if index == current => "running",
        Some(RolloutState::Halted) => "halted",
        Some(RolloutState::Inconclusive) => "inconclusive",
        Some(RolloutState::Paused) => "paused",
        None | Some(RolloutState::Draft | RolloutState::AwaitingApproval) => "waiting",
        Some(_) => "ended",
    };
    v1::Wave {
        name: name.to_owned(),
        state: state.to_owned(),
        hosts: count(states.len()),
        done: count(done),
        failed: count(failed),
    }
}

fn targets(spec: &RolloutSpec, plan: Option<&RolloutPlan>) -> Vec<v1::Target> {
    let mut targets: Vec<v1::Target> = spec
        .targets
        .iter()
        .map(|(host, wanted)| {
            let planned = plan.and_then(|plan| plan.targets.get(host));
            v1::Target {
                host_id: host.to_string(),
                host_name: wanted.name.to_string(),
                wave: count(wanted.wave),
                state: planned.map_or("pending", |target| target.state.as_str()).to_owned(),
                version: wanted.release.version.clone(),
                reason: planned.map(|target| target.reason.text.clone()).unwrap_or_default(),
                since: time(planned.map(|target| target.since)),
                owner: planned.map_or("controller", |target| target.reason.owner.as_str()).to_owned(),
            }
        })
        .collect();
    targets.sort_by(|left, right| (left.wave, &left.host_name).cmp(&(right.wave, &right.host_name)));
    targets
}
