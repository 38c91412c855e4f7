use flota_model::alert::Severity;
use proptest::prelude::*;

use super::*;

const TIMING: Timing =
    Timing { after: Duration::from_mins(3), settle: Duration::from_mins(5), window: Duration::from_hours(2) };
const MINUTE: Duration = Duration::from_mins(1);

#[derive(Debug, PartialEq)]
enum Told {
    Fired(u64),
    Ended(u64),
}

/// An alert that is looked at once a minute, with what people were told in which minute.
#[derive(Default)]
struct Play {
    alert: Option<Alert>,
    minute: u64,
    told: Vec<Told>,
}

impl Play {
    fn look(&mut self, observed: &Observed) {
        let now = Timestamp::from_micros(0).plus(MINUTE * u32::try_from(self.minute).unwrap());
        match step(self.alert.as_ref(), &key(), observed, TIMING, now) {
            Step::Same => {}
            Step::Kept(alert) => self.alert = Some(alert),
            Step::Fired(alert) => {
                self.told.push(Told::Fired(self.minute));
                self.alert = Some(alert);
            }
            Step::Ended(alert) => {
                self.told.push(Told::Ended(self.minute));
                self.alert = Some(alert);
            }
            Step::Forgotten => self.alert = None,
        }
        self.minute += 1;
    }

    fn for_minutes(mut self, minutes: u64, observed: &Observed) -> Self {
        for _ in 0..minutes {
            self.look(observed);
        }
        self
    }
}

fn key() -> AlertKey {
    AlertKey { rule: "FlotaHostUnhealthy".into(), subject: [("host".to_owned(), "a".to_owned())].into() }
}

fn there(severity: Severity) -> Observed {
    Observed::Present(Finding {
        severity,
        summary: "a is ill".into(),
        description: String::new(),
        command: String::new(),
        hosts: Vec::new(),
        host_count: 1,
    })
}

fn warned() -> Observed {
    there(Severity::Warning)
}

#[test]
fn people_are_told_after_a_while_and_that_it_is_over_after_a_while() {
    let play = Play::default().for_minutes(10, &warned()).for_minutes(10, &Observed::Absent);
    assert_eq!(play.told, [Told::Fired(3), Told::Ended(15)]);
}

#[test]
fn what_goes_before_anybody_was_told_is_forgotten_after_the_window() {
    let play = Play::default().for_minutes(2, &warned()).for_minutes(60, &Observed::Absent);
    assert_eq!((play.alert.as_ref().map(|alert| alert.state), play.told.len()), (Some(AlertState::Quiet), 0));
    assert_eq!(play.for_minutes(62, &Observed::Absent).alert, None);
}

#[test]
fn what_nobody_can_tell_changes_nothing() {
    let play = Play::default().for_minutes(10, &warned()).for_minutes(300, &Observed::Unknown);
    assert_eq!(play.told, [Told::Fired(3)], "an alert does not end because nobody looks");
    let play = play.for_minutes(6, &Observed::Absent);
    assert_eq!(play.told, [Told::Fired(3), Told::Ended(315)]);
}

#[test]
fn what_got_worse_is_told_again() {
    let play = Play::default().for_minutes(5, &warned()).for_minutes(5, &there(Severity::Critical));
    assert_eq!(play.told, [Told::Fired(3), Told::Fired(5)]);
    let play = play.for_minutes(5, &warned());
    assert_eq!(play.told.len(), 2, "that it got better is not");
}

#[test]
fn what_comes_and_goes_is_told_once_and_ends_when_it_stays_away() {
    let mut play = Play::default();
    for _ in 0..6 {
        play = play.for_minutes(10, &warned()).for_minutes(10, &Observed::Absent);
    }
    assert_eq!(play.told, [Told::Fired(3), Told::Ended(15), Told::Fired(23)], "the second time it goes it flaps");
    assert!(play.alert.as_ref().unwrap().flapping);
    let play = play.for_minutes(120, &Observed::Absent);
    assert_eq!(play.told[3..], [Told::Ended(230)], "two hours after it went for the last time, in minute 110");
}

#[test]
fn what_never_stays_for_long_enough_is_told_as_flapping() {
    let mut play = Play::default();
    for _ in 0..10 {
        play = play.for_minutes(1, &warned()).for_minutes(1, &Observed::Absent);
    }
    // Came in the minutes 0 and 2, went in 1 and 3; with the third coming it is told.
    assert_eq!(play.told, [Told::Fired(4)]);
}

fn observations() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0_u8..4, 1_u64..40), 1..60)
}

fn played(runs: &[(u8, u64)]) -> Play {
    runs.iter().fold(Play::default(), |play, (what, minutes)| {
        let observed = match what {
            0 => warned(),
            1 => there(Severity::Critical),
            2 => Observed::Absent,
            _ => Observed::Unknown,
        };
        play.for_minutes(*minutes, &observed)
    })
}

proptest! {
    #[test]
    fn whatever_happens_the_end_is_told_of_what_was_told(runs in observations()) {
        let play = played(&runs).for_minutes(130, &Observed::Absent);
        prop_assert!(matches!(play.told.last(), None | Some(Told::Ended(_))), "{:?}", play.told);
        prop_assert!(!play.told.windows(2).any(|pair| matches!(pair, [Told::Ended(_), Told::Ended(_)])));
    }

    #[test]
    fn whatever_happened_what_stays_is_told(runs in observations()) {
        let play = played(&runs).for_minutes(4, &warned());
        prop_assert_eq!(play.alert.unwrap().state, AlertState::Firing);
    }

    #[test]
    fn nobody_is_told_more_than_that_it_is_there_twice_and_over_once_in_a_window(runs in observations()) {
        let calm: Vec<_> = runs.into_iter().filter(|(what, _)| *what != 1).collect();
        let fired: Vec<u64> = played(&calm).told.iter().filter_map(|told| match told {
            Told::Fired(minute) => Some(*minute),
            Told::Ended(_) => None,
        }).collect();
        for three in fired.windows(3) {
            prop_assert!(three[2] - three[0] >= 60, "{:?}", fired);
        }
    }
}
