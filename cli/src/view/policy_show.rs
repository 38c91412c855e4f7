//! One policy: what it is, whose it is, and what it asks of a host, in words.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::Policy;

use super::host_show::facts;
use super::pcr;
use super::policy_document::{Approved, Document};
use super::policy_words::{Known, applies_to, asked, is_in_use, label, sign, state};
use crate::output::signs::Tone;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, short};
use crate::output::{Format, Style, time};

/// Digests of one rule before the rest becomes a count.
const DIGESTS: usize = 6;

/// The whole screen.
pub(crate) fn render(known: Known<'_>, format: Format, now: Timestamp, style: Style) -> String {
    let policy = known.policy;
    let mut text = format!("{}\n\n", style.say(sign(policy), &format!("{} {}", label(policy), state(policy, now))));
    let head = |name: &str| style.paint(Tone::Strong, &format!("{name:<10}"));
    let _infallible = writeln!(text, "{}{}", head("For"), audience(policy, style));
    let _infallible = writeln!(text, "{}{}", head("By"), people(policy, style));
    if let Some(request) = &policy.request {
        let waits = format!("{}, until {}", asked(request), time::stamp(&request.until));
        let _infallible = writeln!(text, "{}{waits}", head("Waits"));
    }
    if !policy.note.is_empty() {
        let _infallible = writeln!(text, "{}{}", head("Note"), clean(&policy.note));
    }
    let _infallible = writeln!(text, "{}sha256 {}", head("Document"), clean(&policy.digest));
    let _infallible = writeln!(text, "\n{}", rules(known.document, format, style));
    let notes = remarks(known, style);
    if !notes.is_empty() {
        let _infallible = writeln!(text, "\n{}", notes.join("\n"));
    }
    text
}

/// What it asks of a host: the demands, then each register with what it may hold.
pub(crate) fn rules(document: &str, format: Format, style: Style) -> String {
    let Some(document) = Document::parse(document) else {
        return "This flota does not understand the document; -o json prints it as it is.".to_owned();
    };
    let mut lines: Vec<String> = document.demands().into_iter().map(|demand| format!("Asks that {demand}.")).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    let mut table = Table::new(["PCR", "MEASURES", "MAY HOLD"]).right(0);
    for (index, rule) in &document.pcrs {
        table.row([Cell::from(index.to_string()), Cell::from(pcr::measures(*index)), Cell::from(rule.words())]);
    }
    let mut rows = table.lines(style).into_iter();
    lines.extend(rows.next());
    let most = if format == Format::Wide { usize::MAX } else { DIGESTS };
    for (row, rule) in rows.zip(document.pcrs.values()) {
        lines.push(row);
        lines.extend(digests(rule.approved(), most, style));
    }
    lines.join("\n")
}

/// What a person has to know of it; nothing if there is nothing.
pub(crate) fn remarks(known: Known<'_>, style: Style) -> Vec<String> {
    if known.notes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![style.paint(Tone::Strong, "Read before it is approved")];
    lines.extend(known.notes.iter().map(|note| style.alarm(&clean(note))));
    lines
}

fn digests(approved: &[Approved], most: usize, style: Style) -> Vec<String> {
    let line = |one: &Approved| format!("       {}  {}", short(&one.digest), clean(&one.note)).trim_end().to_owned();
    let mut lines: Vec<String> = approved.iter().take(most).map(line).collect();
    match approved.len().saturating_sub(most) {
        0 => {}
        hidden => lines.push(format!("       {}and {hidden} more: -o wide", style.ellipsis())),
    }
    lines
}

fn audience(policy: &Policy, style: Style) -> String {
    let met = if is_in_use(policy) {
        format!("{} of {} hosts meet it", policy.hosts_met, policy.hosts)
    } else {
        format!("{} hosts, none of them is held to it", policy.hosts)
    };
    facts(style, &[applies_to(policy), met])
}

fn people(policy: &Policy, style: Style) -> String {
    let made = format!("{}, {}", clean(&policy.author), time::stamp(&policy.created_at));
    let approved = if policy.approvers.is_empty() {
        "approved by nobody yet".to_owned()
    } else {
        format!("approved by {}", clean(&policy.approvers.join(", ")))
    };
    facts(style, &[made, approved])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::policy_detail;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn rules_are_told_in_words() {
        let detail = policy_detail(3, "active");
        let known = Known::of(&detail).unwrap();
        golden("policy-show.txt", &render(known, Format::Table, now(), PLAIN));
        let draft = policy_detail(4, "draft");
        golden("policy-show-draft.txt", &render(Known::of(&draft).unwrap(), Format::Table, now(), PLAIN));
    }

    #[test]
    fn a_long_rule_is_cut_unless_all_of_it_is_asked_for() {
        let approved = vec![Approved { digest: "1a2b".into(), note: String::new() }; 9];
        assert_eq!(digests(&approved, DIGESTS, PLAIN).last().unwrap(), "       …and 3 more: -o wide");
        assert_eq!(digests(&approved, usize::MAX, PLAIN).len(), 9);
    }

    #[test]
    fn a_document_of_another_kind_is_not_half_told() {
        let text = rules(r#"{"schema":"flota.attest.policy/2"}"#, Format::Table, PLAIN);
        assert!(text.contains("does not understand"), "{text}");
    }
}
