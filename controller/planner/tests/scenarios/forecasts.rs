//! What a forecast says, and that it comes true.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use flota_model::Timestamp;
use flota_model::rollout::{PauseAfter, RolloutState};
use flota_planner::{Assumptions, Begun, Forecast, forecast};

use crate::fleet::Fleet;

const HOST: Duration = Duration::from_mins(5);

fn foretold(fleet: &Fleet) -> Forecast {
    forecast(&fleet.spec, None, &fleet.snapshot(), fleet.now, Assumptions { host_takes: HOST })
}

fn minute(number: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_mins(number))
}

#[test]
fn it_says_who_changes_when_and_how_far_a_bad_release_gets() {
    let mut fleet = Fleet::new(7, 1, 3);
    fleet.spec.bake = Duration::from_mins(30);
    fleet.spec.max_failures = NonZeroU32::new(2).unwrap();
    fleet.spec.pause_after = PauseAfter::EachWave;
    fleet.label("venue", |index| ["a", "b"][index % 2]);
    fleet.budget("venue=1");
    let told = foretold(&fleet);
    let waves: Vec<_> =
        told.waves.iter().map(|wave| (wave.name.as_str(), wave.hosts, wave.begins, wave.ends)).collect();
    // Of wave 1, two are of venue b and one of a; of wave 2, two of a and one of b: one a venue at once.
    assert_eq!(
        waves,
        [
            ("canary", 1, Some(minute(0)), Some(minute(5))),
            ("wave 1", 3, Some(minute(35)), Some(minute(45))),
            ("wave 2", 3, Some(minute(75)), Some(minute(85))),
        ]
    );
    let radius: Vec<usize> = told.waves.iter().map(|wave| wave.changed_when_it_halts).collect();
    assert_eq!(radius, [1, 3, 6], "the canary alone; it and two of wave 1; those before and two of wave 2");
    assert_eq!((told.most_at_once, told.ends), (2, Some(minute(85))));
    let groups: Vec<_> =
        told.groups.iter().map(|group| (group.name.as_str(), group.hosts, group.most_at_once)).collect();
    assert_eq!(groups, [("venue=a", 4, 1), ("venue=b", 3, 1)]);
    assert!(told.left_out.is_empty() && told.stands_still.is_empty());
}

#[test]
fn it_says_who_is_left_out_and_why_it_stands_still() {
    let mut fleet = Fleet::new(3, 1, 2);
    fleet.silence(2);
    fleet.spec.windows = vec!["Thu 02:00-03:00 UTC".parse().unwrap()];
    let told = foretold(&fleet);
    assert_eq!(told.waves[0].begins, Some(minute(120)));
    assert_eq!(told.left_out.len(), 1);
    assert!(told.left_out[0].0 == *fleet.id(2) && told.left_out[0].1.contains("silent since"), "{:?}", told.left_out);
    assert_eq!((told.ends, told.stands_still.as_str()), (None, "every wave has passed; 1 straggler waits"));
}

#[test]
fn hours_that_never_open_are_said() {
    let mut fleet = Fleet::new(1, 1, 1);
    fleet.spec.windows = vec!["Mon 00:00-01:00 Mars/Olympus".parse().unwrap()];
    let told = foretold(&fleet);
    assert_eq!((told.begins.len(), told.ends), (0, None));
    assert!(told.stands_still.contains("windows never open"), "{}", told.stands_still);
}

#[test]
fn what_it_foretells_is_what_happens() {
    let mut fleet = Fleet::new(9, 2, 3);
    fleet.spec.bake = Duration::from_mins(7);
    fleet.label("venue", |index| ["a", "b", "c"][index % 3]);
    fleet.budget("venue=1");
    let told = foretold(&fleet);
    let mut began = BTreeMap::new();
    while fleet.now <= minute(500) {
        fleet.plan();
        for index in fleet.started() {
            began.entry(fleet.id(index).clone()).or_insert(fleet.now);
        }
        if fleet.state() == RolloutState::Succeeded {
            break;
        }
        fleet.later(Duration::from_mins(1));
        for index in 0..9 {
            if began.get(fleet.id(index)) == Some(&Timestamp::from_micros(fleet.now.as_micros() - 300_000_000)) {
                fleet.succeed(index);
            }
        }
    }
    assert_eq!(began, told.begins);
    assert_eq!(told.ends, Some(fleet.now));
}

#[test]
fn leases_are_renewed_meanwhile_and_what_has_begun_goes_on_from_there() {
    let mut fleet = Fleet::new(3, 1, 1);
    fleet.spec.bake = Duration::from_hours(1);
    fleet.leases_end_in(Duration::from_mins(15));
    let told = foretold(&fleet);
    assert_eq!((told.ends, told.begins.len()), (Some(minute(5 + 60 + 5 + 60 + 5)), 3), "{}", told.stands_still);
    fleet.plan();
    fleet.wish(2).skip = true;
    fleet.plan();
    fleet.later(Duration::from_mins(3));
    let (intent, plan) = (&fleet.intent, fleet.current());
    let assumptions = Assumptions { host_takes: HOST };
    let told = forecast(&fleet.spec, Some(Begun { intent, plan }), &fleet.snapshot(), fleet.now, assumptions);
    assert_eq!(told.waves[0].ends, Some(minute(8)), "the canary is in motion");
    assert_eq!(told.waves[1].begins, Some(minute(68)));
    assert_eq!((told.left_out.len(), told.left_out[0].1.as_str()), (1, "left out by an operator"));
}
