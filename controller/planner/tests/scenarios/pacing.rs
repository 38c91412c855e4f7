//! Budgets and windows.

use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::Timestamp;
use flota_model::rollout::{Gates, HealthGate, IntentVerb, PauseAfter, TargetState};
use flota_model::update::UpdatePhase;
use proptest::prelude::*;

use crate::fleet::Fleet;

#[test]
fn budgets_of_several_labels_hold_at_once_and_say_who_uses_them() {
    let mut fleet = Fleet::new(6, 1, 5);
    // Venues a and b by turns, accounts x, x, x, y, y, y.
    fleet.label("venue", |index| ["a", "b"][index % 2]);
    fleet.label("account", |index| ["x", "y"][index / 3]);
    fleet.budget("venue=2");
    fleet.budget("account=1");
    fleet.plan();
    fleet.succeed(0);
    fleet.plan();
    assert_eq!(fleet.started(), [1, 3], "one of each account, whatever the venues leave room for");
    assert_eq!(fleet.reason(2), "budget account=x, 1 at most: in use by bot-1");
    fleet.plan_is_a_fixed_point();
    fleet.succeed(1);
    fleet.plan();
    assert_eq!(fleet.started(), [2, 3]);
    // A host that is lost keeps its place: nobody knows that it trades.
    fleet.silence(2);
    fleet.later(Duration::from_mins(21));
    fleet.intent.accepted_failures = 1;
    fleet.succeed(3);
    fleet.plan();
    assert_eq!(fleet.started(), [4]);
    assert!(matches!(fleet.target(2), TargetState::Lost { .. }), "{:?}", fleet.target(2));
}

#[test]
fn a_host_that_changes_for_another_reason_takes_a_place() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.label("venue", |_| "a");
    fleet.budget("venue=1");
    // By hand, or by another rollout; it is not the canary.
    fleet.work(2, UpdatePhase::Probation);
    fleet.plan();
    assert!(fleet.started().is_empty());
    assert_eq!(fleet.reason(0), "budget venue=a, 1 at most: in use by bot-2");
    fleet.fail(2, UpdatePhase::SafeHold, "sick");
    fleet.plan();
    assert!(fleet.started().is_empty(), "a host in safe-hold does not trade");
    fleet.fail(2, UpdatePhase::RolledBack, "it trades again");
    fleet.plan();
    assert_eq!(fleet.started(), [0]);
}

#[test]
fn hosts_are_started_while_a_window_is_open_and_finish_after_it() {
    let mut fleet = Fleet::new(3, 1, 1);
    // The test's time begins on Thursday, 1970-01-01, at midnight.
    fleet.spec.windows = vec!["Thu 01:00-02:00 UTC".parse().unwrap(), "Fri 01:00-02:00 Europe/Warsaw".parse().unwrap()];
    fleet.plan();
    assert!(fleet.started().is_empty());
    assert!(
        fleet.reason(0).ends_with(&format!("opens at {}", Timestamp::from_micros(3_600_000_000))),
        "{}",
        fleet.reason(0)
    );
    fleet.plan_is_a_fixed_point();
    fleet.later(Duration::from_hours(1));
    fleet.plan();
    assert_eq!(fleet.started(), [0]);
    fleet.work(0, UpdatePhase::Probation);
    fleet.later(Duration::from_hours(1));
    fleet.plan();
    assert!(matches!(fleet.target(0), TargetState::Applying { .. }), "what was started goes on: {:?}", fleet.target(0));
    fleet.succeed(0);
    fleet.plan();
    assert!(fleet.started().is_empty() && fleet.reason(1).contains("outside the rollout's windows"));
    fleet.later(Duration::from_hours(22));
    fleet.plan();
    assert_eq!(fleet.started(), [1], "an hour earlier than in UTC");
}

/// What happens to a host, or to all of them.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Succeeds,
    GoesBack,
    Holds,
    Works,
    Vanishes,
    Returns,
    AnHourPasses,
    APersonAccepts,
    HealthIsGood,
    HealthIsBad,
    APersonRetries,
    APersonSkips,
    APersonPauses,
    APersonGoesOn,
    ALateHostJoins,
}

fn happenings() -> impl Strategy<Value = Vec<(usize, Happening)>> {
    use Happening::*;
    let one = prop_oneof![
        6 => Just(Succeeds), 2 => Just(GoesBack), 1 => Just(Holds), 3 => Just(Works), 2 => Just(Vanishes),
        3 => Just(Returns), 1 => Just(AnHourPasses), 2 => Just(APersonAccepts),
        4 => Just(HealthIsGood), 1 => Just(HealthIsBad), 1 => Just(APersonRetries), 1 => Just(APersonSkips),
        1 => Just(APersonPauses), 3 => Just(APersonGoesOn), 1 => Just(ALateHostJoins),
    ];
    proptest::collection::vec((0..12_usize, one), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every plan on the way is free of notes, which [`Fleet::plan`] asserts: slots, waves and budgets.
    #[test]
    fn no_sequence_takes_more_than_the_budgets_leave(happenings in happenings(), venue in 1..4_u32, share in 1..=100_u8) {
        let mut fleet = Fleet::new(12, 2, 6);
        fleet.spec.max_failures = NonZeroU32::new(4).unwrap();
        fleet.spec.gates = Gates {
            max_failure_rate: Some(50.try_into().unwrap()),
            min_success: 60.try_into().unwrap(),
            min_sample: NonZeroU32::new(2).unwrap(),
            min_coverage: 30.try_into().unwrap(),
            health: HealthGate::Asked,
        };
        fleet.spec.pause_after = PauseAfter::Canary;
        fleet.label("venue", |index| ["a", "b", "c"][index % 3]);
        fleet.label("account", |index| ["x", "y"][index / 6]);
        fleet.budget(&format!("venue={venue}"));
        fleet.budget(&format!("account={share}%"));
        fleet.plan();
        for (index, happening) in happenings {
            match happening {
                Happening::Succeeds => fleet.succeed(index),
                Happening::GoesBack => fleet.fail(index, UpdatePhase::RolledBack, "sick"),
                Happening::Holds => fleet.fail(index, UpdatePhase::SafeHold, "sick"),
                Happening::Works => fleet.work(index, UpdatePhase::Downloading),
                Happening::Vanishes => fleet.silence(index),
                Happening::Returns => fleet.return_of(index),
                Happening::AnHourPasses => fleet.later(Duration::from_hours(1)),
                Happening::APersonAccepts => {
                    fleet.intent.accepted_failures += 1;
                    fleet.intent.wishes.accepted_unknown += 1;
                }
                Happening::HealthIsGood => fleet.health(index, true),
                Happening::HealthIsBad => fleet.health(index, false),
                Happening::APersonRetries => fleet.wish(index).retries += 1,
                Happening::APersonSkips => fleet.wish(index).skip = true,
                Happening::APersonPauses => fleet.intent.verb = IntentVerb::Pause,
                Happening::APersonGoesOn => {
                    fleet.intent.verb = IntentVerb::Run;
                    fleet.intent.wishes.released_waves += 1;
                }
                Happening::ALateHostJoins if !fleet.is_over() && fleet.hosts() < 14 => drop(fleet.joins()),
                Happening::ALateHostJoins => {}
            }
            fleet.plan();
            fleet.settles();
        }
        // With nothing but good luck it comes to an end.
        fleet.intent.verb = IntentVerb::Run;
        fleet.intent.accepted_failures = 1000;
        (fleet.intent.wishes.accepted_unknown, fleet.intent.wishes.released_waves) = (1000, 1000);
        for _ in 0..60 {
            for index in 0..fleet.hosts() {
                fleet.return_of(index);
                fleet.succeed(index);
                fleet.health(index, true);
            }
            fleet.plan();
        }
        prop_assert!(fleet.state().is_terminal(), "{:?}", fleet.state());
    }
}
