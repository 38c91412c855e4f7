//! Policies by name, the newest version first.

use flota_model::Timestamp;
use flota_proto::v1::Policy;

use super::policy_words::{applies_to, label, met, sign, state};
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
            Cell::signed(sign(policy), &state(policy, now)),
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

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 13] = [
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
    } = policy.clone();
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
