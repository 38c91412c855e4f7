//! Hosts that have proven their TPM and wait for a person.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::{Host, PendingEnrolment};

use super::host_facts::{fingerprint, has_key_in_file};
use super::host_list::{key_cell, labels};
use super::host_show::{facts, named};
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, short};
use crate::output::{Format, Style, time};

/// One of them with its host, which is always there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting<'a> {
    /// The host.
    pub(crate) host: &'a Host,
    /// What was seen of it.
    pub(crate) enrolment: &'a PendingEnrolment,
}

impl<'a> Waiting<'a> {
    /// None if the answer has a hole where the host should be.
    pub(crate) fn of(enrolment: &'a PendingEnrolment) -> Option<Self> {
        Some(Self { host: enrolment.host.as_ref()?, enrolment })
    }
}

/// The table.
pub(crate) fn table(enrolments: &[PendingEnrolment], format: Format, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["HOST", "LABELS", "KEY", "TPM", "FINGERPRINT", "TOKEN", "TOKEN BY", "SEEN"]).right(7);
    if format == Format::Wide {
        table.headings(&["ID", "AGENT"]);
    }
    for Waiting { host, enrolment } in enrolments.iter().filter_map(Waiting::of) {
        let mut cells = vec![
            Cell::from(&host.name),
            Cell::toned(Tone::Dim, &labels(host)),
            key_cell(host),
            Cell::from(&enrolment.tpm_manufacturer),
            Cell::from(short(&enrolment.ek_fingerprint)),
            Cell::from(&enrolment.token),
            Cell::from(&enrolment.token_created_by),
            Cell::from(time::ago(&host.last_seen, now)),
        ];
        if format == Format::Wide {
            cells.extend([Cell::from(&host.id), Cell::from(&host.agent_version)]);
        }
        table.row_of(cells);
    }
    table.render(style)
}

/// One of them, with all that there is to compare before it is let in.
pub(crate) fn show(waiting: Waiting<'_>, now: Timestamp, style: Style) -> String {
    let Waiting { host, enrolment } = waiting;
    let key = match (has_key_in_file(host), enrolment.tpm_manufacturer.as_str()) {
        (true, _) => style.say(Sign::Warning, "in a file: whoever copies the file is this host"),
        (false, "") => "in its TPM, which it has proven".to_owned(),
        (false, maker) => format!("in its TPM ({}), which it has proven", clean(maker)),
    };
    let (id, agent) = (format!("id {}", clean(&host.id)), named("agent", &host.agent_version));
    let seen = if host.last_seen.is_empty() {
        "never seen".to_owned()
    } else {
        format!("seen {} ago", time::ago(&host.last_seen, now))
    };
    let mut text = style.say(Sign::Warning, &format!("{} awaits approval", clean(&host.name))) + "\n\n";
    for (head, line) in [
        ("Host", facts(style, &[id, clean(&labels(host)), agent, seen])),
        ("Key", key),
        (if has_key_in_file(host) { "" } else { "EK" }, fingerprint(&enrolment.ek_fingerprint, style)),
        ("Token", facts(style, &[clean(&enrolment.token), named("made by", &enrolment.token_created_by)])),
    ] {
        let _infallible = writeln!(text, "{}{line}", style.paint(Tone::Strong, &format!("{head:<7}")));
    }
    text
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 8] =
    ["host", "key_storage", "tpm_manufacturer", "ek_fingerprint", "token", "token_created_by", "last_seen", "host_id"];

/// One row of `-o tsv`.
pub(crate) fn row(enrolment: &PendingEnrolment) -> Vec<String> {
    let PendingEnrolment { host, ek_fingerprint, tpm_manufacturer, token, token_created_by } = enrolment.clone();
    let Host { id, name, key_storage, last_seen, .. } = host.unwrap_or_default();
    vec![name, key_storage, tpm_manufacturer, ek_fingerprint, token, token_created_by, last_seen, id]
}

/// What `-o name` prints.
pub(crate) fn name(enrolment: &PendingEnrolment) -> &str {
    enrolment.host.as_ref().map_or("", |host| &host.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::enrolments;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn whoever_lets_a_host_in_sees_what_it_proved() {
        let enrolments = enrolments();
        golden("enrolment-list.txt", &table(&enrolments, Format::Table, now(), PLAIN));
        golden("enrolment-list-wide.txt", &table(&enrolments, Format::Wide, now(), PLAIN));
        let each = enrolments.iter().filter_map(Waiting::of).map(|waiting| show(waiting, now(), PLAIN));
        golden("enrolment-show.txt", &each.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&PendingEnrolment::default()).len(), COLUMNS.len());
    }
}
