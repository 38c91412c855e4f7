//! Rules about rollouts and what they need.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::rollout::RolloutState;

use super::{Seen, Words, subject};
use crate::facts::{FleetFacts, Metadata};

/// Metadata that expire within this are told: whoever holds an offline key needs some days to use it.
const EXPIRY: Duration = Duration::from_hours(14 * 24);
/// The same of those that are made anew by the week.
const SOON: Duration = Duration::from_hours(2 * 24);
/// Whose those are.
const ONLINE: [&str; 2] = ["timestamp", "snapshot"];

/// A rollout stopped itself.
pub(super) fn stopped(facts: &FleetFacts, _: Timestamp, seen: &mut Seen<'_>) {
    tell(facts, seen, "has halted", |state| state == RolloutState::Halted);
}

/// A rollout waits for persons.
pub(super) fn waits(facts: &FleetFacts, _: Timestamp, seen: &mut Seen<'_>) {
    tell(facts, seen, "waits for a person", |state| {
        matches!(state, RolloutState::AwaitingApproval | RolloutState::Inconclusive)
    });
}

fn tell(facts: &FleetFacts, seen: &mut Seen<'_>, does: &str, which: fn(RolloutState) -> bool) {
    for rollout in facts.rollouts.iter().filter(|rollout| which(rollout.state)) {
        let id = rollout.id.to_string();
        seen.present(
            subject([("rollout", &id)]),
            &[],
            Words {
                summary: format!("{id} {does}: {}", rollout.state.as_str().replace('_', " ")),
                description: format!("{}. Nothing new starts meanwhile.", rollout.cause),
                command: format!("flota rollout explain {id}"),
            },
        );
    }
}

/// Releases cannot be installed, or soon not.
pub(super) fn releases_expire(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let summary = match &facts.metadata {
        None => return,
        Some(Metadata::NotBelieved(_)) => "release metadata are not believed".to_owned(),
        Some(Metadata::Until(at, role)) => {
            let ahead = if ONLINE.contains(&role.as_str()) { SOON } else { EXPIRY };
            if *at > now.plus(ahead) {
                return;
            }
            format!("the {role} metadata of releases expire at {at}")
        }
    };
    let why = match &facts.metadata {
        Some(Metadata::NotBelieved(why)) => format!("{why}. "),
        _ => String::new(),
    };
    let description =
        format!("{why}Without them hosts install no release that they have not verified before; what runs goes on.");
    seen.present(subject([]), &[], Words { summary, description, command: "flota release list".into() });
}
