//! Up to the point of no return: whatever fails, the release before trades on.

use flota_model::release::ReleaseRef;

use super::{MAX_REST_ATTEMPTS, MAX_TRANSFER_ATTEMPTS, Stepped, accept, enter, hold, refuse};
use crate::event::{Cause, Event};
use crate::phase::{AfterResume, Phase};
use crate::state::State;

/// None: the event means nothing here.
pub(super) fn step(state: &State, event: &Event) -> Option<Stepped> {
    Some(match (&state.phase, event) {
        (Phase::Offered { target }, Event::Proceed) => {
            let phase = Phase::Verifying { target: target.clone(), attempt: 1 };
            enter(state, phase, "checks who signed the release and what it asks for")
        }
        (Phase::Verifying { target, .. }, Event::Verified) => {
            enter(state, Phase::Preflight { target: target.clone() }, "looks whether the host can take the release")
        }
        (Phase::Verifying { target, attempt }, Event::VerifyFailed { why, cause }) => {
            match next_attempt(*attempt, *cause) {
                Some(attempt) => enter(state, Phase::Verifying { target: target.clone(), attempt }, why),
                None => refuse(state, why),
            }
        }
        (Phase::Preflight { target }, Event::PreflightPassed) => {
            let phase = Phase::Downloading { target: target.clone(), attempt: 1 };
            enter(state, phase, "fetches the package")
        }
        (Phase::Downloading { target, .. }, Event::Downloaded) => {
            enter(state, Phase::Unpacking { target: target.clone() }, "checks the package and unpacks it")
        }
        (Phase::Downloading { target, attempt }, Event::DownloadFailed { why, cause }) => {
            match next_attempt(*attempt, *cause) {
                Some(attempt) => enter(state, Phase::Downloading { target: target.clone(), attempt }, why),
                None => refuse(state, why),
            }
        }
        (Phase::Unpacking { target }, Event::Staged) => {
            enter(state, Phase::Staged { target: target.clone() }, "checked and unpacked")
        }
        (Phase::Staged { target }, Event::Proceed) => {
            let phase = Phase::Exporting { target: target.clone(), attempt: 1 };
            enter(state, phase, "makes the security export")
        }
        // A host without a bot that trades has none to bring to rest.
        (Phase::Exporting { target, .. }, Event::Exported) if !trades(state) => snapshot(state, target),
        (Phase::Exporting { target, .. }, Event::Exported) => {
            let phase = Phase::Quiescing { target: target.clone(), attempt: 1 };
            enter(state, phase, "asks the bot to come to rest")
        }
        (Phase::Exporting { target, attempt }, Event::ExportFailed { why, cause }) => {
            match next_attempt(*attempt, *cause) {
                Some(attempt) => enter(state, Phase::Exporting { target: target.clone(), attempt }, why),
                None => refuse(state, why),
            }
        }

        (Phase::Quiescing { target, .. }, Event::Quiesced) => match &state.waiting {
            Some(_) => call_off(state, target),
            None => snapshot(state, target),
        },
        (Phase::Quiescing { target, attempt }, Event::QuiesceFailed { why, cause }) => {
            let again = next_of(MAX_REST_ATTEMPTS, *attempt, *cause).map(|attempt| AfterResume::AskAgain { attempt });
            let_trade(state, target, again.unwrap_or(AfterResume::Refuse), why)
        }
        (Phase::Snapshotting { target }, Event::SnapshotTaken) => match &state.waiting {
            Some(_) => call_off(state, target),
            None => enter(state, Phase::Armed { target: target.clone() }, "ready; from here it commits or goes back"),
        },
        (Phase::Snapshotting { target }, Event::SnapshotFailed { why }) if trades(state) => {
            let_trade(state, target, AfterResume::Refuse, why)
        }
        (Phase::Preflight { .. }, Event::PreflightFailed { why })
        | (Phase::Unpacking { .. }, Event::StageFailed { why })
        | (Phase::Snapshotting { .. }, Event::SnapshotFailed { why }) => refuse(state, why),
        (Phase::Resuming { target, then }, Event::Resumed) => match (&state.waiting, then) {
            (Some(waiting), _) => accept(&State { waiting: None, ..state.clone() }, waiting),
            (None, AfterResume::AskAgain { attempt }) => {
                let phase = Phase::Quiescing { target: target.clone(), attempt: *attempt };
                enter(state, phase, &state.detail)
            }
            (None, AfterResume::Refuse) => refuse(state, &state.detail),
        },
        (Phase::Resuming { .. }, Event::ResumeFailed { why }) => {
            hold(state, &format!("{}; the bot could not be made to trade again: {why}", state.detail))
        }
        _ => return None,
    })
}

/// Whether there is a bot that trades: it would have to come to rest, and to trade again.
fn trades(state: &State) -> bool {
    state.running.is_some() && state.held.is_none()
}

fn snapshot(state: &State, target: &ReleaseRef) -> Stepped {
    enter(state, Phase::Snapshotting { target: target.clone() }, "copies the bot's data")
}

/// A newer goal came before it was too late.
fn call_off(state: &State, target: &ReleaseRef) -> Stepped {
    if trades(state) {
        return let_trade(state, target, AfterResume::Refuse, "called off before anything was changed");
    }
    match &state.waiting {
        Some(waiting) => accept(&State { waiting: None, ..state.clone() }, waiting),
        None => refuse(state, "called off before anything was changed"),
    }
}

fn let_trade(state: &State, target: &ReleaseRef, then: AfterResume, why: &str) -> Stepped {
    enter(state, Phase::Resuming { target: target.clone(), then }, why)
}

fn next_attempt(attempt: u32, cause: Cause) -> Option<u32> {
    next_of(MAX_TRANSFER_ATTEMPTS, attempt, cause)
}

fn next_of(most: u32, attempt: u32, cause: Cause) -> Option<u32> {
    (cause == Cause::Transient && attempt < most).then(|| attempt + 1)
}
