//! Any sequence of goals, outcomes and crashes, on a model of a host, keeps the promises of the machine.

use std::collections::{BTreeMap, BTreeSet};

use flota_engine::{Cause, Effect, Event, Installed, Phase, Rejected, State, report, resume, step};
use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal};
use flota_model::{Digest, Generation, RolloutId};
use proptest::prelude::*;

/// One thing that happens next.
#[derive(Debug, Clone)]
enum Move {
    /// The effect under way ends like this.
    Outcome(Luck),
    /// The controller speaks: so many generations after the newest it used (or before it, or the same).
    Want { ahead: i8, goal: Option<u8>, back: bool },
    /// The agent dies before or after the state was written down; its effect may have happened or not.
    Crash { effect_done: bool },
}

#[derive(Debug, Clone, Copy)]
enum Luck {
    Good,
    Bad(Cause),
}

/// A host as it really is, and all that was seen of it.
struct Host {
    state: State,
    work: Option<Effect>,
    current: Option<Digest>,
    /// The bot was asked to come to rest, and has not been let trade or started since.
    resting: bool,
    /// Nothing runs that could trade: no release, or safe-hold.
    no_bot: bool,
    newest: u64,
    terminal: BTreeMap<Generation, u32>,
    committed: BTreeSet<Digest>,
}

impl Host {
    fn new(running: Option<Installed>) -> Self {
        let current = running.as_ref().map(|installed| installed.digest);
        let committed = current.into_iter().collect();
        let first_is_none = current.is_none();
        let (state, terminal) = (State::new(running), BTreeMap::new());
        Self { state, work: None, current, resting: false, no_bot: first_is_none, newest: 0, terminal, committed }
    }

    fn apply(&mut self, event: &Event) -> Result<(), Rejected> {
        let before = self.state.clone();
        let (state, effects) = step(&before, event)?;
        let changed = state != before;
        assert_eq!(state.sequence() - before.sequence(), u64::from(changed), "one change, one number");
        let generation = |state: &State| report(state).generation;
        assert!(generation(&state) >= generation(&before), "a generation was taken back");
        assert!(effects.iter().filter(|effect| effect.is_work()).count() <= 1, "two things at once: {effects:?}");
        let entered = state.phase() != before.phase() || generation(&state) != generation(&before);
        if entered
            && changed
            && state.phase().is_rest()
            && let Some(generation) = generation(&state)
        {
            assert!(state.phase().public().is_terminal(), "rest is an end");
            *self.terminal.entry(generation).or_default() += 1;
        }
        if let Some(running) = report(&state).running {
            let on_trial = |state: &State| state.phase().target().is_some_and(|target| target.digest == running);
            let known = self.committed.contains(&running) || on_trial(&before) || on_trial(&state);
            assert!(known, "runs what it never had");
        }
        self.state = state;
        match self.state.phase() {
            Phase::Committed | Phase::RolledBack => self.no_bot = self.state.running().is_none(),
            Phase::SafeHold { .. } => self.no_bot = true,
            _ => {}
        }
        if effects.iter().any(|effect| matches!(effect, Effect::Cleanup { .. })) {
            self.work = None;
        }
        if self.state.phase().is_rest() && changed {
            self.committed.extend(self.state.running().map(|installed| installed.digest));
            let named = self.state.running().map(|installed| installed.digest);
            assert!(named.is_none() || named == self.current, "at rest, and `current` is another");
            assert!(named.is_none() || !self.resting, "the update is over, and the bot does not trade");
        }
        for effect in effects.into_iter().filter(Effect::is_work) {
            if let Effect::Switch { to, .. } | Effect::SwitchBack { to: Some(to), .. } = &effect {
                assert!(!self.state.denied().contains_key(to), "a release that was given up is started");
            }
            if let Effect::Switch { attempt: 1, .. } = &effect {
                let was_armed = matches!(before.phase(), Phase::Armed { .. });
                assert!(was_armed, "switched without being armed");
                assert!(self.resting || self.no_bot, "a bot that trades is taken away");
            }
            if matches!(effect, Effect::Quiesce { .. }) {
                // A bot that is asked may come to rest by half, whatever it answers.
                self.resting = true;
            }
            self.work = Some(effect);
        }
        Ok(())
    }

    /// What the effect under way does to the host.
    fn happen(&mut self) {
        match self.work {
            Some(Effect::Switch { to, .. }) => self.current = Some(to),
            Some(Effect::SwitchBack { to, .. }) => self.current = to,
            _ => {}
        }
        if let Some(Effect::Switch { .. } | Effect::SwitchBack { .. } | Effect::Resume | Effect::StopBot) = self.work {
            self.resting = false;
        }
    }

    fn end(&mut self, luck: Luck) {
        let Some(work) = self.work.clone() else { return };
        if matches!(luck, Luck::Good) {
            self.happen();
        }
        self.work = None;
        self.apply(&outcome(&work, luck)).unwrap_or_else(|rejected| panic!("{rejected}"));
    }

    fn crash(&mut self, effect_done: bool) {
        if effect_done {
            self.happen();
        }
        self.work = None;
        let current = self.current.map(|digest| Installed { digest, version: String::new() });
        self.apply(&Event::Restarted { current }).unwrap_or_else(|rejected| panic!("{rejected}"));
    }

    fn want(&mut self, ahead: i8, goal: Option<u8>, back: bool) {
        let number = self.newest.saturating_add_signed(ahead.into());
        let Some(generation) = Generation::new(number) else { return };
        let intent = if back { Direction::Back } else { Direction::Forward };
        let goal = goal.map_or(Goal::Stay, |name| Goal::Install { release: release(name), intent });
        let desired = DesiredState { generation, goal, rollout: RolloutId::new(1) };
        let outcome = self.apply(&Event::Desired(desired));
        match outcome {
            Ok(()) => self.newest = self.newest.max(number),
            Err(Rejected::Stale { .. }) => assert!(number < self.newest),
            Err(Rejected::Conflict { .. }) => assert_eq!(number, self.newest),
            Err(rejected @ Rejected::Unexpected { .. }) => panic!("{rejected}"),
        }
    }
}

fn release(name: u8) -> ReleaseRef {
    ReleaseRef { digest: Digest::of(&[name]), version: format!("{name}.0"), size: 1 }
}

fn outcome(work: &Effect, luck: Luck) -> Event {
    let why = "bad luck".to_owned();
    match (work, luck) {
        (Effect::Proceed, _) => Event::Proceed,
        (Effect::Verify { .. }, Luck::Good) => Event::Verified,
        (Effect::Verify { .. }, Luck::Bad(cause)) => Event::VerifyFailed { why, cause },
        (Effect::Preflight { .. }, Luck::Good) => Event::PreflightPassed,
        (Effect::Preflight { .. }, Luck::Bad(_)) => Event::PreflightFailed { why },
        (Effect::Download { .. }, Luck::Good) => Event::Downloaded,
        (Effect::Download { .. }, Luck::Bad(cause)) => Event::DownloadFailed { why, cause },
        (Effect::Stage(_), Luck::Good) => Event::Staged,
        (Effect::Stage(_), Luck::Bad(_)) => Event::StageFailed { why },
        (Effect::Export { .. }, Luck::Good) => Event::Exported,
        (Effect::Export { .. }, Luck::Bad(cause)) => Event::ExportFailed { why, cause },
        (Effect::Quiesce { .. }, Luck::Good) => Event::Quiesced,
        (Effect::Quiesce { .. }, Luck::Bad(cause)) => Event::QuiesceFailed { why, cause },
        (Effect::Snapshot { .. }, Luck::Good) => Event::SnapshotTaken,
        (Effect::Snapshot { .. }, Luck::Bad(_)) => Event::SnapshotFailed { why },
        (Effect::Resume, Luck::Good) => Event::Resumed,
        (Effect::Resume, Luck::Bad(_)) => Event::ResumeFailed { why },
        (Effect::Switch { .. }, Luck::Good) => Event::Switched,
        (Effect::Switch { .. }, Luck::Bad(_)) => Event::SwitchFailed { why },
        (Effect::CheckHealth { .. }, Luck::Good) => Event::Healthy,
        (Effect::CheckHealth { .. }, Luck::Bad(_)) => Event::Unhealthy { why },
        (Effect::Soak { .. }, Luck::Good) => Event::Soaked,
        (Effect::Soak { .. }, Luck::Bad(_)) => Event::SoakFailed { why },
        (Effect::SwitchBack { .. }, Luck::Good) => Event::SwitchedBack,
        (Effect::SwitchBack { .. }, Luck::Bad(_)) => Event::SwitchBackFailed { why },
        (Effect::CheckFallbackHealth { .. }, Luck::Good) => Event::FallbackHealthy,
        (Effect::CheckFallbackHealth { .. }, Luck::Bad(_)) => Event::FallbackUnhealthy { why },
        (Effect::StopBot, Luck::Good) => Event::BotStopped,
        (Effect::StopBot, Luck::Bad(_)) => Event::StopFailed { why },
        (Effect::Cleanup { .. } | Effect::Report, _) => panic!("this is no work"),
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let luck = prop_oneof![
        6 => Just(Luck::Good),
        1 => Just(Luck::Bad(Cause::Permanent)),
        1 => Just(Luck::Bad(Cause::Transient)),
    ];
    let want = (-1..=2_i8, proptest::option::weighted(0.8, 0..5_u8), any::<bool>());
    let one = prop_oneof![
        12 => luck.prop_map(Move::Outcome),
        2 => want.prop_map(|(ahead, goal, back)| Move::Want { ahead, goal, back }),
        1 => any::<bool>().prop_map(|effect_done| Move::Crash { effect_done }),
    ];
    proptest::collection::vec(one, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_breaks_a_promise(first in proptest::option::of(Just(9_u8)), moves in moves()) {
        let mut host = Host::new(first.map(|name| Installed::from(&release(name))));
        for one in moves {
            match one {
                Move::Outcome(luck) => host.end(luck),
                Move::Want { ahead, goal, back } => host.want(ahead, goal, back),
                Move::Crash { effect_done } => host.crash(effect_done),
            }
        }
        // With nothing but good luck, everything ends, in time that is bounded.
        for _ in 0..40 {
            host.end(Luck::Good);
        }
        prop_assert!(host.work.is_none() && host.state.waiting().is_none(), "{:?}", host.state);
        prop_assert!(resume(&host.state).iter().all(|effect| !effect.is_work()));
        prop_assert_eq!(report(&host.state).generation.map_or(0, Generation::number), host.newest);
        prop_assert!(host.terminal.values().all(|times| *times == 1), "{:?}", host.terminal);
        if let Some(accepted) = host.state.accepted() {
            prop_assert!(host.terminal.contains_key(&accepted.generation));
        }
    }
}
