//! Gates, approvals, pauses, deadlines, freezes, single hosts, late joiners.

use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::freeze::Freeze;
use flota_model::rollout::{Gates, HealthGate, IntentVerb, PauseAfter, Percent, RolloutState, TargetState, Urgency};
use flota_model::update::UpdatePhase;
use flota_model::{RolloutId, Timestamp};

use crate::fleet::Fleet;

fn percent(number: u32) -> Percent {
    Percent::try_from(number).unwrap()
}

fn failures(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[test]
fn nothing_starts_before_enough_persons_have_approved() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.spec.approvals = 2;
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::AwaitingApproval, vec![]));
    fleet.approvers.push("piotr".into());
    fleet.plan();
    assert_eq!(fleet.cause(), "2 approvals are needed, given by piotr");
    assert_eq!(fleet.reason(0), fleet.cause());
    fleet.plan_is_a_fixed_point();
    fleet.approvers.push("ola".into());
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Running, vec![0]));
    // It was changed: what had been approved is another rollout.
    fleet.approvers.clear();
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::AwaitingApproval);
    assert!(fleet.started().is_empty() && fleet.wants_to_stay(0));
}

#[test]
fn a_wave_passes_only_when_enough_of_it_succeeded() {
    let mut fleet = Fleet::new(7, 1, 5);
    fleet.spec.max_failures = failures(3);
    fleet.spec.gates = Gates { min_success: percent(80), ..Gates::default() };
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    for index in 1..=3 {
        fleet.succeed(index);
    }
    for index in 4..=5 {
        fleet.fail(index, UpdatePhase::RolledBack, "sick");
    }
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    assert!(fleet.cause().starts_with("3 of 5 of wave 1 succeeded, 80 % are needed"), "{}", fleet.cause());
    assert_eq!(fleet.never_asked(), [6]);
    fleet.plan_is_a_fixed_point();
    fleet.intent.accepted_failures = 2;
    fleet.plan();
    assert_eq!(fleet.started(), [6]);
}

#[test]
fn a_share_of_failures_halts_it_once_ten_have_ended() {
    let mut fleet = Fleet::new(40, 1, 20);
    fleet.spec.max_failures = failures(30);
    fleet.spec.gates = Gates { max_failure_rate: Some(percent(20)), ..Gates::default() };
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    fleet.fail(1, UpdatePhase::RolledBack, "sick");
    fleet.fail(2, UpdatePhase::RolledBack, "sick");
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Running, "two of three say nothing yet");
    for index in 3..=9 {
        fleet.succeed(index);
    }
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    assert!(fleet.cause().starts_with("2 of 10 that have ended failed, the limit is 20 %"), "{}", fleet.cause());
}

#[test]
fn stragglers_do_not_hold_a_wave_up_once_enough_of_it_have_ended() {
    let mut fleet = Fleet::new(6, 1, 4);
    fleet.spec.gates = Gates { min_coverage: percent(75), min_sample: failures(2), ..Gates::default() };
    for index in 3..=4 {
        fleet.silence(index);
    }
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    fleet.succeed(1);
    fleet.succeed(2);
    fleet.plan();
    assert_eq!(fleet.never_asked(), [3, 4, 5], "half of the wave is too little");
    assert!(fleet.cause().contains("2 of 4 have ended, 2 and 75 % are needed; 2 wait"), "{}", fleet.cause());
    fleet.return_of(3);
    fleet.plan();
    fleet.succeed(3);
    fleet.plan();
    assert_eq!(fleet.started(), [5], "without the one that is away");
    fleet.succeed(5);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.cause()), (RolloutState::Running, "every wave has passed; 1 straggler waits"));
    fleet.return_of(4);
    fleet.plan();
    assert_eq!(fleet.started(), [4]);
    fleet.succeed(4);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Succeeded);
}

#[test]
fn success_needs_a_health_check_after_the_quote_and_no_data_pauses() {
    let mut fleet = Fleet::new(3, 1, 1);
    fleet.spec.gates.health = HealthGate::Asked;
    fleet.health(0, true);
    fleet.later(Duration::from_secs(1));
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Checking { .. }), "what was before does not count");
    fleet.later(flota_planner::CHECK_WITHIN);
    fleet.plan();
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Unknown { .. }));
    assert_eq!(fleet.state(), RolloutState::Inconclusive);
    assert_eq!(fleet.never_asked(), [1, 2]);
    fleet.plan_is_a_fixed_point();
    fleet.intent.wishes.accepted_unknown = 1;
    fleet.plan();
    assert_eq!(fleet.started(), [1], "a person accepted that nothing is known");
    fleet.succeed(1);
    fleet.plan();
    fleet.health(1, false);
    fleet.plan();
    assert!(matches!(fleet.target(1), TargetState::Unhealthy { .. }));
    assert_eq!(fleet.state(), RolloutState::Halted, "it runs the release and cannot trade");
    fleet.later(Duration::from_secs(1));
    fleet.health(1, true);
    fleet.health(0, true);
    fleet.plan();
    assert_eq!((fleet.target(0), fleet.target(1)), (TargetState::Committed, TargetState::Committed), "it mends itself");
    assert_eq!(fleet.started(), [2]);
}

#[test]
fn a_wave_may_wait_for_a_person_to_let_it_go_on() {
    let mut fleet = Fleet::new(3, 1, 1);
    fleet.spec.pause_after = PauseAfter::Canary;
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.never_asked()), (RolloutState::Paused, vec![1, 2]));
    assert!(fleet.cause().starts_with("canary has passed"), "{}", fleet.cause());
    fleet.plan_is_a_fixed_point();
    fleet.intent.wishes.released_waves = 1;
    fleet.plan();
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.started(), [2], "after the canary alone");
}

#[test]
fn after_the_deadline_nobody_starts_and_those_in_motion_finish() {
    let mut fleet = Fleet::new(3, 1, 1);
    fleet.spec.deadline = Some(Timestamp::from_micros(0).plus(Duration::from_hours(1)));
    fleet.plan();
    fleet.work(0, UpdatePhase::Probation);
    fleet.later(Duration::from_mins(20));
    fleet.plan();
    fleet.later(Duration::from_mins(40));
    fleet.succeed(0);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.target(1)), (RolloutState::Expired, TargetState::Skipped));
    assert_eq!(fleet.never_asked(), [1, 2]);

    let mut fleet = Fleet::new(2, 1, 1);
    fleet.spec.deadline = Some(Timestamp::from_micros(0).plus(Duration::from_mins(10)));
    fleet.plan();
    fleet.work(0, UpdatePhase::Probation);
    fleet.plan();
    fleet.later(Duration::from_mins(11));
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Running, "one is past the point of no return");
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Expired);
}

#[test]
fn a_freeze_holds_the_hosts_that_it_selects_and_an_emergency_goes_through_it() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.label("venue", |index| ["a", "a", "b"][index]);
    fleet.freezes.push(Freeze {
        id: 1,
        selector: "venue=b".parse().unwrap(),
        from: Timestamp::from_micros(0),
        until: Timestamp::from_micros(0).plus(Duration::from_hours(2)),
        reason: "listing day".into(),
        created_by: "ola".into(),
    });
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.started(), [1]);
    assert_eq!(fleet.reason(2), "frozen until 1970-01-01T02:00:00Z by ola: listing day");
    fleet.plan_is_a_fixed_point();
    fleet.spec.urgency = Urgency::Emergency;
    fleet.plan();
    assert_eq!(fleet.started(), [1, 2]);

    fleet.spec.urgency = Urgency::Normal;
    fleet.later(Duration::from_hours(2));
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.started(), [2], "what was started goes on; nothing holds it now");
}

#[test]
fn a_person_tries_one_host_of_a_halted_rollout_again_and_leaves_another_out() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.fail(0, UpdatePhase::Refused, "no space");
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    fleet.wish(0).retries = 1;
    fleet.wish(2).skip = true;
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Halted, vec![0]), "that one, and nobody else");
    assert_eq!(fleet.target(2), TargetState::Skipped);
    fleet.plan_is_a_fixed_point();
    fleet.fail(0, UpdatePhase::Refused, "no space");
    fleet.plan();
    fleet.plan_is_a_fixed_point();
    assert_eq!(fleet.state(), RolloutState::Halted, "one try for one wish");
    fleet.wish(0).retries = 2;
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Running, vec![1]));
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::SucceededWithExceptions);
}

#[test]
fn a_host_that_is_left_out_while_it_downloads_is_taken_back() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.work(0, UpdatePhase::Downloading);
    fleet.plan();
    fleet.wish(0).skip = true;
    fleet.plan();
    assert!(fleet.wants_to_stay(0));
    fleet.hear_withdrawal(0);
    fleet.plan();
    fleet.plan();
    assert_eq!(fleet.target(0), TargetState::Skipped);
    assert_eq!(fleet.state(), RolloutState::Halted, "nobody of the canary was updated, which is no success");
    assert_eq!(fleet.never_asked(), [1]);
}

#[test]
fn hosts_that_come_later_wait_in_a_wave_of_their_own_and_nobody_changes_place() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    let late = fleet.joins();
    fleet.plan();
    assert_eq!((fleet.started(), fleet.reason(late)), (vec![0], "late joiners has not begun"));
    fleet.succeed(0);
    fleet.plan();
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.started(), [late]);
    fleet.succeed(late);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Succeeded);
}

#[test]
fn a_rollout_whose_place_another_takes_ends_as_superseded() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.plan();
    fleet.intent = fleet.intent.with(IntentVerb::Abort);
    fleet.intent.wishes.superseded_by = Some(RolloutId::new(2));
    fleet.hear_withdrawal(0);
    fleet.plan();
    fleet.plan();
    fleet.hear_withdrawal(0);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.cause()), (RolloutState::Superseded, "superseded by R-2"));
}

#[test]
fn who_comes_back_to_a_wave_that_halted_or_paused_is_not_started_before_a_person_decides() {
    let mut fleet = Fleet::new(5, 1, 4);
    fleet.spec.max_failures = failures(3);
    fleet.spec.gates.min_success = percent(98);
    fleet.silence(4);
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    fleet.succeed(1);
    fleet.succeed(2);
    fleet.fail(3, UpdatePhase::RolledBack, "sick");
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    fleet.return_of(4);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.never_asked()), (RolloutState::Halted, vec![4]));
    fleet.plan_is_a_fixed_point();
    fleet.wish(3).retries = 1;
    fleet.plan();
    assert_eq!(fleet.started(), [3], "that one alone");
    fleet.succeed(3);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Running, vec![4]), "what failed has succeeded");

    let mut fleet = Fleet::new(4, 2, 2);
    fleet.spec.pause_after = PauseAfter::Canary;
    fleet.silence(1);
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Paused);
    fleet.return_of(1);
    fleet.plan();
    assert_eq!((fleet.state(), fleet.never_asked()), (RolloutState::Paused, vec![1, 2, 3]));
    fleet.intent.wishes.released_waves = 1;
    fleet.plan();
    assert_eq!(fleet.started(), [1, 2], "the straggler first, and then the wave");
}

#[test]
fn a_failure_that_another_rollout_mends_stays_a_failure_of_this_one() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.silence(0);
    fleet.later(flota_planner::DARK_AFTER);
    fleet.plan();
    fleet.return_of(0);
    fleet.wanted_by_another(0, "4.12.1");
    fleet.plan();
    assert_eq!((fleet.target(0), fleet.state()), (TargetState::Overtaken, RolloutState::Halted));
    assert!(fleet.reason(0).contains("silent for 20 minutes"), "{}", fleet.reason(0));
}

#[test]
fn a_deadline_does_not_decide_about_hosts_that_failed() {
    let mut fleet = Fleet::new(2, 1, 1);
    fleet.spec.deadline = Some(Timestamp::from_micros(0).plus(Duration::from_mins(10)));
    fleet.plan();
    fleet.work(0, UpdatePhase::Probation);
    fleet.plan();
    fleet.later(Duration::from_mins(11));
    fleet.fail(0, UpdatePhase::RolledBack, "sick");
    fleet.plan();
    assert_eq!((fleet.state(), fleet.target(1)), (RolloutState::Halted, TargetState::Skipped));
    fleet.plan_is_a_fixed_point();
    fleet.intent.accepted_failures = 1;
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Expired);
}
