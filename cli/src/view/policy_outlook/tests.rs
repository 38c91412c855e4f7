//! Every question about a policy, as it is asked.

use std::fmt::Write as _;
use std::time::Duration;

use super::*;
use crate::testing::trust::{policy_detail, policy_diff};
use crate::testing::{PLAIN, golden, now};

const DAY: Duration = Duration::from_hours(24);

fn on<R>(version: u32, state: &str, active: Option<u32>, see: impl FnOnce(Outlook<'_>) -> R) -> R {
    let this = policy_detail(version, state);
    let active = active.map(|version| policy_detail(version, "active"));
    let active = active.as_ref().and_then(Known::of);
    see(Outlook { this: Known::of(&this).unwrap(), active, place: " in context prod", now: now() })
}

#[test]
fn the_consequences_come_before_the_question() {
    let until = now().plus(2 * DAY);
    let mut text = on(4, "draft", Some(3), |outlook| outlook.approval(Some(&policy_diff()), PLAIN));
    let mut add = |(danger, more): (Danger, String)| write!(text, "\n\n-- {danger:?}\n{more}").unwrap();
    add(on(4, "approved", Some(3), |outlook| outlook.staging([now(), until], PLAIN)));
    add(on(4, "approved", None, |outlook| outlook.staging([now().plus(DAY), until], PLAIN)));
    add(on(4, "staged", Some(3), |outlook| outlook.activation(7 * DAY, PLAIN)));
    add(on(4, "approved", Some(3), |outlook| outlook.activation(Duration::ZERO, PLAIN)));
    add(on(3, "approved", Some(4), |outlook| outlook.activation(DAY, PLAIN)));
    add(on(3, "approved", None, |outlook| outlook.activation(Duration::ZERO, PLAIN)));
    add(on(3, "active", Some(3), |outlook| outlook.retirement(Duration::ZERO, PLAIN)));
    add(on(4, "staged", Some(3), |outlook| outlook.retirement(Duration::ZERO, PLAIN)));
    add(on(4, "retiring", Some(3), |outlook| outlook.retirement(7 * DAY, PLAIN)));
    add(on(4, "active", Some(4), |outlook| outlook.rollback(PLAIN)));
    golden("policy-questions.txt", &text);
}

#[test]
fn what_lets_more_in_takes_a_typed_name() {
    let activation = |version, active| on(version, "staged", active, |outlook| outlook.activation(DAY, PLAIN).0);
    assert_eq!(activation(4, Some(3)), Danger::Severe, "version 4 has an event more than 3");
    assert_eq!(activation(3, Some(4)), Danger::Moderate, "version 3 has an event less than 4");
    assert_eq!(activation(3, None), Danger::Severe, "a list of values replaces each host's own");
    let retirement = |state| on(4, state, Some(3), |outlook| outlook.retirement(DAY, PLAIN).0);
    assert_eq!(["draft", "staged", "active"].map(retirement), [Danger::Mild, Danger::Moderate, Danger::Severe]);
}

#[test]
fn a_policy_for_nobody_is_told() {
    let mut nobody = policy_detail(4, "staged");
    nobody.policy.as_mut().unwrap().hosts = 0;
    let outlook = Outlook { this: Known::of(&nobody).unwrap(), active: None, place: "", now: now() };
    assert!(outlook.activation(DAY, PLAIN).1.contains("! no host is meant by env=prod"));
    assert!(outlook.staging([now(), now().plus(DAY)], PLAIN).1.contains("! no host is meant by env=prod"));
}
