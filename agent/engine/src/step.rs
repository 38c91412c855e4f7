//! The transitions.

mod prepare;
mod trial;

use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal, UpdateReport};

use crate::event::{BotBefore, Effect, Event, Rejected};
use crate::phase::{HeldBot, Phase};
use crate::state::{Installed, State};

/// Starts of one release. A crash during the first may be a power cut; a second one in a row is the release's fault
/// until the opposite is shown.
pub const MAX_SWITCH_ATTEMPTS: u32 = 2;

/// Questions for rest before one update. With the shell's pauses of up to a minute that is a quarter of an hour, half of what
/// the controller gives a host for an update; a bot that is busy for longer is asked by the next rollout.
pub const MAX_REST_ATTEMPTS: u32 = 20;

/// Tries of one verification, download or export. With the shell's pauses of up to a minute this outlasts an hour without a
/// controller; then the host says that it gave up, rather than start an update at a time nobody expects.
pub const MAX_TRANSFER_ATTEMPTS: u32 = 100;

/// The detail of a goal that named what ran already: nothing was done for it.
pub const RUNS_ALREADY: &str = "this release runs already";

/// Longest sentence that is kept and reported, in characters; an error of the system has at most a few hundred.
const MAX_DETAIL_CHARS: usize = 500;

type Stepped = (State, Vec<Effect>);

/// Decides what follows; never acts. A rejected event leaves the state untouched.
pub fn step(state: &State, event: &Event) -> Result<Stepped, Rejected> {
    match event {
        Event::Desired(desired) => return receive(state, desired),
        Event::Restarted { current } => return Ok(restart(state, current.as_ref())),
        Event::Proceed if state.phase.is_rest() => {
            if let Some(waiting) = &state.waiting {
                return Ok(accept(&State { waiting: None, ..state.clone() }, waiting));
            }
        }
        _ => {}
    }
    prepare::step(state, event)
        .or_else(|| trial::step(state, event))
        .ok_or(Rejected::Unexpected { state: state.phase.name(), event: event.name() })
}

/// What is to be done in this state, after a crash as on entering it.
pub fn resume(state: &State) -> Vec<Effect> {
    let mut effects = vec![Effect::Report];
    if state.phase.is_rest() {
        let keep = state.running.iter().chain(&state.previous).map(|installed| installed.digest).collect();
        effects.push(Effect::Cleanup { keep });
    }
    effects.extend(work(state));
    effects
}

/// What the controller is told.
pub fn report(state: &State) -> UpdateReport {
    let running = match &state.phase {
        // The pointer was moved: what the host runs is the release on trial.
        Phase::Probation { target, .. } | Phase::Soaking { target } => Some(Installed::from(target)),
        _ => state.running.clone(),
    };
    let detail = match &state.waiting {
        Some(waiting) => format!("{}; generation {} waits for this to end", state.detail, waiting.generation),
        None => state.detail.clone(),
    };
    UpdateReport {
        generation: state.accepted.as_ref().map(|desired| desired.generation),
        sequence: state.sequence,
        phase: state.phase.public(),
        running: running.as_ref().map(|installed| installed.digest),
        version: running.map(|installed| installed.version).unwrap_or_default(),
        detail,
    }
}

/// The one effect whose outcome the state waits for.
fn work(state: &State) -> Option<Effect> {
    let fallback = state.running.as_ref().map(|installed| installed.digest);
    Some(match &state.phase {
        Phase::Offered { .. } | Phase::Staged { .. } | Phase::Armed { .. } => Effect::Proceed,
        Phase::Verifying { target, attempt } => {
            let intent = match state.accepted.as_ref().map(|desired| &desired.goal) {
                Some(Goal::Install { intent, .. }) => *intent,
                Some(Goal::Stay) | None => Direction::Forward,
            };
            Effect::Verify { release: target.clone(), intent, attempt: *attempt }
        }
        Phase::Preflight { target } => {
            let bot = if state.held.is_some() { BotBefore::Held } else { BotBefore::Running };
            Effect::Preflight { release: target.clone(), bot }
        }
        Phase::Downloading { target, attempt } => Effect::Download { release: target.clone(), attempt: *attempt },
        Phase::Unpacking { target } => Effect::Stage(target.clone()),
        Phase::Exporting { target, attempt } => {
            let rollout = state.accepted.as_ref().map(|desired| desired.rollout);
            Effect::Export { release: target.clone(), rollout, attempt: *attempt }
        }
        Phase::Quiescing { attempt, .. } => Effect::Quiesce { attempt: *attempt },
        Phase::Snapshotting { .. } => Effect::Snapshot { generation: state.accepted.as_ref()?.generation },
        Phase::Resuming { .. } => Effect::Resume,
        Phase::Switching { target, attempt } => Effect::Switch { to: target.digest, attempt: *attempt },
        Phase::Probation { target, .. } => Effect::CheckHealth { of: target.digest },
        Phase::Soaking { target } => Effect::Soak { of: target.digest },
        Phase::SwitchingBack { .. } => {
            let snapshot = state.accepted.as_ref().map(|desired| desired.generation);
            Effect::SwitchBack { to: fallback, snapshot }
        }
        Phase::FallbackProbation { .. } => Effect::CheckFallbackHealth { of: fallback? },
        Phase::SafeHold { bot: HeldBot::Stopping } => Effect::StopBot,
        Phase::Committed | Phase::RolledBack | Phase::Refused | Phase::SafeHold { bot: HeldBot::Left } => {
            state.waiting.as_ref().map(|_| Effect::Proceed)?
        }
    })
}

/// Sorts a goal by its generation, then takes it up or keeps it for later.
fn receive(state: &State, desired: &DesiredState) -> Result<Stepped, Rejected> {
    if let Some(newest) = state.waiting.as_ref().or(state.accepted.as_ref()) {
        let (have, got) = (newest.generation, desired.generation);
        if got < have {
            return Err(Rejected::Stale { have, got });
        }
        if got == have && newest != desired {
            return Err(Rejected::Conflict { generation: have });
        }
        if got == have {
            return Ok((state.clone(), Vec::new()));
        }
    }
    if state.phase.may_be_superseded() && state.waiting.is_none() {
        return Ok(accept(state, desired));
    }
    let remembered = State { sequence: state.sequence + 1, waiting: Some(desired.clone()), ..state.clone() };
    Ok((remembered, vec![Effect::Report]))
}

/// Takes up a goal where nothing stands in its way.
fn accept(state: &State, desired: &DesiredState) -> Stepped {
    let state = State { accepted: Some(desired.clone()), ..state.clone() };
    let (release, intent) = match &desired.goal {
        Goal::Install { release, intent } => (release, intent),
        Goal::Stay if state.held.is_some() => return still_held(&state, "asked to stay"),
        Goal::Stay => return enter(&state, Phase::Committed, "stays with what runs"),
    };
    if state.running.as_ref().is_some_and(|running| running.digest == release.digest) {
        return enter(&state, Phase::Committed, RUNS_ALREADY);
    }
    if let Some(why) = state.denied.get(&release.digest) {
        let also = match intent {
            Direction::Forward => "",
            Direction::Back => " (a rollback of the fleet does not lift that)",
        };
        let refusal = format!("this host went back from this release before and does not try it again{also}: {why}");
        return refuse(&state, &refusal);
    }
    enter(&state, Phase::Offered { target: release.clone() }, "accepted")
}

/// A crash during a start or its probation uses up an attempt; everything else is simply done again. A host at rest
/// whose `current` was moved by other hands is what it is.
fn restart(state: &State, current: Option<&Installed>) -> Stepped {
    match &state.phase {
        Phase::Switching { target, attempt } | Phase::Probation { target, attempt } => {
            if *attempt < MAX_SWITCH_ATTEMPTS {
                switch(state, target, attempt + 1)
            } else {
                let why = format!("the agent or the host went down during each of {attempt} attempts to start it");
                roll_back(state, target, &why)
            }
        }
        phase if phase.is_rest() && state.held.is_none() && differ(current, state.running.as_ref()) => {
            let mut next = state.clone();
            next.previous = next.running.take().or(next.previous);
            next.running = current.cloned();
            enter(&next, phase.clone(), "`current` was changed by other hands")
        }
        _ => (state.clone(), resume(state)),
    }
}

fn differ(one: Option<&Installed>, other: Option<&Installed>) -> bool {
    one.map(|installed| installed.digest) != other.map(|installed| installed.digest)
}

fn switch(state: &State, target: &ReleaseRef, attempt: u32) -> Stepped {
    let detail = format!("starts the new release, attempt {attempt} of {MAX_SWITCH_ATTEMPTS}");
    enter(state, Phase::Switching { target: target.clone(), attempt }, &detail)
}

/// Refuses the accepted goal: nothing was changed.
fn refuse(state: &State, why: &str) -> Stepped {
    if state.held.is_some() { still_held(state, why) } else { enter(state, Phase::Refused, why) }
}

/// A host in safe-hold stays there until a release proves healthy, whatever comes of a goal before that.
fn still_held(state: &State, what: &str) -> Stepped {
    let reason = state.held.as_deref().unwrap_or_default();
    enter(state, Phase::SafeHold { bot: HeldBot::Left }, &format!("{what}; still in safe-hold: {reason}"))
}

fn roll_back(state: &State, target: &ReleaseRef, why: &str) -> Stepped {
    let mut next = state.clone();
    next.denied.insert(target.digest, shortened(why));
    let detail = format!("went back from {} ({}): {why}", target.version, target.digest.short());
    enter(&next, Phase::SwitchingBack { target: target.clone() }, &detail)
}

fn hold(state: &State, why: &str) -> Stepped {
    let mut next = state.clone();
    next.previous = next.running.take().or(next.previous);
    next.held = Some(shortened(why));
    enter(&next, Phase::SafeHold { bot: HeldBot::Stopping }, why)
}

fn enter(state: &State, phase: Phase, detail: &str) -> Stepped {
    let next = State { sequence: state.sequence + 1, phase, detail: shortened(detail), ..state.clone() };
    let effects = resume(&next);
    (next, effects)
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_DETAIL_CHARS).collect()
}
