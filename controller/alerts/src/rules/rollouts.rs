//! Rules about rollouts and what they need.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::rollout::RolloutState;

use super::{Seen, Words, subject};
use crate::facts::FleetFacts;

/// Metadata that expire within this are told: whoever holds an offline key needs some days to use it.
const EXPIRY: Duration = Duration::from_hours(14 * 24);

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
                description: format!("{}. Nothing new starts until somebody decides.", rollout.cause),
                command: format!("flota rollout explain {id}"),
            },
        );
    }
}

/// No release can be installed soon.
pub(super) fn releases_expire(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let Some((at, role)) = &facts.metadata_expire else { return };
    if *at > now.plus(EXPIRY) {
        return;
    }
    seen.present(
        subject([("role", role)]),
        &[],
        Words {
            summary: format!("the {role} metadata of releases expire at {at}"),
            description: "From then on hosts refuse every update; what runs goes on.".into(),
            command: "flota release list".into(),
        },
    );
}
