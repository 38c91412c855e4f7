//! Rollouts played through the planner with a fleet that does what hosts do: accept, succeed, fail, vanish, return.
#![expect(clippy::unwrap_used, reason = "tests panic")]

mod failures;
mod fleet;
mod forecasts;
mod gates;
mod pacing;

use std::num::NonZeroU32;
use std::time::Duration;

use fleet::Fleet;
use flota_model::Timestamp;
use flota_model::host::Trust;
use flota_model::rollout::{IntentVerb, RolloutState, TargetState};
use flota_model::update::UpdatePhase;

#[test]
fn a_good_release_goes_canary_first_and_then_everywhere() {
    let mut fleet = Fleet::new(5, 1, 2);
    fleet.plan();
    assert_eq!(fleet.started(), [0], "only the canary");
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.started(), [1, 2], "then the first wave");
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.started(), [2], "its second half does not begin before all of it is through");
    fleet.succeed(2);
    fleet.plan();
    assert_eq!(fleet.started(), [3, 4]);
    fleet.succeed(3);
    fleet.succeed(4);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Succeeded);
}

#[test]
fn a_failing_canary_halts_it_and_leaves_the_others_untouched() {
    let mut fleet = Fleet::new(5, 1, 4);
    fleet.plan();
    fleet.fail(0, UpdatePhase::RolledBack, "bot is sick");
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    assert!(fleet.started().is_empty());
    assert_eq!(fleet.never_asked(), [1, 2, 3, 4]);
    fleet.plan_is_a_fixed_point();
}

#[test]
fn accepting_the_failure_lets_it_go_on_and_end_with_exceptions() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.fail(0, UpdatePhase::RolledBack, "bot is sick");
    fleet.plan();
    fleet.intent.accepted_failures = 1;
    fleet.plan();
    assert_eq!(fleet.started(), [1, 2], "a person accepted that the canary says nothing");
    fleet.succeed(1);
    fleet.succeed(2);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::SucceededWithExceptions);
}

#[test]
fn a_wave_in_which_nobody_succeeds_halts_it_below_the_limit_too() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.spec.max_failures = NonZeroU32::new(2).unwrap();
    fleet.plan();
    fleet.fail(0, UpdatePhase::Refused, "no space");
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted, "no data is not success");
    assert_eq!(fleet.never_asked(), [1, 2]);
    fleet.plan_is_a_fixed_point();
}

#[test]
fn a_failure_without_words_still_has_a_reason() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.fail(0, UpdatePhase::SafeHold, "");
    fleet.plan();
    assert!(fleet.reason(0).contains("the host gave no reason"), "{}", fleet.reason(0));
    assert_eq!(fleet.state(), RolloutState::Halted);
}

#[test]
fn a_quote_of_a_host_that_is_not_trusted_confirms_nothing() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.trust(0, Trust::Drifted);
    fleet.succeed(0);
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Confirming { .. }));
    assert_eq!(fleet.never_asked(), [1]);
}

#[test]
fn a_host_that_gets_nowhere_stays_lost_until_it_ends() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.work(0, UpdatePhase::Downloading);
    fleet.plan();
    fleet.later(flota_planner::APPLY_WITHIN);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    fleet.plan_is_a_fixed_point();
    fleet.work(0, UpdatePhase::Probation);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted, "progress is not success");
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Running);
}

#[test]
fn silence_before_the_controller_listened_says_nothing() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.silence(0);
    fleet.later(flota_planner::DARK_AFTER);
    fleet.controller_starts();
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Running);
    fleet.later(flota_planner::DARK_AFTER);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
}

#[test]
fn an_abort_takes_back_what_is_not_armed_yet() {
    let mut fleet = Fleet::new(1, 1, 1);
    fleet.plan();
    fleet.work(0, UpdatePhase::Downloading);
    fleet.plan();
    fleet.intent.verb = IntentVerb::Abort;
    fleet.plan();
    assert!(fleet.wants_to_stay(0));
    fleet.hear_withdrawal(0);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Aborted);
    assert_eq!(fleet.target(0), TargetState::Skipped);
}

#[test]
fn a_claimed_success_counts_only_when_a_quote_confirms_it() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.claim(0);
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Confirming { .. }));
    assert_eq!(fleet.never_asked(), [1]);
    fleet.later(flota_planner::CONFIRM_WITHIN);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted, "silence of the TPM is a failure");
    fleet.confirm(0);
    fleet.plan();
    assert_eq!(fleet.target(0), TargetState::Committed, "a late quote mends it");
}

#[test]
fn a_dead_canary_halts_after_the_dark_time_and_keeps_its_slot() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.silence(0);
    fleet.later(Duration::from_mins(19));
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Running);
    fleet.later(Duration::from_mins(2));
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Lost { .. }));
    assert_eq!(fleet.state(), RolloutState::Halted);
    fleet.return_of(0);
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Running, "it came back and succeeded");
}

#[test]
fn offers_that_nobody_accepted_are_taken_back_by_a_pause() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.silence(0);
    fleet.intent.verb = IntentVerb::Pause;
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Withdrawing { .. }));
    fleet.return_of(0);
    fleet.hear_withdrawal(0);
    fleet.plan();
    assert_eq!(fleet.target(0), TargetState::Pending);
    fleet.intent.verb = IntentVerb::Run;
    fleet.plan();
    assert_eq!(fleet.started(), [0], "and it starts again on resume, with a newer generation");
}

#[test]
fn an_abort_does_not_wait_for_a_host_that_is_away() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.silence(0);
    fleet.intent.verb = IntentVerb::Abort;
    fleet.plan();
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Aborted);
    assert!(fleet.wants_to_stay(0), "its desired state says stay, for when it returns");
}

#[test]
fn an_abort_waits_for_a_host_that_is_past_the_point_of_no_return() {
    let mut fleet = Fleet::new(1, 1, 1);
    fleet.plan();
    fleet.work(0, UpdatePhase::Switching);
    fleet.plan();
    fleet.intent.verb = IntentVerb::Abort;
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Aborting);
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Aborted);
    assert_eq!(fleet.target(0), TargetState::Committed);
}

#[test]
fn an_untrusted_host_is_deferred_with_its_reason_and_started_when_mended() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.trust(1, Trust::Drifted);
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.target(1), TargetState::Deferred);
    assert!(fleet.reason(1).contains("attestation is drifted"), "{}", fleet.reason(1));
    assert_eq!(fleet.state(), RolloutState::Running);
    fleet.trust(1, Trust::Trusted);
    fleet.plan();
    assert_eq!(fleet.started(), [1]);
}

#[test]
fn a_wave_bakes_before_the_next_begins() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.spec.bake = Duration::from_mins(1);
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert!(fleet.started().is_empty());
    assert!(fleet.reason(1).contains("bakes until"), "{}", fleet.reason(1));
    fleet.plan_is_a_fixed_point();
    fleet.later(Duration::from_mins(1));
    fleet.plan();
    assert_eq!(fleet.started(), [1]);
}

#[test]
fn a_host_that_the_signed_waves_have_not_reached_is_no_failure_and_is_started_when_they_do() {
    let mut fleet = Fleet::new(2, 1, 1);
    let hour = Duration::from_hours(1);
    for target in fleet.spec.targets.values_mut().filter(|target| target.wave == 1) {
        target.not_before = Some(Timestamp::from_micros(0).plus(hour));
    }
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!((fleet.target(1), fleet.state()), (TargetState::Deferred, RolloutState::Running));
    assert!(fleet.reason(1).contains("waves reach it at"), "{}", fleet.reason(1));
    fleet.plan_is_a_fixed_point();
    fleet.later(hour);
    fleet.plan();
    assert_eq!(fleet.started(), [1]);
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Succeeded);
}

#[test]
fn hosts_that_run_it_already_are_done_without_being_touched() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.already_runs(0);
    fleet.already_runs(1);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Succeeded);
    assert_eq!(fleet.never_asked(), [0, 1]);
}
