//! What a simulated host makes of a goal: the real engine, over a disk and a bot that are not there.
//!
//! It fetches nothing and makes no security export; whatever it is asked to do succeeds, until its bot is asked how it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::exchange::SimulatedExchange;
use flota_engine::{Effect, Event, Rejected, State, report, step};
use flota_model::update::{DesiredState, UpdateReport};

/// How a host behaves.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Versions whose bot never becomes healthy on it.
    pub sick: BTreeSet<String>,
    /// Versions whose bot is healthy and cannot trade: a health check finds that out, the host's own probation does not.
    pub cut_off: BTreeSet<String>,
    /// How long its bot takes to say how it is.
    pub probation: Duration,
    /// Where it trades.
    pub exchanges: Vec<Arc<SimulatedExchange>>,
}

/// The updates of a host. They outlive its sessions.
#[derive(Debug, Clone)]
pub(super) struct Updates {
    script: Arc<Script>,
    state: Arc<Mutex<State>>,
}

/// What came of something.
#[derive(Debug)]
pub(super) struct Came {
    /// What the controller is told, in this order.
    pub(super) reports: Vec<UpdateReport>,
    /// The bot was asked how it is, and takes its time.
    pub(super) asks_bot: bool,
}

impl Updates {
    pub(super) fn new(script: Script) -> Self {
        Self { script: Arc::new(script), state: Arc::new(Mutex::new(State::new(None))) }
    }

    /// Where the host stands.
    pub(super) fn report(&self) -> UpdateReport {
        report(&self.state())
    }

    /// What a health check finds.
    pub(super) fn health(&self) -> (&'static str, String) {
        let Script { cut_off, exchanges, .. } = &*self.script;
        let cut_off = cut_off.contains(&self.report().version);
        let overall = if cut_off || exchanges.iter().any(|one| one.is_down()) { "unavailable" } else { "healthy" };
        let reports = exchanges.iter().map(|exchange| exchange.report());
        (overall, serde_json::Value::from(reports.collect::<Vec<_>>()).to_string())
    }

    /// How long its bot takes to answer.
    pub(super) fn probation(&self) -> Duration {
        self.script.probation
    }

    /// The controller wants this.
    pub(super) fn want(&self, desired: DesiredState) -> Result<Came, Rejected> {
        self.apply(Event::Desired(desired))
    }

    /// The bot has had its time. Without a question that waits for it, nothing happens.
    pub(super) fn bot_answers(&self) -> Came {
        let target = self.state().phase().target().map(|target| target.version.clone());
        let is_sick = target.is_some_and(|version| self.script.sick.contains(&version));
        let why = "the bot is sick, by its script".to_owned();
        let event = match self.asked() {
            Some(Effect::CheckHealth { .. }) if is_sick => Event::Unhealthy { why },
            Some(Effect::CheckHealth { .. }) => Event::Healthy,
            // What ran before is well.
            Some(_) => Event::FallbackHealthy,
            None => return Came { reports: Vec::new(), asks_bot: false },
        };
        self.apply(event).unwrap_or(Came { reports: Vec::new(), asks_bot: false })
    }

    /// Whether the bot was asked and has not answered: of a session before this one.
    pub(super) fn is_asked(&self) -> bool {
        self.asked().is_some()
    }

    fn asked(&self) -> Option<Effect> {
        flota_engine::resume(&self.state()).into_iter().find(asks_bot)
    }

    /// The event, and all that follows from it at once.
    fn apply(&self, event: Event) -> Result<Came, Rejected> {
        let mut state = self.state();
        let (mut came, mut next) = (Came { reports: Vec::new(), asks_bot: false }, Some(event));
        while let Some(event) = next.take() {
            let (entered, effects) = step(&state, &event)?;
            *state = entered;
            // As a watched value is told: the newest of each phase.
            let told = report(&state);
            match came.reports.last_mut().filter(|last| last.phase == told.phase) {
                Some(last) => *last = told,
                None => came.reports.push(told),
            }
            let work = effects.into_iter().find(Effect::is_work);
            came.asks_bot = work.as_ref().is_some_and(asks_bot);
            next = work.as_ref().and_then(succeeds);
        }
        Ok(came)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A state is replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asks_bot(effect: &Effect) -> bool {
    matches!(effect, Effect::CheckHealth { .. } | Effect::CheckFallbackHealth { .. })
}

/// How an effect ends that needs no time; none for those that ask the bot.
fn succeeds(effect: &Effect) -> Option<Event> {
    Some(match effect {
        Effect::Proceed => Event::Proceed,
        Effect::Verify { .. } => Event::Verified,
        Effect::Preflight { .. } => Event::PreflightPassed,
        Effect::Download { .. } => Event::Downloaded,
        Effect::Stage(_) => Event::Staged,
        Effect::Export { .. } => Event::Exported,
        Effect::Quiesce { .. } => Event::Quiesced,
        Effect::Snapshot { .. } => Event::SnapshotTaken,
        Effect::Resume => Event::Resumed,
        Effect::Switch { .. } => Event::Switched,
        Effect::Soak { .. } => Event::Soaked,
        Effect::SwitchBack { .. } => Event::SwitchedBack,
        Effect::StopBot => Event::BotStopped,
        Effect::CheckHealth { .. } | Effect::CheckFallbackHealth { .. } | Effect::Cleanup { .. } | Effect::Report => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use flota_model::release::ReleaseRef;
    use flota_model::update::{Direction, Goal, UpdatePhase};
    use flota_model::{Digest, Generation, RolloutId};

    use super::*;

    fn install(generation: u64, version: &str) -> DesiredState {
        let release = ReleaseRef { digest: Digest::of(version.as_bytes()), version: version.into(), size: 1 };
        let (generation, rollout) = (Generation::new(generation).unwrap(), RolloutId::new(1));
        DesiredState { generation, goal: Goal::Install { release, intent: Direction::Forward }, rollout }
    }

    #[test]
    fn a_host_goes_through_every_phase_and_answers_for_its_bot() {
        let script = Script { sick: BTreeSet::from(["2.0".to_owned()]), ..Script::default() };
        let host = Updates::new(script);
        let came = host.want(install(1, "1.0")).unwrap();
        assert!(came.asks_bot && host.is_asked());
        assert_eq!(came.reports.last().unwrap().phase, UpdatePhase::Probation);
        assert!(came.reports.is_sorted_by_key(|report| report.sequence));
        host.bot_answers();
        assert_eq!((host.report().phase, host.report().version.as_str()), (UpdatePhase::Committed, "1.0"));
        assert!(host.want(install(2, "2.0")).unwrap().asks_bot);
        assert!(host.bot_answers().asks_bot, "the release before is asked next");
        host.bot_answers();
        assert_eq!((host.report().phase, host.report().version.as_str()), (UpdatePhase::RolledBack, "1.0"));
        assert!(host.bot_answers().reports.is_empty(), "nobody asks");
        host.want(install(1, "1.0")).unwrap_err();
    }
}
