//! One verdict a host, from all that is known of it: what needs a person comes first.

use flota_model::Timestamp;
use flota_proto::v1::Host;

use super::host_facts::{has_key_in_file, oem_troubles};
use crate::output::signs::Sign;
use crate::output::text::{clean, sentence, words};
use crate::output::{Style, time};

/// A sign with a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// How much it needs a person.
    pub(crate) sign: Sign,
    /// Why.
    pub(crate) words: String,
}

impl State {
    /// The verdict on `host` at `now`.
    pub(crate) fn of(host: &Host, now: Timestamp) -> Self {
        out_of_trust(host)
            .or_else(|| awaiting(host))
            .or_else(|| failed_update(host))
            .or_else(|| out_of_reach(host, now))
            .or_else(|| lapsed_trust(host, now))
            .or_else(|| ill(host))
            .or_else(|| in_bad_standing(host))
            .or_else(|| on_the_way(host))
            .unwrap_or_else(|| well(host))
    }
}

/// The version whose package a quote confirmed, with what is wanted if that is another.
pub(crate) fn release(host: &Host, style: Style) -> String {
    let version = if host.version.is_empty() { style.dash() } else { &host.version };
    let unproven = !host.running.is_empty() && host.attested_release != host.running;
    let mark = if unproven { "?" } else { "" };
    if host.wanted.is_empty() || host.wanted == host.running {
        return clean(&format!("{version}{mark}"));
    }
    clean(&format!("{version}{mark} {} {}", style.arrow(), host.wanted_version))
}

fn said(sign: Sign, words: impl Into<String>) -> State {
    State { sign, words: words.into() }
}

fn with(head: &str, reason: &str) -> String {
    if reason.is_empty() { head.to_owned() } else { format!("{head}: {}", clean(reason)) }
}

fn out_of_trust(host: &Host) -> Option<State> {
    match host.trust.as_str() {
        "untrusted" | "drifted" | "quarantined" => {
            Some(said(Sign::Failed, with(&host.trust, &sentence(&host.trust_reason))))
        }
        "retired" => Some(said(Sign::Skipped, "retired")),
        _ => None,
    }
}

/// Nothing moves until a person has said so: no later state says more.
fn awaiting(host: &Host) -> Option<State> {
    host.awaits_approval.then(|| said(Sign::Warning, "awaits approval"))
}

fn failed_update(host: &Host) -> Option<State> {
    let head = match host.phase.as_str() {
        "safe_hold" => "safe hold, the bot is stopped".to_owned(),
        "rolled_back" if host.wanted_version.is_empty() => "rolled back".to_owned(),
        "rolled_back" => format!("rolled back from {}", clean(&host.wanted_version)),
        "refused" if host.wanted_version.is_empty() => "refused".to_owned(),
        "refused" => format!("refused {}", clean(&host.wanted_version)),
        _ => return None,
    };
    Some(said(Sign::Failed, with(&head, &host.detail)))
}

fn out_of_reach(host: &Host, now: Timestamp) -> Option<State> {
    match host.liveness.as_str() {
        "silent" => Some(said(Sign::Silent, format!("silent since {} UTC", time::clock(&host.last_seen, now)))),
        "never" => Some(said(Sign::Silent, "never connected since it was enrolled")),
        _ => None,
    }
}

fn lapsed_trust(host: &Host, now: Timestamp) -> Option<State> {
    match host.trust.as_str() {
        "stale" if host.attested_at.is_empty() => Some(said(Sign::Warning, "attestation lapsed")),
        "stale" => Some(said(
            Sign::Warning,
            format!("attestation lapsed, last proof {} ago", time::ago(&host.attested_at, now)),
        )),
        "pending" => Some(said(Sign::Waiting, with("no quote has passed yet", &sentence(&host.trust_reason)))),
        _ => None,
    }
}

fn ill(host: &Host) -> Option<State> {
    match host.health.as_str() {
        "unavailable" => Some(said(Sign::Failed, "health unavailable")),
        "degraded" => Some(said(Sign::Warning, "health degraded")),
        _ => None,
    }
}

fn in_bad_standing(host: &Host) -> Option<State> {
    let troubles = oem_troubles(host);
    (!troubles.is_empty()).then(|| said(Sign::Warning, troubles.join(", ")))
}

fn well(host: &Host) -> State {
    said(
        Sign::Ok,
        match (host.trust.as_str(), has_key_in_file(host)) {
            ("unattested", true) => "ok, not attested: its key is in a file",
            ("unattested", false) => "ok, not attested",
            (_, true) => "ok, its key is in a file",
            (_, false) => "ok",
        },
    )
}

fn on_the_way(host: &Host) -> Option<State> {
    match host.phase.as_str() {
        "" | "committed" if !host.wanted.is_empty() && host.wanted != host.running => {
            Some(said(Sign::Waiting, with(&format!("waits for {}", clean(&host.wanted_version)), &host.detail)))
        }
        "" | "committed" => None,
        phase => Some(said(Sign::Working, with(&words(phase), &host.detail))),
    }
}
