//! Policies by name, the newest version first.

use flota_model::Timestamp;
use flota_proto::v1::{Policy, PolicyRequest};

use super::policy_words::{applies_to, change, label, met, sign, state};
use crate::output::table::{Cell, Table};
use crate::output::text::short;
use crate::output::{Format, Style, time};

/// The table.
pub(crate) fn render(policies: &[Policy], format: Format, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["POLICY", "STATE", "FOR", "MET", "AUTHOR", "APPROVED BY", "NOTE"]).right(3);
    if format == Format::Wide {
        table.headings(&["MADE", "SHA256"]);
    }
    for policy in policies {
        let mut cells = vec![
            Cell::from(label(policy)),
            Cell::signed(sign(policy), &standing(policy, now)),
            Cell::from(applies_to(policy)),
            Cell::from(met(policy)),
            Cell::from(&policy.author),
            Cell::from(policy.approvers.join(", ")),
            Cell::from(&policy.note),
        ];
        if format == Format::Wide {
            cells.extend([Cell::from(time::stamp(&policy.created_at)), Cell::from(short(&policy.digest))]);
        }
        table.row_of(cells);
    }
    table.render(style)
}

fn standing(policy: &Policy, now: Timestamp) -> String {
    let state = state(policy, now);
    policy.request.as_ref().map_or(state.clone(), |request| format!("{state}, {} asked for", change(request)))
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 15] = [
    "name",
    "version",
    "state",
    "applies_to",
    "hosts",
    "hosts_met",
    "author",
    "approvers",
    "valid_from",
    "valid_until",
    "created_at",
    "note",
    "digest",
    "asked",
    "asked_by",
];

/// One row of `-o tsv`.
pub(crate) fn row(policy: &Policy) -> Vec<String> {
    let Policy {
        digest,
        name,
        version,
        state,
        applies_to,
        author,
        created_at,
        approvers,
        note,
        valid_from,
        valid_until,
        hosts,
        hosts_met,
        request,
    } = policy.clone();
    let PolicyRequest { change, author: asked_by, .. } = request.unwrap_or_default();
    let [version, hosts, met] = [version, hosts, hosts_met].map(|number| number.to_string());
    let approvers = approvers.join(",");
    vec![
        name,
        version,
        state,
        applies_to,
        hosts,
        met,
        author,
        approvers,
        valid_from,
        valid_until,
        created_at,
        note,
        digest,
        change,
        asked_by,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::policies;
    use crate::testing::{PLAIN, golden, now};

    #[test]
    fn a_policy_in_use_says_how_many_hosts_meet_it() {
        golden("policy-list.txt", &render(&policies(), Format::Table, now(), PLAIN));
        golden("policy-list-wide.txt", &render(&policies(), Format::Wide, now(), PLAIN));
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&Policy::default()).len(), COLUMNS.len());
    }
}
