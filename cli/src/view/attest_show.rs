//! One host's proof: what it is, what it was held to, what it measured, what became of it.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::{Host, HostDetail, PcrState};

use super::attest_status::standing;
use super::host_facts::{fingerprint, has_key_in_file, lease_words, oem};
use super::host_show::{certificate, facts, key, named};
use super::pcr;
use super::policy_document::{Document, Rule};
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, sentence, short, words};
use crate::output::{Style, time};

/// A policy that a host was held to.
#[derive(Debug, Clone)]
pub(crate) struct HeldTo {
    /// As the host names it.
    pub(crate) label: String,
    /// None if it is not understood here.
    pub(crate) document: Option<Document>,
}

/// The whole screen, with this many verdicts.
pub(crate) fn render(detail: &HostDetail, held: &[HeldTo], verdicts: usize, now: Timestamp, style: Style) -> String {
    let Some(host) = &detail.host else { return String::new() };
    let (sign, word) = standing(host, now);
    let why = if host.trust_reason.is_empty() { String::new() } else { format!(": {}", sentence(&host.trust_reason)) };
    let mut text = format!("{}\n\n", style.say(sign, &format!("{} {word}{why}", clean(&host.name))));
    for (head, line) in [
        ("Identity", identity(host, detail, now, style)),
        (if has_key_in_file(host) { "Key" } else { "EK" }, fingerprint(&detail.ek_fingerprint, style)),
        ("Quoted", quoted(host, now, style)),
        ("Boot log", fingerprint(&detail.boot_log_sha256, style)),
        ("OEM", oem(host).map_or_else(|| style.dash().to_owned(), |(sign, words)| style.say(sign, &words))),
    ] {
        let _infallible = writeln!(text, "{}{line}", style.paint(Tone::Strong, &format!("{head:<10}")));
    }
    text.push_str(&registers(&detail.pcrs, held, style));
    text.push_str(&history(detail, verdicts, now, style));
    text
}

fn identity(host: &Host, detail: &HostDetail, now: Timestamp, style: Style) -> String {
    let enrolled = named("enrolled", &time::stamp(&detail.enrolled_at));
    let id = format!("id {}", clean(&host.id));
    let key = key(host, &detail.tpm_manufacturer, "", style);
    facts(style, &[id, key, enrolled, certificate(detail, now, style)])
}

fn quoted(host: &Host, now: Timestamp, style: Style) -> String {
    let when = if host.attested_at.is_empty() {
        "never".to_owned()
    } else {
        format!("{} ({} ago)", time::stamp(&host.attested_at), time::ago(&host.attested_at, now))
    };
    let held = match (host.policy.as_str(), host.attested_at.is_empty()) {
        ("", true) => String::new(),
        ("", false) => "held to its own first quote".to_owned(),
        (policy, _) => format!("held to {}", clean(policy)),
    };
    facts(style, &[when, held, lease_words(host, now)])
}

/// Each register with what the policies say of it; without one, whether it is still what it was.
fn registers(pcrs: &[PcrState], held: &[HeldTo], style: Style) -> String {
    if pcrs.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["PCR", "MEASURES", "QUOTED", "FIRST QUOTE"]).right(0);
    if !held.is_empty() {
        table.headings(&["POLICY"]);
    }
    for pcr in pcrs {
        let first = match (pcr.baseline.is_empty(), pcr.baseline == pcr.quoted) {
            (true, _) => Cell::from(""),
            (false, true) => Cell::toned(Tone::Dim, "the same"),
            // Without a policy this is what it fails by; with one, it is what a planned change looks like.
            (false, false) if held.is_empty() => Cell::signed(Sign::Failed, &short(&pcr.baseline)),
            (false, false) => Cell::from(short(&pcr.baseline)),
        };
        let measures = Cell::from(pcr::measures(pcr.index));
        let mut cells = vec![Cell::from(pcr.index.to_string()), measures, Cell::from(short(&pcr.quoted)), first];
        if !held.is_empty() {
            cells.push(verdict(pcr, held));
        }
        table.row_of(cells);
    }
    format!("\n{}", table.render(style))
}

/// What the policies say of a register, where the value alone decides: events only the controller can judge.
fn verdict(pcr: &PcrState, held: &[HeldTo]) -> Cell {
    let said: Vec<(Sign, String)> = held.iter().map(|held| rule_of(pcr, held)).collect();
    let words = said.iter().zip(held).map(|((_, words), held)| match said.len() {
        1 => words.clone(),
        _ => format!("{}: {words}", clean(&held.label)),
    });
    let words = words.collect::<Vec<_>>().join("; ");
    match said.iter().map(|(sign, _)| *sign).min() {
        None | Some(Sign::Waiting) => Cell::from(words),
        Some(sign) => Cell::signed(sign, &words),
    }
}

fn rule_of(pcr: &PcrState, held: &HeldTo) -> (Sign, String) {
    let Some(document) = &held.document else { return (Sign::Waiting, "not understood here".to_owned()) };
    match document.pcrs.get(&pcr.index) {
        None => (Sign::Failed, "not named".to_owned()),
        Some(rule @ Rule::Ignored(_)) => (Sign::Skipped, rule.words()),
        Some(rule @ Rule::Events { .. }) => (Sign::Waiting, rule.words()),
        Some(rule @ Rule::Values(_)) if rule.approves(&pcr.quoted) => (Sign::Ok, "approved".to_owned()),
        Some(Rule::Values(_)) => (Sign::Failed, "not approved".to_owned()),
    }
}

fn history(detail: &HostDetail, verdicts: usize, now: Timestamp, style: Style) -> String {
    if detail.attestations.is_empty() || verdicts == 0 {
        return String::new();
    }
    let mut table = Table::default();
    for record in detail.attestations.iter().take(verdicts) {
        let sign = match record.verdict.as_str() {
            "pass" => Sign::Ok,
            "fail" => Sign::Failed,
            _ => Sign::Working,
        };
        let reasons: Vec<String> = record.reasons.iter().map(|reason| sentence(reason)).collect();
        // A space keeps the dash for unknown values away: a pass needs no reason.
        let reasons = if reasons.is_empty() { " ".to_owned() } else { reasons.join("; ") };
        table.row([
            Cell::from(time::clock(&record.at, now)),
            Cell::signed(sign, &words(&record.verdict)),
            Cell::from(reasons),
        ]);
    }
    format!("\n{}\n{}", style.paint(Tone::Strong, "Last verdicts"), table.render(style))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::{document, measured_detail};
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn each_register_is_held_to_its_rule() {
        let held = [HeldTo { label: "prod@3".into(), document: Document::parse(&document()) }];
        golden("attest-show.txt", &render(&measured_detail("fra-bot-01"), &held, 10, now(), PLAIN));
        golden("attest-show-drifted.txt", &render(&measured_detail("fra-bot-13"), &held, 10, now(), PLAIN));
        let mut own = measured_detail("fra-bot-02");
        own.host.as_mut().unwrap().policy.clear();
        golden("attest-show-first-quote.txt", &render(&own, &[], 1, now(), PLAIN));
        golden("attest-show-file.txt", &render(&measured_detail("waw-bot-04"), &[], 1, now(), PLAIN));
        golden("attest-show-new.txt", &render(&measured_detail("waw-bot-05"), &[], 1, now(), PLAIN));
    }

    #[test]
    fn the_strictest_of_several_policies_decides() {
        let pcr = &measured_detail("fra-bot-01").pcrs[3];
        let held = |label: &str, document: &str| HeldTo { label: label.into(), document: Document::parse(document) };
        let strict = document().replace(r#"{"ignore":"the initramfs is built on each host"}"#, r#"{"allow":[]}"#);
        let both = [held("prod@3", &document()), held("base@1", &strict)];
        let cell = format!("{:?}", verdict(pcr, &both));
        assert!(cell.contains("base@1: not approved") && cell.contains("Failed"), "{cell}");
        assert!(format!("{:?}", verdict(pcr, &[held("new@1", "{}")])).contains("not understood here"));
    }
}
