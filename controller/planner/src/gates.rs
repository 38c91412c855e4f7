//! Gates. The error gates are looked at with every plan and win over everything but an abort; the others decide whether
//! a wave has passed. What cannot be known is no success.

use flota_model::rollout::{RolloutIntent, RolloutPlan, RolloutSpec, TargetPlan, TargetState};

use crate::dispatch::{is_moving, is_released};

/// Hosts that must have ended before a share of failures says anything.
const RATE_SAMPLE: usize = 10;

/// Why an error gate stops the rollout, if one does.
pub(crate) fn error_gate(spec: &RolloutSpec, intent: &RolloutIntent, plan: &RolloutPlan) -> Option<String> {
    let failed = unaccepted_failures(intent, plan);
    let limit = usize::try_from(spec.max_failures.get()).unwrap_or(usize::MAX);
    if failed >= limit {
        return Some(format!("{failed} failed, the limit is {limit}"));
    }
    let ended = plan.targets.values().filter(|target| has_ended(target)).count();
    let rate = spec.gates.max_failure_rate?;
    let is_telling = ended >= RATE_SAMPLE && failed > 0 && rate.is_reached(failed, ended);
    is_telling.then(|| format!("{failed} of {ended} that have ended failed, the limit is {rate}"))
}

/// Updated hosts whose health is not known, beyond those that a person accepted.
pub(crate) fn unaccepted_unknown(intent: &RolloutIntent, plan: &RolloutPlan) -> usize {
    let unknown = plan.targets.values().filter(|target| is_unknown(target)).count();
    unknown.saturating_sub(usize::try_from(intent.wishes.accepted_unknown).unwrap_or(usize::MAX))
}

/// Whether the wave in progress is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WaveEnd {
    /// Somebody is in motion, or may still be started; or too few have ended, with what is missing.
    NotYet(String),
    /// Its gates hold.
    Passed,
    /// They do not, and nothing that is in motion can change that.
    Failed(String),
}

/// How the wave in progress stands.
pub(crate) fn wave_end(spec: &RolloutSpec, intent: &RolloutIntent, plan: &RolloutPlan) -> WaveEnd {
    // Who failed is not forgotten by being left out afterwards.
    let counts = |target: &&TargetPlan| target.state != TargetState::Skipped || target.counts_as_failed();
    let members: Vec<&TargetPlan> = in_wave(spec, plan).filter(counts).collect();
    // Where it stands already, it has ended once: who comes back or is tried again does not begin it anew.
    let stands = plan.stands_after == Some(plan.wave);
    let open = |target: &TargetPlan| is_moving(target) || target.state == TargetState::Pending;
    if !stands && members.iter().any(|target| open(target)) {
        return WaveEnd::NotYet(String::new());
    }
    if is_released(intent, plan.wave) {
        return WaveEnd::Passed;
    }
    let name = spec.wave_name(plan.wave);
    let committed = members.iter().filter(|target| target.state == TargetState::Committed).count();
    let unknown = members.iter().filter(|target| is_unknown(target)).count();
    let failed = members.iter().filter(|target| target.counts_as_failed()).count();
    let counted = failed.min(unaccepted_failures(intent, plan));
    let (ended, stragglers) = (committed.saturating_add(failed).saturating_add(unknown), stragglers(&members));
    if ended == 0 {
        return match stragglers {
            0 => WaveEnd::Failed(format!("nobody of {name} was updated: all were left out")),
            some => WaveEnd::NotYet(format!("nobody could be started yet, {some} wait")),
        };
    }
    if committed == 0 && unknown == 0 && counted > 0 {
        return WaveEnd::Failed(format!("nobody of {name} succeeded"));
    }
    let gates = &spec.gates;
    let judged = committed.saturating_add(counted);
    if !gates.min_success.is_reached(committed, judged) {
        let needed = gates.min_success;
        return WaveEnd::Failed(format!("{committed} of {judged} of {name} succeeded, {needed} are needed"));
    }
    let sample = usize::try_from(gates.min_sample.get()).unwrap_or(usize::MAX).min(members.len());
    if stragglers > 0 && (ended < sample || !gates.min_coverage.is_reached(ended, members.len())) {
        let (all, coverage) = (members.len(), gates.min_coverage);
        return WaveEnd::NotYet(format!(
            "{ended} of {all} have ended, {sample} and {coverage} are needed; {stragglers} wait"
        ));
    }
    WaveEnd::Passed
}

/// Failures that nobody has looked at and accepted.
pub(crate) fn unaccepted_failures(intent: &RolloutIntent, plan: &RolloutPlan) -> usize {
    let accepted = usize::try_from(intent.accepted_failures).unwrap_or(usize::MAX);
    plan.targets.values().filter(|target| target.counts_as_failed()).count().saturating_sub(accepted)
}

fn in_wave<'a>(spec: &'a RolloutSpec, plan: &'a RolloutPlan) -> impl Iterator<Item = &'a TargetPlan> + 'a {
    plan.targets
        .iter()
        .filter(move |(host, _)| spec.targets.get(*host).is_some_and(|target| target.wave == plan.wave))
        .map(|(_, target)| target)
}

fn stragglers(members: &[&TargetPlan]) -> usize {
    members.iter().filter(|target| target.state.is_waiting()).count()
}

fn is_unknown(target: &TargetPlan) -> bool {
    matches!(target.state, TargetState::Unknown { .. })
}

fn has_ended(target: &TargetPlan) -> bool {
    target.counts_as_failed() || matches!(target.state, TargetState::Committed | TargetState::Unknown { .. })
}
