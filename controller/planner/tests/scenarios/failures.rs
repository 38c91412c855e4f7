//! What failed stays a failure, whatever becomes of its host: only success or a person ends it.

use flota_model::rollout::{HealthGate, IntentVerb, RolloutState, TargetState};
use flota_model::update::UpdatePhase;
use flota_planner::DARK_AFTER;

use super::fleet::Fleet;

/// A canary of one that failed, and was tried again.
fn tried_again() -> Fleet {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.fail(0, UpdatePhase::RolledBack, "sick");
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    fleet.wish(0).retries = 1;
    fleet
}

fn nobody_else_starts(fleet: &mut Fleet) {
    fleet.plan();
    fleet.plan_is_a_fixed_point();
    assert_eq!((fleet.state(), fleet.never_asked()), (RolloutState::Halted, vec![1, 2]), "{}", fleet.cause());
    fleet.intent.accepted_failures = 1;
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Running, vec![1, 2]));
}

#[test]
fn a_host_that_a_release_broke_may_be_retired_and_the_release_is_no_better_for_it() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.plan();
    fleet.silence(0);
    fleet.later(DARK_AFTER);
    fleet.plan();
    assert_eq!(fleet.state(), RolloutState::Halted);
    fleet.retire(0);
    fleet.plan();
    assert_eq!(fleet.target(0), TargetState::Overtaken);
    assert_eq!(fleet.reason(0), "silent for 20 minutes after it was started; the host is no longer in the fleet");
    nobody_else_starts(&mut fleet);
}

#[test]
fn a_retry_that_comes_to_nothing_forgives_nothing() {
    let mut skipped = tried_again();
    skipped.silence(0);
    skipped.plan();
    skipped.wish(0).skip = true;
    skipped.plan();
    assert_eq!(skipped.target(0), TargetState::Skipped);
    nobody_else_starts(&mut skipped);

    let mut retired = tried_again();
    retired.plan();
    retired.retire(0);
    nobody_else_starts(&mut retired);

    let mut overtaken = tried_again();
    overtaken.plan();
    overtaken.wanted_by_another(0, "4.12.1");
    nobody_else_starts(&mut overtaken);
}

#[test]
fn a_halted_rollout_tries_nobody_again_while_it_is_paused_or_waits_for_approvals() {
    let mut fleet = tried_again();
    fleet.intent.verb = IntentVerb::Pause;
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Halted, vec![]));
    fleet.intent.verb = IntentVerb::Run;
    fleet.spec.approvals = 1;
    fleet.plan();
    assert_eq!((fleet.state(), fleet.started()), (RolloutState::Halted, vec![]));
    fleet.approvers = vec!["piotr".into()];
    fleet.plan();
    assert_eq!(fleet.started(), [0]);
}

#[test]
fn a_sick_host_that_another_rollout_takes_over_gives_its_place_up_and_stays_a_failure() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.spec.gates.health = HealthGate::Asked;
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    fleet.health(0, false);
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Unhealthy { .. }));
    fleet.wanted_by_another(0, "4.12.1");
    fleet.health(0, true);
    fleet.plan();
    assert_eq!(fleet.target(0), TargetState::Overtaken, "it is well with another release");
    nobody_else_starts(&mut fleet);
}
