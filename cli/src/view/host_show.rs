//! Screen 2: one host. The verdict, what to do, then facts in the order in which a person asks for them.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::{AuditEntry, Host, HostDetail};

use super::host_facts::{has_key_in_file, lease_words, oem_troubles, oem_words, trust_sign};
use super::host_list::{digest, labels};
use super::host_state::{self, State};
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{bytes, clean, sentence, short, words};
use crate::output::{Style, time};

/// The whole screen, with this many events.
pub(crate) fn render(detail: &HostDetail, events: usize, now: Timestamp, style: Style) -> String {
    let Some(host) = &detail.host else { return String::new() };
    let state = State::of(host, now);
    let verdict =
        if state.sign == Sign::Ok { format!("runs {}", host_state::release(host, style)) } else { state.words };
    let mut text = format!("{}\n\n", style.say(state.sign, &format!("{} {verdict}", clean(&host.name))));
    if let Some(next) = next(host, state.sign) {
        let _infallible = writeln!(text, "  {}   {next}\n", style.paint(Tone::Strong, "Next"));
    }
    for (head, facts) in [
        ("Host", identity(host, detail, style)),
        ("Trust", trust(host, detail, now, style)),
        ("Software", software(host, style)),
        ("Health", health(host, now, style)),
        ("Duties", duties(host, detail, now, style)),
    ] {
        let _infallible = writeln!(text, "{}{facts}", style.paint(Tone::Strong, &format!("{head:<10}")));
    }
    text.push_str(&proof(detail, style));
    text.push_str(&last_events(&detail.events, events, now, style));
    text
}

/// The command that a person would want next.
fn next(host: &Host, sign: Sign) -> Option<String> {
    let name = clean(&host.name);
    match (sign, host.phase.as_str(), host.trust.as_str()) {
        _ if host.awaits_approval => Some(format!("flota enrolment show {name}")),
        (_, _, "drifted") => Some(format!("flota policy explain {name}")),
        (_, _, "untrusted" | "quarantined") => {
            Some(format!("find out why: flota attest show {name}     then  flota attest clear {name} --reason TEXT"))
        }
        (_, _, "stale" | "pending") => Some(format!("flota attest challenge {name}")),
        (_, "rolled_back" | "refused" | "safe_hold", _) if !host.rollout.is_empty() => {
            let rollout = clean(&host.rollout);
            Some(format!("flota health run {name}     then  flota rollout explain {rollout} --host {name}"))
        }
        (Sign::Silent, ..) => Some(format!(
            "flota host ping {name}     it keeps trading on its own; reach it out of band if it stays silent"
        )),
        (Sign::Working | Sign::Waiting, ..) if !host.rollout.is_empty() => {
            Some(format!("flota rollout explain {} --host {name}", clean(&host.rollout)))
        }
        (Sign::Warning, ..) if !is_ill(host) && !oem_troubles(host).is_empty() => {
            Some("flota escalation list".to_owned())
        }
        (Sign::Failed | Sign::Warning, ..) => Some(format!("flota health run {name}")),
        _ => None,
    }
}

fn is_ill(host: &Host) -> bool {
    matches!(host.health.as_str(), "unavailable" | "degraded")
}

pub(super) fn facts(style: Style, facts: &[String]) -> String {
    facts.iter().filter(|fact| !fact.is_empty()).cloned().collect::<Vec<_>>().join(style.dot())
}

pub(super) fn named(name: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("{name} {}", clean(value)) }
}

fn identity(host: &Host, detail: &HostDetail, style: Style) -> String {
    let enrolled = named("enrolled", &time::stamp(&detail.enrolled_at));
    facts(style, &[format!("id {}", clean(&host.id)), clean(&labels(host)), enrolled])
}

fn trust(host: &Host, detail: &HostDetail, now: Timestamp, style: Style) -> String {
    let trust = style.say(trust_sign(host), &words(&host.trust));
    let approval = if host.awaits_approval { style.say(Sign::Warning, "awaits approval") } else { String::new() };
    let proved = if host.attested_at.is_empty() {
        "never proved".to_owned()
    } else {
        format!("proved {} ago", time::ago(&host.attested_at, now))
    };
    let lease = lease_words(host, now);
    let reason = sentence(&host.trust_reason);
    let policy = named("policy", &host.policy);
    let key = key(host, &detail.tpm_manufacturer, &short(&detail.ek_fingerprint), style);
    let certificate = certificate(detail, now, style);
    facts(style, &[trust, reason, approval, proved, lease, policy, key, certificate])
}

/// What it proves itself with.
pub(super) fn key(host: &Host, tpm: &str, ek: &str, style: Style) -> String {
    if has_key_in_file(host) {
        return style.say(Sign::Warning, "key in a file");
    }
    facts(style, &[named("TPM", tpm), named("EK", ek)])
}

/// How long its certificate lasts.
pub(super) fn certificate(detail: &HostDetail, now: Timestamp, style: Style) -> String {
    let trust = detail.host.as_ref().map_or("", |host| host.trust.as_str());
    if detail.certificate_expires_at.is_empty() {
        String::new()
    } else if matches!(trust, "untrusted" | "quarantined" | "retired") {
        style.paint(Tone::Bad, "certificate refused")
    } else if time::parse(&detail.certificate_expires_at).is_some_and(|end| end <= now) {
        style.paint(Tone::Bad, "certificate expired")
    } else {
        format!("certificate {} left", time::until(&detail.certificate_expires_at, now))
    }
}

fn software(host: &Host, style: Style) -> String {
    let proof = match (host.running.is_empty(), host.running == host.attested_release) {
        (true, _) => "no release yet".to_owned(),
        (false, true) => {
            format!("running {} ({}, proved by quote)", clean(&host.version), digest(&host.running, style))
        }
        (false, false) => {
            let claim = format!("running {} ({}, not proved)", clean(&host.version), digest(&host.running, style));
            style.paint(Tone::Warn, &claim)
        }
    };
    let wanted = if host.wanted.is_empty() || host.wanted == host.running {
        String::new()
    } else {
        format!("wanted {} ({})", clean(&host.wanted_version), digest(&host.wanted, style))
    };
    let phase = if matches!(host.phase.as_str(), "" | "committed") { String::new() } else { words(&host.phase) };
    let ahead = if host.ahead {
        format!("{} generation {}, which this controller never gave", Sign::Warning.glyph(style), host.generation)
    } else {
        String::new()
    };
    facts(style, &[proof, wanted, ahead, phase, named("agent", &host.agent_version), named("rollout", &host.rollout)])
}

fn health(host: &Host, now: Timestamp, style: Style) -> String {
    let sign = match host.health.as_str() {
        "healthy" => Sign::Ok,
        "degraded" => Sign::Warning,
        "unavailable" => Sign::Failed,
        _ => return style.say(Sign::Silent, "not known; no check has been run"),
    };
    facts(style, &[style.say(sign, &clean(&host.health)), format!("checked {} ago", time::ago(&host.health_at, now))])
}

fn duties(host: &Host, detail: &HostDetail, now: Timestamp, style: Style) -> String {
    facts(style, &[export(host, detail, now, style), oem_words(host, style)])
}

fn export(host: &Host, detail: &HostDetail, now: Timestamp, style: Style) -> String {
    if host.last_export_at.is_empty() {
        return style.say(Sign::Warning, "no security export yet");
    }
    let newest = detail.exports.first();
    let size = newest.map_or_else(String::new, |export| {
        format!(
            "{}, {} audit and {} alert entries",
            bytes(export.size_bytes),
            export.audit_entries,
            export.alert_entries
        )
    });
    let sign = if newest.is_none_or(|export| export.status == "ok") { Sign::Ok } else { Sign::Warning };
    facts(style, &[style.say(sign, &format!("export {} ago", time::ago(&host.last_export_at, now))), size])
}

/// Registers and verdicts, only where they say more than the trust line.
fn proof(detail: &HostDetail, style: Style) -> String {
    let mut text = String::new();
    let differing: Vec<_> = detail.pcrs.iter().filter(|pcr| pcr.baseline != pcr.quoted).collect();
    if !differing.is_empty() {
        let _infallible = writeln!(text, "\n{}", style.paint(Tone::Strong, "Registers that differ from the baseline"));
        let mut table = Table::new(["PCR", "BASELINE", "QUOTED"]).right(0);
        for pcr in differing {
            table.row([
                Cell::from(pcr.index.to_string()),
                Cell::from(&pcr.baseline),
                Cell::toned(Tone::Bad, &pcr.quoted),
            ]);
        }
        text.push_str(&table.render(style));
    }
    if let Some(last) = detail.attestations.first().filter(|last| !last.reasons.is_empty()) {
        let head = format!("Last attestation: {} at {}", words(&last.verdict), time::stamp(&last.at));
        let _infallible = writeln!(text, "\n{}", style.paint(Tone::Strong, &head));
        text.extend(last.reasons.iter().map(|reason| format!("  {}\n", sentence(reason))));
    }
    text
}

fn last_events(events: &[AuditEntry], shown: usize, now: Timestamp, style: Style) -> String {
    if events.is_empty() || shown == 0 {
        return String::new();
    }
    let mut table = Table::default();
    for event in events.iter().take(shown) {
        let bad = matches!(event.outcome.as_str(), "denied" | "failed" | "fail");
        let outcome = if bad { Cell::toned(Tone::Bad, &event.outcome) } else { Cell::from(&event.outcome) };
        table.row([
            Cell::from(time::clock(&event.at, now)),
            Cell::from(&event.action),
            outcome,
            Cell::from(&event.actor),
        ]);
    }
    format!("\n{}\n{}", style.paint(Tone::Strong, "Last events"), table.render(style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TERMINAL, fleet_host, golden, host_detail, now};

    #[test]
    fn the_verdict_comes_first() {
        golden("host-show-rolled-back.txt", &render(&host_detail("fra-bot-07"), 10, now(), TERMINAL));
        golden("host-show-ok.txt", &render(&host_detail("fra-bot-01"), 1, now(), TERMINAL));
        golden("host-show-drifted.txt", &render(&host_detail("fra-bot-13"), 10, now(), TERMINAL));
    }

    #[test]
    fn every_state_of_trouble_names_a_command() {
        for name in ["fra-bot-07", "fra-bot-11", "waw-bot-02", "fra-bot-13"] {
            let host = fleet_host(name);
            assert!(next(&host, State::of(&host, now()).sign).is_some(), "{name}");
        }
    }
}
