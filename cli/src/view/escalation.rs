//! What a person of the security role must look at.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::Escalation;

use super::host_show::facts;
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, words};
use crate::output::{Format, Style, time};

/// What it is about.
pub(crate) fn kind(escalation: &Escalation) -> String {
    match escalation.kind.as_str() {
        "oem_evidence" => "OEM evidence".to_owned(),
        "oem_licence" => "OEM licence".to_owned(),
        other => words(other),
    }
}

/// Whom it is about, and what.
pub(crate) fn title(escalation: &Escalation) -> String {
    format!("{}: {}", clean(&escalation.host_name), kind(escalation))
}

/// The sign of its state.
pub(crate) fn sign(escalation: &Escalation) -> Sign {
    if escalation.state == "resolved" { Sign::Ok } else { Sign::Warning }
}

/// The table.
pub(crate) fn table(escalations: &[Escalation], format: Format, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["AGE", "STATE", "ABOUT", "HOST", "WHAT", "WEBHOOK", "ESCALATION"]).right(0);
    if format == Format::Wide {
        table.headings(&["RESOLVED BY", "RESOLUTION"]);
    }
    for escalation in escalations {
        let mut cells = vec![
            Cell::from(time::ago(&escalation.opened_at, now)),
            Cell::signed(sign(escalation), &words(&escalation.state)),
            Cell::from(kind(escalation)),
            Cell::from(&escalation.host_name),
            Cell::from(&escalation.summary),
            told(escalation),
            Cell::from(&escalation.id),
        ];
        if format == Format::Wide {
            cells.extend([Cell::from(&escalation.resolved_by), Cell::from(&escalation.resolution)]);
        }
        table.row_of(cells);
    }
    table.render(style)
}

/// One of them.
pub(crate) fn show(escalation: &Escalation, now: Timestamp, style: Style) -> String {
    let Escalation {
        id, host_id, host_name, summary, opened_at, resolved_at, resolved_by, resolution, delivery, ..
    } = escalation;
    let state = words(&escalation.state);
    let head = format!("{} ({state})", title(escalation));
    let mut text = format!("{}\n\n  {}\n\n", style.say(sign(escalation), &head), clean(summary));
    let mut facts_of = vec![
        ("Opened", format!("{} ({} ago)", time::stamp(opened_at), time::ago(opened_at, now))),
        ("Host", facts(style, &[clean(host_name), format!("id {}", clean(host_id))])),
        ("Webhook", delivered(delivery)),
        ("Id", clean(id)),
    ];
    if !resolved_at.is_empty() {
        let by = format!("by {}", clean(resolved_by));
        facts_of.push(("Resolved", facts(style, &[time::stamp(resolved_at), by, clean(resolution)])));
    }
    for (head, line) in facts_of {
        let _infallible = writeln!(text, "{}{line}", style.paint(Tone::Strong, &format!("{head:<10}")));
    }
    text
}

/// In one word: the sentence stands in `show`.
fn told(escalation: &Escalation) -> Cell {
    match escalation.delivery.split([':', ' ']).next().unwrap_or_default() {
        "delivered" => Cell::signed(Sign::Ok, "delivered"),
        "failed" => Cell::signed(Sign::Failed, "failed"),
        "waiting" => Cell::signed(Sign::Waiting, "waiting"),
        "none" | "" => Cell::from(""),
        other => Cell::from(other),
    }
}

/// Its time as people write it.
fn delivered(delivery: &str) -> String {
    match delivery.strip_prefix("delivered at ").map(time::stamp) {
        Some(at) if !at.is_empty() => format!("delivered {at}"),
        _ if matches!(delivery, "" | "none") => "not told".to_owned(),
        _ => clean(delivery),
    }
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 11] = [
    "id",
    "kind",
    "host",
    "state",
    "opened_at",
    "summary",
    "delivery",
    "resolved_at",
    "resolved_by",
    "resolution",
    "host_id",
];

/// One row of `-o tsv`.
pub(crate) fn row(escalation: &Escalation) -> Vec<String> {
    let Escalation { id, kind, host_id, host_name, summary, opened_at, state, resolved_at, .. } = escalation.clone();
    let Escalation { resolved_by, resolution, delivery, .. } = escalation.clone();
    vec![id, kind, host_name, state, opened_at, summary, delivery, resolved_at, resolved_by, resolution, host_id]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::escalations;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn what_is_open_says_who_was_told() {
        let escalations = escalations();
        golden("escalation-list.txt", &table(&escalations, Format::Table, now(), PLAIN));
        golden("escalation-list-wide.txt", &table(&escalations, Format::Wide, now(), PLAIN));
        let each = escalations.iter().map(|escalation| show(escalation, now(), PLAIN));
        golden("escalation-show.txt", &each.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&Escalation::default()).len(), COLUMNS.len());
    }
}
