//! Rules about single hosts: silence, safe hold, trust, exports.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::host::Trust;

use super::{NotKnown, Seen, Words, subject};
use crate::facts::{ExportPace, FleetFacts, HostFact};

/// Hosts have that long to come back after this controller began to listen.
const RECONNECT: Duration = Duration::from_mins(2);
/// The rule about many.
const MANY_SILENT: &str = "FlotaHostsSilent";
/// Least number of hosts that are silent at once before it is not theirs.
const MANY: usize = 3;
/// More than one host of so many.
const OF: usize = 20;

/// Many hosts are silent at once.
pub(super) fn many_silent(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    if facts.listening_for < RECONNECT {
        return seen.unknown(subject([]));
    }
    let Some(silent) = many(facts, now) else { return };
    seen.present(
        subject([]),
        &silent,
        Words {
            summary: format!("{} of {} hosts are silent", silent.len(), facts.hosts.len()),
            description:
                "Many at once are rather a network, a certificate or a clock than hosts. They trade on; nothing \
                          reaches them."
                    .into(),
            command: "flota host list --trouble".into(),
        },
    );
}

/// A host is silent, alone or nearly.
pub(super) fn silent(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let together = many(facts, now).is_some();
    seen.each_host(facts, now, |host| match host.silent_for {
        None => Ok(None),
        // It stays what it is while the network as a whole is told.
        Some(_) if together || facts.listening_for < RECONNECT => Err(NotKnown),
        Some(_) => Ok(Some(Words {
            summary: format!("nothing is heard of {}", host.name),
            description: "Its bot may trade on; no update, pause or health check reaches it. It keeps its place in a \
                          rollout's budget until it is heard of."
                .into(),
            command: format!("flota host show {}", host.name),
        })),
    });
}

fn many(facts: &FleetFacts, now: Timestamp) -> Option<Vec<&HostFact>> {
    if facts.off.contains(MANY_SILENT) {
        return None;
    }
    let is_silent =
        |host: &&HostFact| host.silent_for.is_some() && !host.shut_out && !facts.is_silenced(MANY_SILENT, host, now);
    let silent: Vec<&HostFact> = facts.hosts.iter().filter(is_silent).collect();
    (silent.len() >= MANY && silent.len().saturating_mul(OF) > facts.hosts.len()).then_some(silent)
}

/// A host's bot is stopped.
pub(super) fn safe_hold(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    seen.each_host(facts, now, |host| {
        Ok(host.safe_hold.as_ref().map(|detail| Words {
            summary: format!("{} is in safe hold: neither of its releases is healthy", host.name),
            description: format!("It says: {detail}. What the exchange itself protects stays protected."),
            command: format!("flota host show {}", host.name),
        }))
    });
}

/// A host's quote did not pass.
pub(super) fn attestation_failed(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    seen.each_host(facts, now, |host| {
        let (trust, reason) = &host.trust;
        Ok(matches!(trust, Trust::Drifted | Trust::Untrusted).then(|| Words {
            summary: format!("{} is {trust}", host.name),
            description: format!("{reason}. It is given no new work. Call security; do not enrol it anew."),
            command: format!("flota policy explain {}", host.name),
        }))
    });
}

/// A host has made no export for too long.
pub(super) fn export_overdue(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let Some(ExportPace { late_after, grace }) = facts.exports else { return };
    seen.each_host(facts, now, |host| {
        // Whoever was not asked for long enough is not late.
        if facts.listening_for < grace {
            return Err(NotKnown);
        }
        let hours = host.export_age.as_secs() / 3600;
        Ok((host.export_age >= late_after).then(|| Words {
            summary: format!("{} has made no security export for {hours} hours", host.name),
            description: "An export that should exist and does not is a gap in what auditors are given.".into(),
            command: format!("flota export run {}", host.name),
        }))
    });
}

#[cfg(test)]
mod tests;
