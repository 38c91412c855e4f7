use flota_model::release::ReleaseRef;
use flota_model::update::{DesiredState, Direction, Goal, UpdatePhase};
use flota_model::{Digest, Generation, RolloutId};

use super::*;

fn release(version: &str) -> ReleaseRef {
    ReleaseRef { digest: Digest::of(version.as_bytes()), version: version.to_owned(), size: 1 }
}

fn install(generation: u64, version: &str) -> Event {
    let goal = Goal::Install { release: release(version), intent: Direction::Forward };
    desired(generation, goal)
}

fn desired(generation: u64, goal: Goal) -> Event {
    Event::Desired(DesiredState { generation: Generation::new(generation).unwrap(), goal, rollout: RolloutId::new(1) })
}

fn why(text: &str) -> String {
    text.to_owned()
}

/// A host that runs 1.0.
fn host() -> State {
    State::new(Some((&release("1.0")).into()))
}

fn after(state: &State, events: &[Event]) -> State {
    events.iter().fold(state.clone(), |state, event| step(&state, event).unwrap().0)
}

fn restarted(state: &State) -> Event {
    Event::Restarted { current: state.running().cloned() }
}

/// From an accepted goal to the point where a bot that trades is asked to come to rest. Without one it is armed.
fn to_export() -> [Event; 7] {
    use Event::{Downloaded, Exported, PreflightPassed, Proceed, Staged, Verified};
    [Proceed, Verified, PreflightPassed, Downloaded, Staged, Proceed, Exported]
}

fn armed(state: &State, goal: Event) -> State {
    let exported = after(&after(state, &[goal]), &to_export());
    match exported.phase() {
        Phase::Quiescing { .. } => after(&exported, &[Event::Quiesced, Event::SnapshotTaken]),
        _ => after(&exported, &[Event::SnapshotTaken]),
    }
}

fn phase(state: &State) -> UpdatePhase {
    report(state).phase
}

#[test]
fn an_update_that_goes_well_passes_every_stage_once() {
    use UpdatePhase::{Armed, Committed, Downloading, Exporting, Offered, Preflight, Probation, Staged, Switching};
    let mut state = host();
    let mut phases = Vec::new();
    let events = [install(1, "2.0")].into_iter().chain(to_export());
    let rest = [Event::Quiesced, Event::SnapshotTaken];
    for event in events.chain(rest).chain([Event::Proceed, Event::Switched, Event::Healthy, Event::Soaked]) {
        state = after(&state, &[event]);
        phases.push(phase(&state));
    }
    phases.dedup();
    let ready = [Staged, Exporting, Staged];
    let expected = [&[Offered, Preflight, Downloading], &ready[..], &[Armed, Switching, Probation, Committed]].concat();
    assert_eq!(phases, expected);
    assert_eq!(state.running().unwrap().version, "2.0");
    assert_eq!(state.previous().unwrap().version, "1.0");
    assert_eq!(
        resume(&state).last(),
        Some(&Effect::Cleanup { keep: vec![release("2.0").digest, release("1.0").digest] })
    );
}

#[test]
fn generations_are_sorted_before_anything_else() {
    let state = after(&host(), &[install(5, "2.0")]);
    let older = Rejected::Stale { have: Generation::new(5).unwrap(), got: Generation::new(4).unwrap() };
    assert_eq!(step(&state, &install(4, "3.0")), Err(older));
    let conflict = Rejected::Conflict { generation: Generation::new(5).unwrap() };
    assert_eq!(step(&state, &install(5, "3.0")), Err(conflict.clone()));
    assert_eq!(step(&state, &desired(5, Goal::Stay)), Err(conflict));
    assert_eq!(step(&state, &install(5, "2.0")), Ok((state.clone(), Vec::new())));
}

#[test]
fn stay_cancels_what_is_not_armed_and_a_newer_goal_takes_its_place() {
    let mut state = after(&host(), &[install(1, "2.0")]);
    for event in to_export() {
        let stayed = after(&state, &[desired(2, Goal::Stay)]);
        assert_eq!(phase(&stayed), UpdatePhase::Committed);
        assert_eq!((stayed.running(), report(&stayed).generation), (host().running(), Generation::new(2)));
        let other = after(&state, &[install(2, "3.0")]);
        assert_eq!((phase(&other), other.phase().target().unwrap().version.as_str()), (UpdatePhase::Offered, "3.0"));
        state = after(&state, &[event]);
    }
    assert!(matches!(state.phase(), Phase::Quiescing { .. }));
}

/// A host whose bot was asked to come to rest before 2.0.
fn quiescing() -> State {
    after(&after(&host(), &[install(1, "2.0")]), &to_export())
}

fn not_at_rest(cause: Cause) -> Event {
    Event::QuiesceFailed { why: why("an open position"), cause }
}

#[test]
fn a_newer_goal_is_taken_up_when_the_bot_trades_again() {
    let late = after(&quiescing(), &[desired(2, Goal::Stay)]);
    assert!(report(&late).detail.contains("generation 2 waits"), "{}", report(&late).detail);
    for ended in [Event::Quiesced, not_at_rest(Cause::Transient), not_at_rest(Cause::Permanent)] {
        let (resuming, effects) = step(&late, &ended).unwrap();
        assert!(effects.contains(&Effect::Resume), "{ended:?}: never armed");
        let stayed = after(&resuming, &[Event::Resumed]);
        assert_eq!((phase(&stayed), report(&stayed).generation), (UpdatePhase::Committed, Generation::new(2)));
    }
}

#[test]
fn a_bot_that_does_not_come_to_rest_trades_on_and_is_asked_again_as_long_as_it_may_help() {
    let (resuming, effects) = step(&quiescing(), &not_at_rest(Cause::Transient)).unwrap();
    assert!(effects.contains(&Effect::Resume), "between two questions it trades");
    let (again, effects) = step(&resuming, &Event::Resumed).unwrap();
    assert!(effects.contains(&Effect::Quiesce { attempt: 2 }));
    assert!(report(&again).detail.contains("an open position"), "{}", report(&again).detail);
    let refused = after(&again, &[not_at_rest(Cause::Permanent), Event::Resumed]);
    assert_eq!((phase(&refused), refused.running()), (UpdatePhase::Refused, host().running()));
    let mut asked = quiescing();
    for _ in 0..MAX_REST_ATTEMPTS {
        asked = after(&asked, &[not_at_rest(Cause::Transient), Event::Resumed]);
    }
    assert_eq!(phase(&asked), UpdatePhase::Refused);
}

#[test]
fn data_that_cannot_be_copied_leave_everything_as_it_was() {
    let full = Event::SnapshotFailed { why: why("no space left") };
    let refused = after(&quiescing(), &[Event::Quiesced, full.clone(), Event::Resumed]);
    assert_eq!((phase(&refused), refused.running()), (UpdatePhase::Refused, host().running()));
    assert!(report(&refused).detail.contains("no space left"), "{}", report(&refused).detail);
    // Without a bot there is none to let trade.
    let first = after(&after(&State::new(None), &[install(1, "2.0")]), &to_export());
    assert_eq!(phase(&after(&first, &[full])), UpdatePhase::Refused);
}

#[test]
fn a_bot_that_cannot_be_made_to_trade_again_is_for_people() {
    let stuck = Event::ResumeFailed { why: why("it does not start") };
    let held = after(&quiescing(), &[not_at_rest(Cause::Permanent), stuck, Event::BotStopped]);
    assert_eq!((phase(&held), report(&held).running), (UpdatePhase::SafeHold, None));
    assert!(report(&held).detail.contains("it does not start"), "{}", report(&held).detail);
}

#[test]
fn what_comes_after_the_point_of_no_return_waits_and_only_the_newest_of_it() {
    let state = armed(&host(), install(1, "2.0"));
    let state = after(&state, &[install(2, "3.0"), Event::Proceed, desired(3, Goal::Stay), Event::Switched]);
    assert_eq!(report(&state).generation, Generation::new(1), "the report is of what is worked on");
    assert!(report(&state).detail.contains("generation 3 waits"), "{}", report(&state).detail);
    assert!(matches!(step(&state, &install(2, "3.0")), Err(Rejected::Stale { .. })));
    let state = after(&state, &[Event::Healthy, Event::Soaked]);
    assert_eq!((phase(&state), report(&state).generation), (UpdatePhase::Committed, Generation::new(1)));
    assert_eq!(resume(&state).last(), Some(&Effect::Proceed));
    let state = after(&state, &[Event::Proceed]);
    assert_eq!((phase(&state), report(&state).generation), (UpdatePhase::Committed, Generation::new(3)));
    assert_eq!(state.running().unwrap().version, "2.0", "staying is no way back");
}

#[test]
fn what_runs_already_is_committed_at_once() {
    let (state, effects) = step(&host(), &install(1, "1.0")).unwrap();
    assert_eq!((phase(&state), report(&state).generation), (UpdatePhase::Committed, Generation::new(1)));
    assert!(effects.iter().all(|effect| !effect.is_work()));
}

#[test]
fn an_unhealthy_release_is_left_and_never_tried_again() {
    let state = armed(&host(), install(1, "2.0"));
    let state = after(&state, &[Event::Proceed, Event::Switched, Event::Unhealthy { why: why("it trades backwards") }]);
    assert_eq!(phase(&state), UpdatePhase::RollingBack);
    let state = after(&state, &[Event::SwitchedBack, Event::FallbackHealthy]);
    assert_eq!((phase(&state), state.running()), (UpdatePhase::RolledBack, host().running()));
    for intent in [Direction::Forward, Direction::Back] {
        let again = desired(2, Goal::Install { release: release("2.0"), intent });
        let refused = after(&state, &[again]);
        assert_eq!(phase(&refused), UpdatePhase::Refused);
        let detail = report(&refused).detail;
        assert!(detail.contains("it trades backwards"), "{detail}");
        assert_eq!(detail.contains("rollback of the fleet"), intent == Direction::Back, "{detail}");
    }
}

#[test]
fn crashes_use_up_attempts_and_then_the_host_goes_back() {
    let mut state = after(&armed(&host(), install(1, "2.0")), &[Event::Proceed]);
    for attempt in 2..=MAX_SWITCH_ATTEMPTS {
        let (next, effects) = step(&state, &restarted(&state)).unwrap();
        assert!(effects.contains(&Effect::Switch { to: release("2.0").digest, attempt }));
        state = after(&next, &[Event::Switched]);
    }
    let state = after(&state, &[restarted(&state)]);
    assert_eq!(phase(&state), UpdatePhase::RollingBack);
    assert!(state.denied().contains_key(&release("2.0").digest));
}

#[test]
fn a_first_release_that_fails_leaves_nothing_running() {
    let state = armed(&State::new(None), install(1, "2.0"));
    let (state, effects) =
        step(&after(&state, &[Event::Proceed]), &Event::SwitchFailed { why: why("no such file") }).unwrap();
    assert!(effects.contains(&Effect::SwitchBack { to: None, snapshot: Generation::new(1) }));
    let state = after(&state, &[Event::SwitchedBack]);
    assert_eq!((phase(&state), report(&state).running), (UpdatePhase::RolledBack, None));
}

#[test]
fn safe_hold_ends_only_with_a_healthy_release() {
    let sick = Event::Unhealthy { why: why("sick") };
    let state = after(&armed(&host(), install(1, "2.0")), &[Event::Proceed, Event::Switched, sick.clone()]);
    let sick_too = Event::FallbackUnhealthy { why: why("sick too") };
    let state = after(&state, &[Event::SwitchedBack, sick_too, install(2, "3.0"), Event::BotStopped]);
    assert_eq!((phase(&state), report(&state).running), (UpdatePhase::SafeHold, None));
    assert_eq!(resume(&state).last(), Some(&Effect::Proceed), "a goal that came meanwhile is taken up");
    let state = after(&state, &[Event::Proceed]);
    assert_eq!(phase(&state), UpdatePhase::Offered);

    let stayed = after(&state, &[desired(3, Goal::Stay)]);
    assert_eq!(phase(&stayed), UpdatePhase::SafeHold);
    let refused = after(&state, &[Event::Proceed, Event::Verified, Event::PreflightFailed { why: why("disk full") }]);
    assert_eq!(phase(&refused), UpdatePhase::SafeHold);
    assert!(report(&refused).detail.contains("disk full"), "{}", report(&refused).detail);
    let failed = after(
        &after(&state, &to_export()),
        &[Event::SnapshotTaken, Event::Proceed, Event::Switched, sick, Event::SwitchedBack],
    );
    assert_eq!(phase(&failed), UpdatePhase::SafeHold);

    // The release that ran before may be the cure, once people mended the host.
    let mended = armed(&stayed, install(4, "1.0"));
    let mended = after(&mended, &[Event::Proceed, Event::Switched, Event::Healthy, Event::Soaked]);
    assert_eq!((phase(&mended), mended.running()), (UpdatePhase::Committed, host().running()));
    assert_eq!(phase(&after(&mended, &[desired(5, Goal::Stay)])), UpdatePhase::Committed);
}

#[test]
fn transfers_are_tried_again_as_long_as_it_may_help() {
    let fetching = after(&host(), &[install(1, "2.0"), Event::Proceed, Event::Verified, Event::PreflightPassed]);
    let cut = Event::DownloadFailed { why: why("connection lost"), cause: Cause::Transient };
    let (retried, effects) = step(&fetching, &cut).unwrap();
    assert!(effects.contains(&Effect::Download { release: release("2.0"), attempt: 2 }));
    let gone = Event::DownloadFailed { why: why("no such blob"), cause: Cause::Permanent };
    assert_eq!(phase(&after(&retried, &[gone])), UpdatePhase::Refused);
    let mut given_up = fetching;
    for _ in 0..MAX_TRANSFER_ATTEMPTS {
        given_up = after(&given_up, std::slice::from_ref(&cut));
    }
    assert_eq!(phase(&given_up), UpdatePhase::Refused);
}

#[test]
fn a_current_that_other_hands_moved_is_what_runs() {
    let moved = Event::Restarted { current: Some((&release("0.9")).into()) };
    let state = after(&host(), &[moved]);
    assert_eq!(report(&state).version, "0.9");
    let under_way = after(&host(), &[install(1, "2.0")]);
    let unmoved = after(&under_way, &[Event::Restarted { current: None }]);
    assert_eq!(unmoved, under_way, "an update under way knows better what it did");
}

#[test]
fn a_state_reads_back_from_json() {
    let sick = Event::Unhealthy { why: why("sick") };
    let mut state =
        after(&armed(&host(), install(1, "2.0")), &[Event::Proceed, Event::Switched, sick, install(2, "3")]);
    for _ in 0..2 {
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
        state = State::new(None);
    }
}

#[test]
fn a_sentence_of_any_length_is_cut() {
    let endless = Event::PreflightFailed { why: "ż".repeat(100_000) };
    let state = after(&host(), &[install(1, "2.0"), Event::Proceed, Event::Verified, endless]);
    assert_eq!(report(&state).detail.chars().count(), 500);
}
