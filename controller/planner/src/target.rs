//! Reads one host: where does it stand on its way to what the rollout wants of it?

use std::time::Duration;

use flota_model::host::{Confirmed, Trust};
use flota_model::rollout::{HealthGate, Loss, Owner, RAN_ALREADY, Reason, TargetPlan, TargetSpec, TargetState};
use flota_model::update::{DesiredState, Generation, UpdatePhase, UpdateReport};
use flota_model::{RolloutId, Timestamp};

use crate::snapshot::{Contact, HealthFinding, HostFacts};

/// A started host that is silent for this long is lost: it counts as a failure and keeps its slot. Long enough for a
/// reboot, short enough that a dead canary halts a rollout before anyone trusts it.
pub const DARK_AFTER: Duration = Duration::from_mins(20);
/// A host must get through an update in this time; every step of the agent has a shorter bound of its own.
pub const APPLY_WITHIN: Duration = Duration::from_mins(30);
/// A quote must confirm a claimed success in this time; the controller asks for one at once.
pub const CONFIRM_WITHIN: Duration = Duration::from_mins(5);
/// A health check of an updated host must end in this time; the controller asks for one at once.
pub const CHECK_WITHIN: Duration = Duration::from_mins(5);

/// Where a target stands and why.
pub(crate) type Standing = (TargetState, Reason);

pub(crate) fn not_started() -> Reason {
    reason(Owner::Controller, "not started")
}

pub(crate) fn reason(owner: Owner, text: impl Into<String>) -> Reason {
    Reason { text: text.into(), owner }
}

/// One look at a target: what it was, what is wanted of it, what is known of its host.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) rollout: RolloutId,
    pub(crate) target: &'a TargetPlan,
    pub(crate) wanted: &'a TargetSpec,
    pub(crate) facts: &'a HostFacts,
    pub(crate) health: HealthGate,
    pub(crate) listening_since: Timestamp,
    pub(crate) now: Timestamp,
}

/// What follows for a target whose host is no longer in the fleet.
pub(crate) fn observe_missing(target: &TargetPlan) -> Standing {
    let text = "the host is no longer in the fleet";
    match target.state {
        state if !state.is_waiting() && !state.is_in_flight() => (state, target.reason.clone()),
        // Whoever retires what a release broke does not thereby find the release good.
        _ if target.counts_as_failed() => {
            (TargetState::Overtaken, reason(Owner::Operator, format!("{}; {text}", target.reason.text)))
        }
        _ => (TargetState::Skipped, reason(Owner::Nobody, text)),
    }
}

/// What follows for a target from what is known of its host.
pub(crate) fn observe(look: Look<'_>) -> Standing {
    match look.target.state {
        TargetState::Pending | TargetState::Deferred if already_runs(look) => {
            (TargetState::Committed, reason(Owner::Nobody, format!("{RAN_ALREADY}, confirmed by a quote")))
        }
        TargetState::Offered { generation }
        | TargetState::Applying { generation }
        | TargetState::Confirming { generation }
        | TargetState::Checking { generation }
        | TargetState::Lost { generation, how: _ }
        | TargetState::Unconfirmed { generation } => started(look, generation),
        TargetState::Withdrawing { generation } => withdrawn(look, generation),
        // They gave their slots up when a person was asked, so nothing but a health report changes them.
        TargetState::Unknown { generation } | TargetState::Unhealthy { generation } => mended(look, generation),
        state => (state, look.target.reason.clone()),
    }
}

fn already_runs(look: Look<'_>) -> bool {
    let rests = look.facts.host.observed.as_ref().is_some_and(|report| report.phase.is_terminal());
    rests && claims(look) && confirms(look, None)
}

/// Updated, and not well or not known to be: until a health check of this very release says otherwise.
fn mended(look: Look<'_>, generation: Generation) -> Standing {
    match look.target.state {
        // Not this rollout's to mend any more, and no longer in its budgets.
        TargetState::Unhealthy { .. } if is_wanted_elsewhere(look, generation) => superseded(look, generation),
        _ if is_wanted_elsewhere(look, generation) || !claims(look) => unchanged(look),
        _ => confirmed(look, generation),
    }
}

/// Another rollout asked something of the host since.
fn is_wanted_elsewhere(look: Look<'_>, generation: Generation) -> bool {
    let elsewhere = |desired: &DesiredState| desired.generation >= generation && desired.rollout != look.rollout;
    look.facts.host.desired.as_ref().is_some_and(elsewhere)
}

fn started(look: Look<'_>, generation: Generation) -> Standing {
    let host = &look.facts.host;
    match host.observed.as_ref() {
        _ if is_wanted_elsewhere(look, generation) => superseded(look, generation),
        Some(report) if report.generation == Some(generation) => accepted(look, report, generation),
        Some(report) if report.generation > Some(generation) => superseded(look, generation),
        _ if is_dark(look) => lost(generation),
        _ if is_late(look) => unchanged(look),
        _ => (TargetState::Offered { generation }, reason(Owner::Host, "offered; the host has not accepted it yet")),
    }
}

/// The host works on this very generation, or has ended with it.
fn accepted(look: Look<'_>, report: &UpdateReport, generation: Generation) -> Standing {
    let ended = |state| (state, reason(Owner::Operator, words(report)));
    match report.phase {
        UpdatePhase::Committed => claimed(look, generation),
        UpdatePhase::RolledBack => ended(TargetState::RolledBack),
        UpdatePhase::Refused => ended(TargetState::Refused),
        UpdatePhase::SafeHold => ended(TargetState::SafeHold),
        _ if is_late(look) => unchanged(look),
        _ if is_dark(look) => lost(generation),
        _ if is(look, |state| matches!(state, TargetState::Applying { .. })) && late(look, APPLY_WITHIN) => (
            TargetState::Lost { generation, how: Loss::Late },
            reason(Owner::Operator, format!("still {} after 30 minutes", report.phase)),
        ),
        phase => (TargetState::Applying { generation }, reason(Owner::Host, phase.as_str())),
    }
}

/// What the host says of how it ended; never nothing, since every target has a reason.
fn words(report: &UpdateReport) -> String {
    if report.detail.trim().is_empty() {
        format!("{}; the host gave no reason", report.phase)
    } else {
        report.detail.clone()
    }
}

/// The host says that it runs the release. Only a quote makes it so.
fn claimed(look: Look<'_>, generation: Generation) -> Standing {
    if !claims(look) {
        let text = "the host says it is done and runs something else";
        return (TargetState::Unconfirmed { generation }, reason(Owner::Operator, text));
    }
    if confirms(look, Some(generation)) {
        return confirmed(look, generation);
    }
    let unconfirmed = is(look, |state| matches!(state, TargetState::Unconfirmed { .. }));
    let confirming = is(look, |state| matches!(state, TargetState::Confirming { .. }));
    if unconfirmed || (confirming && late(look, CONFIRM_WITHIN)) {
        let text = "the host says it runs the release, and no quote confirmed it in 5 minutes";
        return (TargetState::Unconfirmed { generation }, reason(Owner::Operator, text));
    }
    (TargetState::Confirming { generation }, reason(Owner::Controller, "waits for a quote over the running release"))
}

/// It runs the release. Whether it is well is another question, where it is asked.
fn confirmed(look: Look<'_>, generation: Generation) -> Standing {
    if look.health == HealthGate::NotAsked {
        return (TargetState::Committed, reason(Owner::Nobody, "confirmed by a quote"));
    }
    let is_asked = is(look, |state| {
        matches!(state, TargetState::Checking { .. } | TargetState::Unknown { .. } | TargetState::Unhealthy { .. })
    });
    // Only a check that was asked for since answers it.
    let answer = look.facts.health.as_ref().filter(|health| is_asked && health.asked_at >= look.target.since);
    let is_checking = is(look, |state| matches!(state, TargetState::Checking { .. }));
    let is_unhealthy = is(look, |state| matches!(state, TargetState::Unhealthy { .. }));
    match answer.map(|health| &health.finding) {
        Some(HealthFinding::CanTrade) => {
            (TargetState::Committed, reason(Owner::Nobody, "confirmed by a quote and a health check"))
        }
        Some(HealthFinding::CannotTrade) if !is_unhealthy => {
            let text = "runs the release, and its health check says that it cannot trade: flota health show";
            (TargetState::Unhealthy { generation }, reason(Owner::Operator, text))
        }
        Some(HealthFinding::NotKnown(why)) if is_checking => {
            let text = format!("runs the release, and its health check could not be made: {why}");
            (TargetState::Unknown { generation }, reason(Owner::Operator, text))
        }
        None if is_checking && late(look, CHECK_WITHIN) => {
            let text = "runs the release, and no health check of it ended in 5 minutes";
            (TargetState::Unknown { generation }, reason(Owner::Operator, text))
        }
        _ if is_asked => unchanged(look),
        _ => (TargetState::Checking { generation }, reason(Owner::Host, "runs the release; a health check is awaited")),
    }
}

/// Something newer than this rollout was asked of the host.
fn superseded(look: Look<'_>, generation: Generation) -> Standing {
    if claims(look) && confirms(look, Some(generation)) {
        return (TargetState::Committed, reason(Owner::Nobody, "confirmed by a quote"));
    }
    if look.target.counts_as_failed() {
        let text = format!("{}; something newer was asked of it since", look.target.reason.text);
        return (TargetState::Overtaken, reason(Owner::Operator, text));
    }
    (TargetState::Skipped, reason(Owner::Nobody, "superseded by a newer desired state"))
}

fn withdrawn(look: Look<'_>, generation: Generation) -> Standing {
    match look.facts.host.observed.as_ref() {
        Some(report) if report.generation >= Some(generation) => match report.phase {
            // It was quicker than the withdrawal.
            _ if claims(look) => {
                (TargetState::Confirming { generation }, reason(Owner::Controller, "waits for a quote"))
            }
            UpdatePhase::SafeHold => (TargetState::SafeHold, reason(Owner::Operator, words(report))),
            _ => (TargetState::Pending, not_started()),
        },
        _ => unchanged(look),
    }
}

fn unchanged(look: Look<'_>) -> Standing {
    (look.target.state, look.target.reason.clone())
}

fn lost(generation: Generation) -> Standing {
    let text = "silent for 20 minutes after it was started";
    (TargetState::Lost { generation, how: Loss::Silent }, reason(Owner::Host, text))
}

fn is_dark(look: Look<'_>) -> bool {
    let Look { target, facts, listening_since, now, .. } = look;
    let heard = facts.host.last_seen.map_or(target.since, |seen| seen.max(target.since)).max(listening_since);
    facts.contact == Contact::Silent && now.since(heard) >= DARK_AFTER
}

fn is_late(look: Look<'_>) -> bool {
    is(look, |state| matches!(state, TargetState::Lost { how: Loss::Late, .. }))
}

fn late(look: Look<'_>, limit: Duration) -> bool {
    look.now.since(look.target.since) >= limit
}

fn is(look: Look<'_>, state: fn(&TargetState) -> bool) -> bool {
    state(&look.target.state)
}

fn claims(look: Look<'_>) -> bool {
    let wanted = Some(look.wanted.release.digest);
    look.facts.host.observed.as_ref().is_some_and(|report| report.running == wanted)
}

/// A quote was made over this release, at this generation or a later one, by a host that is trusted.
fn confirms(look: Look<'_>, generation: Option<Generation>) -> bool {
    let host = &look.facts.host;
    let wanted = Some(look.wanted.release.digest);
    let confirmed = |known: &Confirmed| known.running == wanted && known.generation >= generation;
    match host.trust {
        // Nothing can confirm what a host without a TPM says; whoever let it in has taken its word.
        Trust::Unattested => claims(look) && is_committed(look, generation),
        trust => trust.admits_work() && host.confirmed.as_ref().is_some_and(confirmed),
    }
}

fn is_committed(look: Look<'_>, generation: Option<Generation>) -> bool {
    let report = look.facts.host.observed.as_ref();
    report.is_some_and(|report| report.phase == UpdatePhase::Committed && report.generation >= generation)
}
