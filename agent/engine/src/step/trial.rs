//! From the point of no return to an end: it commits, goes back, or is left to people.

use flota_model::release::ReleaseRef;

use super::{Stepped, enter, hold, roll_back, still_held, switch};
use crate::event::Event;
use crate::phase::{HeldBot, Phase};
use crate::state::State;

/// None: the event means nothing here.
pub(super) fn step(state: &State, event: &Event) -> Option<Stepped> {
    Some(match (&state.phase, event) {
        (Phase::Armed { target }, Event::Proceed) => switch(state, target, 1),
        (Phase::Switching { target, attempt }, Event::Switched) => {
            let phase = Phase::Probation { target: target.clone(), attempt: *attempt };
            enter(state, phase, "the new release must prove healthy")
        }
        (Phase::Switching { target, .. }, Event::SwitchFailed { why })
        | (Phase::Probation { target, .. }, Event::Unhealthy { why })
        | (Phase::Soaking { target }, Event::SoakFailed { why }) => roll_back(state, target, why),
        (Phase::Probation { target, .. }, Event::Healthy) => {
            enter(state, Phase::Soaking { target: target.clone() }, "healthy; it must stay so")
        }
        (Phase::Soaking { target }, Event::Soaked) => commit(state, target),

        (Phase::SwitchingBack { target }, Event::SwitchedBack) => switched_back(state, target),
        (Phase::SwitchingBack { .. }, Event::SwitchBackFailed { why }) => {
            hold(state, &format!("{}; going back failed: {why}", state.detail))
        }
        (Phase::FallbackProbation { .. }, Event::FallbackHealthy) => enter(state, Phase::RolledBack, &state.detail),
        (Phase::FallbackProbation { .. }, Event::FallbackUnhealthy { why }) => {
            hold(state, &format!("{}; the release before is not healthy either: {why}", state.detail))
        }
        (Phase::SafeHold { bot: HeldBot::Stopping }, Event::BotStopped) => {
            enter(state, Phase::SafeHold { bot: HeldBot::Left }, &state.detail)
        }
        (Phase::SafeHold { bot: HeldBot::Stopping }, Event::StopFailed { why }) => {
            let detail = format!("THE BOT COULD NOT BE STOPPED ({why}): stop it by hand; {}", state.detail);
            enter(state, Phase::SafeHold { bot: HeldBot::Left }, &detail)
        }
        _ => return None,
    })
}

fn commit(state: &State, target: &ReleaseRef) -> Stepped {
    let mut next = state.clone();
    next.previous = next.running.take().or(next.previous).filter(|previous| previous.digest != target.digest);
    next.running = Some(target.into());
    next.held = None;
    enter(&next, Phase::Committed, "the new release proved healthy")
}

fn switched_back(state: &State, target: &ReleaseRef) -> Stepped {
    if state.running.is_some() {
        return enter(state, Phase::FallbackProbation { target: target.clone() }, &state.detail);
    }
    if state.held.is_some() {
        return still_held(state, &state.detail);
    }
    enter(state, Phase::RolledBack, &format!("{}; no release was before it, so none runs", state.detail))
}
