//! Reads one host: where does it stand on its way to what the rollout wants of it?

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::rollout::{Owner, Reason, TargetPlan, TargetSpec, TargetState};
use flota_model::update::{Generation, UpdatePhase, UpdateReport};

use crate::snapshot::{Contact, HostFacts};

/// A started host that is silent for this long is lost: it counts as a failure and keeps its slot. Long enough for a
/// reboot, short enough that a dead canary halts a rollout before anyone trusts it.
pub const DARK_AFTER: Duration = Duration::from_mins(20);
/// A host must get through an update in this time; every step of the agent has a shorter bound of its own.
pub const APPLY_WITHIN: Duration = Duration::from_mins(30);
/// A quote must confirm a claimed success in this time; the controller asks for one at once.
pub const CONFIRM_WITHIN: Duration = Duration::from_mins(5);

/// Where a target stands and why.
pub(crate) type Standing = (TargetState, Reason);

pub(crate) fn not_started() -> Reason {
    reason(Owner::Controller, "not started")
}

pub(crate) fn reason(owner: Owner, text: impl Into<String>) -> Reason {
    Reason { text: text.into(), owner }
}

/// What follows for a target from what is known of its host.
pub(crate) fn observe(target: &TargetPlan, wanted: &TargetSpec, facts: Option<&HostFacts>, now: Timestamp) -> Standing {
    let unchanged = || (target.state, target.reason.clone());
    let Some(facts) = facts else {
        return match target.state {
            state if state.is_waiting() || state.is_in_flight() => {
                (TargetState::Skipped, reason(Owner::Nobody, "the host is no longer in the fleet"))
            }
            _ => unchanged(),
        };
    };
    match target.state {
        TargetState::Pending | TargetState::Deferred if already_runs(wanted, facts) => {
            (TargetState::Committed, reason(Owner::Nobody, "runs it already, confirmed by a quote"))
        }
        TargetState::Offered { generation }
        | TargetState::Applying { generation }
        | TargetState::Confirming { generation }
        | TargetState::Lost { generation }
        | TargetState::Unconfirmed { generation } => started(target, wanted, facts, generation, now),
        TargetState::Withdrawing { generation } => withdrawn(target, wanted, facts, generation),
        _ => unchanged(),
    }
}

fn already_runs(wanted: &TargetSpec, facts: &HostFacts) -> bool {
    let rests = facts.host.observed.as_ref().is_some_and(|report| report.phase.is_terminal());
    rests && claims(wanted, facts) && confirms(wanted, facts, None)
}

fn started(
    target: &TargetPlan,
    wanted: &TargetSpec,
    facts: &HostFacts,
    generation: Generation,
    now: Timestamp,
) -> Standing {
    match facts.host.observed.as_ref() {
        Some(report) if report.generation == Some(generation) => {
            accepted(target, wanted, facts, report, generation, now)
        }
        Some(report) if report.generation > Some(generation) => superseded(wanted, facts, generation),
        _ if is_dark(target, facts, now) => lost(generation),
        _ => (TargetState::Offered { generation }, reason(Owner::Host, "offered; the host has not accepted it yet")),
    }
}

/// The host works on this very generation, or has ended with it.
fn accepted(
    target: &TargetPlan,
    wanted: &TargetSpec,
    facts: &HostFacts,
    report: &UpdateReport,
    generation: Generation,
    now: Timestamp,
) -> Standing {
    match report.phase {
        UpdatePhase::Committed => claimed(target, wanted, facts, generation, now),
        UpdatePhase::RolledBack => (TargetState::RolledBack, reason(Owner::Operator, &report.detail)),
        UpdatePhase::Refused => (TargetState::Refused, reason(Owner::Operator, &report.detail)),
        UpdatePhase::SafeHold => (TargetState::SafeHold, reason(Owner::Operator, &report.detail)),
        _ if is_dark(target, facts, now) => lost(generation),
        _ if was(target, |state| matches!(state, TargetState::Applying { .. })) && late(target, APPLY_WITHIN, now) => (
            TargetState::Lost { generation },
            reason(Owner::Operator, format!("still {} after 30 minutes", report.phase)),
        ),
        phase => (TargetState::Applying { generation }, reason(Owner::Host, phase.as_str())),
    }
}

/// The host says that it runs the release. Only a quote makes it so.
fn claimed(
    target: &TargetPlan,
    wanted: &TargetSpec,
    facts: &HostFacts,
    generation: Generation,
    now: Timestamp,
) -> Standing {
    if !claims(wanted, facts) {
        let text = "the host says it is done and runs something else";
        return (TargetState::Unconfirmed { generation }, reason(Owner::Operator, text));
    }
    if confirms(wanted, facts, Some(generation)) {
        return (TargetState::Committed, reason(Owner::Nobody, "confirmed by a quote"));
    }
    let unconfirmed = was(target, |state| matches!(state, TargetState::Unconfirmed { .. }));
    let confirming = was(target, |state| matches!(state, TargetState::Confirming { .. }));
    if unconfirmed || (confirming && late(target, CONFIRM_WITHIN, now)) {
        let text = "the host says it runs the release, and no quote confirmed it in 5 minutes";
        return (TargetState::Unconfirmed { generation }, reason(Owner::Operator, text));
    }
    (TargetState::Confirming { generation }, reason(Owner::Controller, "waits for a quote over the running release"))
}

/// Something newer than this rollout was asked of the host.
fn superseded(wanted: &TargetSpec, facts: &HostFacts, generation: Generation) -> Standing {
    if claims(wanted, facts) && confirms(wanted, facts, Some(generation)) {
        return (TargetState::Committed, reason(Owner::Nobody, "confirmed by a quote"));
    }
    (TargetState::Skipped, reason(Owner::Nobody, "superseded by a newer desired state"))
}

fn withdrawn(target: &TargetPlan, wanted: &TargetSpec, facts: &HostFacts, generation: Generation) -> Standing {
    match facts.host.observed.as_ref() {
        Some(report) if report.generation >= Some(generation) => match report.phase {
            // It was quicker than the withdrawal.
            _ if claims(wanted, facts) => {
                (TargetState::Confirming { generation }, reason(Owner::Controller, "waits for a quote"))
            }
            UpdatePhase::RolledBack => (TargetState::RolledBack, reason(Owner::Operator, &report.detail)),
            UpdatePhase::SafeHold => (TargetState::SafeHold, reason(Owner::Operator, &report.detail)),
            _ => (TargetState::Pending, not_started()),
        },
        _ => (target.state, target.reason.clone()),
    }
}

fn lost(generation: Generation) -> Standing {
    (TargetState::Lost { generation }, reason(Owner::Host, "silent for 20 minutes after it was started"))
}

fn is_dark(target: &TargetPlan, facts: &HostFacts, now: Timestamp) -> bool {
    facts.contact == Contact::Silent && now.since(facts.heard_after(target.since)) >= DARK_AFTER
}

fn late(target: &TargetPlan, limit: Duration, now: Timestamp) -> bool {
    now.since(target.since) >= limit
}

fn was(target: &TargetPlan, state: fn(&TargetState) -> bool) -> bool {
    state(&target.state)
}

fn claims(wanted: &TargetSpec, facts: &HostFacts) -> bool {
    facts.host.observed.as_ref().is_some_and(|report| report.running == Some(wanted.release.digest))
}

/// A quote was made over this release, at this generation or a later one.
fn confirms(wanted: &TargetSpec, facts: &HostFacts, generation: Option<Generation>) -> bool {
    facts
        .host
        .confirmed
        .as_ref()
        .is_some_and(|confirmed| confirmed.running == Some(wanted.release.digest) && confirmed.generation >= generation)
}
