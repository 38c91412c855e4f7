//! The operator's checklist (manual §7) of each host, from what the controller knows: nothing of it is ticked by hand. The
//! ticket is that of the rollout which updated the host.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::host::{Host, Trust};
use flota_model::task::{Export, ExportSignature, HostHealth};
use flota_store::{NoteState, RolloutRecord, TicketNote};
use serde::Serialize;

use crate::tickets;

/// How long TPM evidence, a health check and an export count: the checklist is a daily one (as on the host).
const DAILY: Duration = Duration::from_hours(24);

/// What is known of a host.
pub struct Facts<'a> {
    /// The host.
    pub host: &'a Host,
    /// Its newest export; of a rollout's checklist, the one before that update.
    pub export: Option<&'a Export>,
    /// Its newest health report.
    pub health: Option<&'a HostHealth>,
    /// The rollout that updated it last, or the one that is asked about.
    pub rollout: Option<&'a RolloutRecord>,
    /// What the ticket system has of that rollout.
    pub noted: Noted<'a>,
    /// Whether the release that it runs is signed; none: it is not known which it runs.
    pub signed: Option<Signed>,
    /// The present.
    pub now: Timestamp,
}

/// What the ticket system has of a rollout.
#[derive(Debug, Clone, Copy)]
pub enum Noted<'a> {
    /// There is no ticket system: that the rollout names a ticket is all that can be known.
    NoSystem,
    /// Its newest note, if there is one.
    Note(Option<&'a TicketNote>),
}

/// Whether a release is among those that are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// It is.
    Yes,
    /// It is not, or not any more.
    No,
}

/// How an item stands; the words are those of the host's own checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemStatus {
    /// Done, and it still counts.
    Done,
    /// Tried, without success.
    Failed,
    /// Never done.
    Missing,
    /// Done too long ago.
    Stale,
}

impl ItemStatus {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Missing => "missing",
            Self::Stale => "stale",
        }
    }
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// A stable name, that of the host's own checklist.
    pub id: &'static str,
    /// How it stands.
    pub status: ItemStatus,
    /// When that was found out; none: never.
    pub at: Option<Timestamp>,
    /// What proves it, or what is wrong: a record, a digest, a sentence.
    pub evidence: String,
}

/// The six items, in the manual's order. Pure.
pub fn evaluate(facts: &Facts<'_>) -> [Item; 6] {
    [key(facts), package(facts), tpm(facts), health(facts), export(facts), ticket(facts)]
}

fn item(id: &'static str, status: ItemStatus, at: Option<Timestamp>, evidence: impl Into<String>) -> Item {
    Item { id, status, at, evidence: evidence.into() }
}

/// Done as long as it is not older than a day.
fn daily(id: &'static str, at: Timestamp, now: Timestamp, evidence: impl Into<String>) -> Item {
    let status = if now.since(at) <= DAILY { ItemStatus::Done } else { ItemStatus::Stale };
    item(id, status, Some(at), evidence)
}

fn key(facts: &Facts<'_>) -> Item {
    const ID: &str = "hmac_key";
    match facts.export {
        Some(export) if matches!(export.signature, ExportSignature::Mismatch | ExportSignature::UnknownKey) => {
            item(ID, ItemStatus::Failed, Some(export.at), format!("export {} is not proved by its key", export.id))
        }
        Some(export) if !export.key_id.is_empty() => {
            item(ID, ItemStatus::Done, Some(export.at), format!("key {} signed export {}", export.key_id, export.id))
        }
        Some(export) => item(ID, ItemStatus::Missing, Some(export.at), format!("export {} names no key", export.id)),
        None => item(ID, ItemStatus::Missing, None, "no export says which key signs"),
    }
}

fn package(facts: &Facts<'_>) -> Item {
    const ID: &str = "package_check";
    let confirmed = facts.host.confirmed.as_ref();
    match (confirmed.and_then(|confirmed| confirmed.running.map(|running| (running, confirmed.at))), facts.signed) {
        (Some((running, at)), Some(Signed::Yes)) => {
            item(ID, ItemStatus::Done, Some(at), format!("runs signed release sha256 {running}, proved by a quote"))
        }
        (Some((running, at)), _) => {
            item(ID, ItemStatus::Failed, Some(at), format!("runs sha256 {running}, which is not signed"))
        }
        (None, _) => item(ID, ItemStatus::Missing, None, "no quote says what it runs"),
    }
}

fn tpm(facts: &Facts<'_>) -> Item {
    const ID: &str = "tpm_evidence";
    let host = facts.host;
    let at = host.confirmed.as_ref().map(|confirmed| confirmed.at);
    match (host.trust, at) {
        (Trust::Trusted, Some(at)) => {
            let policy = if host.policy.is_empty() { "its own first quote" } else { host.policy.as_str() };
            daily(ID, at, facts.now, format!("quote passed, held to {policy}"))
        }
        (Trust::Stale, at) => item(ID, ItemStatus::Stale, at, host.trust_reason.clone()),
        (Trust::Pending | Trust::Trusted, _) => item(ID, ItemStatus::Missing, None, "no quote has passed yet"),
        (Trust::Unattested, _) => item(ID, ItemStatus::Missing, None, "it has no TPM"),
        (trust, at) => item(ID, ItemStatus::Failed, at, format!("{trust}: {}", host.trust_reason)),
    }
}

fn health(facts: &Facts<'_>) -> Item {
    const ID: &str = "exchange_health";
    match facts.health {
        None => item(ID, ItemStatus::Missing, None, "no health check was made"),
        Some(health) if health.overall == "unavailable" => {
            item(ID, ItemStatus::Failed, Some(health.at), "the exchange cannot be used")
        }
        Some(health) => daily(ID, health.at, facts.now, health.overall.clone()),
    }
}

fn export(facts: &Facts<'_>) -> Item {
    const ID: &str = "security_export";
    match facts.export {
        None => item(ID, ItemStatus::Missing, None, "there is no export"),
        Some(export) if matches!(export.signature, ExportSignature::Mismatch | ExportSignature::UnknownKey) => {
            let word = export.signature.as_str().replace('_', " ");
            item(ID, ItemStatus::Failed, Some(export.at), format!("export {}: signature {word}", export.id))
        }
        Some(export) if export.status != "ok" => {
            item(ID, ItemStatus::Failed, Some(export.at), format!("export {} is {}", export.id, export.status))
        }
        Some(export) => daily(ID, export.at, facts.now, format!("export {}, sha256 {}", export.id, export.blob)),
    }
}

fn ticket(facts: &Facts<'_>) -> Item {
    const ID: &str = "ticket";
    match facts.rollout {
        None => item(ID, ItemStatus::Missing, None, "no rollout updated it"),
        Some(record) if record.spec.ticket.is_empty() => {
            item(ID, ItemStatus::Missing, record.started_at, format!("{} names no ticket", record.spec.id))
        }
        Some(record) => in_system(ID, record, facts.noted, facts.now),
    }
}

/// With a ticket system it is done when that has it.
fn in_system(id: &'static str, record: &RolloutRecord, noted: Noted<'_>, now: Timestamp) -> Item {
    let named = format!("{} of {}", record.spec.ticket, record.spec.id);
    let long_ago = record.finished_at.is_some_and(|at| now.since(at) > tickets::LOOK_BACK);
    let note = match noted {
        Noted::NoSystem => return item(id, ItemStatus::Done, record.started_at, named),
        // It ended before there was a ticket system.
        Noted::Note(None) if long_ago => return item(id, ItemStatus::Done, record.started_at, named),
        Noted::Note(note) => note,
    };
    match note.map(|note| (&note.state, note.event.as_str())) {
        None => item(id, ItemStatus::Missing, None, format!("{named}: nothing was noted in it")),
        Some((NoteState::Recorded { at, reference }, event)) => {
            item(id, ItemStatus::Done, Some(*at), format!("{named}: that it {event} is noted, {reference}"))
        }
        Some((NoteState::Waiting { why, .. }, event)) => {
            let why = why.as_deref().unwrap_or("its turn comes");
            item(id, ItemStatus::Missing, None, format!("{named}: that it {event} is not noted yet: {why}"))
        }
        Some((NoteState::Failed { why }, event)) => {
            item(id, ItemStatus::Failed, None, format!("{named}: that it {event} could not be noted: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use flota_model::host::{Confirmed, KeyStorage, OemStanding};
    use flota_model::{Digest, ExportId, HostId, Labels};

    use super::*;

    fn second(number: i64) -> Timestamp {
        Timestamp::from_micros(number * 1_000_000)
    }

    fn host() -> Host {
        let id = HostId::of_endorsement_key(&Digest::of(b"ek"));
        Host {
            name: "fra-bot-01".parse().unwrap(),
            id,
            labels: Labels::default(),
            trust: Trust::Trusted,
            trust_reason: String::new(),
            last_seen: None,
            agent_version: String::new(),
            observed: None,
            confirmed: Some(Confirmed { running: Some(Digest::of(b"5.0")), generation: None, at: second(100) }),
            desired: None,
            enrolled_at: second(0),
            lease_until: None,
            key_storage: KeyStorage::Tpm,
            awaits_approval: false,
            policy: "prod@3".into(),
            oem: OemStanding::default(),
        }
    }

    fn made(at: i64, status: &str, key_id: &str) -> Export {
        Export {
            id: ExportId::from_uuid(uuid::Uuid::nil()),
            host: host().id,
            host_name: host().name,
            at: second(at),
            blob: Digest::of(b"bundle"),
            size: 1,
            audit_entries: 1,
            alert_entries: 1,
            status: status.into(),
            key_id: key_id.into(),
            signature: ExportSignature::Valid,
            reason: String::new(),
            rollout: None,
        }
    }

    fn statuses(facts: &Facts<'_>) -> [&'static str; 6] {
        evaluate(facts).map(|item| item.status.as_str())
    }

    #[test]
    fn each_item_follows_from_what_is_known() {
        let (host, export) = (host(), made(100, "ok", "ops-1"));
        let health =
            HostHealth { host: host.id.clone(), overall: "degraded".into(), at: second(100), report_json: "{}".into() };
        let all = Facts {
            host: &host,
            export: Some(&export),
            health: Some(&health),
            rollout: None,
            noted: Noted::NoSystem,
            signed: Some(Signed::Yes),
            now: second(200),
        };
        assert_eq!(statuses(&all), ["done", "done", "done", "done", "done", "missing"]);
        let tomorrow = Facts { now: second(200 + 24 * 3600), ..all };
        assert_eq!(statuses(&tomorrow), ["done", "done", "stale", "stale", "stale", "missing"]);

        let partial = made(100, "partial", "");
        let down = HostHealth { overall: "unavailable".into(), ..health.clone() };
        let drifted = Host { trust: Trust::Drifted, trust_reason: "PCR 7 differs".into(), ..host.clone() };
        let bad = Facts {
            host: &drifted,
            export: Some(&partial),
            health: Some(&down),
            rollout: None,
            noted: Noted::NoSystem,
            signed: Some(Signed::No),
            now: second(200),
        };
        assert_eq!(statuses(&bad), ["missing", "failed", "failed", "failed", "failed", "missing"]);
        assert_eq!(evaluate(&bad)[2].evidence, "drifted: PCR 7 differs");

        let new = Host { confirmed: None, trust: Trust::Pending, ..host.clone() };
        let nothing = Facts {
            host: &new,
            export: None,
            health: None,
            rollout: None,
            noted: Noted::NoSystem,
            signed: None,
            now: second(200),
        };
        assert_eq!(statuses(&nothing), ["missing"; 6]);
    }
}
