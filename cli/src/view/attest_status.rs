//! How far hosts are trusted, and for how long yet: what needs a person comes first.

use flota_model::Timestamp;
use flota_proto::v1::Host;

use super::host_facts::{self, lease_left, trust_sign};
use super::host_list::{key_cell, oem_cell};
use crate::exit::Exit;
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count, sentence, words};
use crate::output::{Format, Style, time};

/// Its trust in a sign and a word.
pub(crate) fn standing(host: &Host, now: Timestamp) -> (Sign, String) {
    match host.trust.as_str() {
        "pending" | "trusted" | "unattested" | "stale" if host.awaits_approval => {
            (Sign::Warning, "awaits approval".to_owned())
        }
        "trusted" if lease_left(host, now).is_none() => (Sign::Warning, "trusted, its lease is over".to_owned()),
        trust => (trust_sign(host), words(trust)),
    }
}

/// What they come to: a host that is out of trust weighs more than one that waits for a person, and that more than one
/// that has yet to prove itself.
pub(crate) fn judged(hosts: &[Host], now: Timestamp) -> Exit {
    let any = |holds: &dyn Fn(&Host, Sign) -> bool| hosts.iter().any(|host| holds(host, standing(host, now).0));
    if any(&|_, sign| sign == Sign::Failed) {
        Exit::Bad
    } else if any(&|host, sign| sign == Sign::Warning && host.awaits_approval) {
        Exit::Decision
    } else if any(&|_, sign| !matches!(sign, Sign::Ok | Sign::Skipped)) {
        Exit::Partial
    } else {
        Exit::Good
    }
}

/// Trouble first, then by name.
pub(crate) fn sort(hosts: &mut [Host], now: Timestamp) {
    hosts.sort_by_cached_key(|host| (standing(host, now).0, host.name.clone()));
}

/// The table.
pub(crate) fn table(hosts: &[Host], format: Format, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["HOST", "TRUST", "LEASE", "QUOTED", "POLICY", "OEM", "WHY"]).right(2).right(3);
    if format == Format::Wide {
        table.headings(&["KEY", "ID"]);
    }
    for host in hosts {
        let (sign, word) = standing(host, now);
        let lease = host_facts::lease(host, now);
        // One host without a lease is a fact; a host that is trusted for a few seconds more is none.
        let lease = if lease == "none" { Cell::toned(Tone::Dim, "none") } else { Cell::from(lease) };
        let mut cells = vec![
            Cell::from(&host.name),
            Cell::signed(sign, &word),
            lease,
            Cell::from(time::ago(&host.attested_at, now)),
            Cell::from(host_facts::policy(host)),
            oem_cell(host),
            Cell::from(sentence(&host.trust_reason)),
        ];
        if format == Format::Wide {
            cells.extend([key_cell(host), Cell::from(&host.id)]);
        }
        table.row_of(cells);
    }
    table.render(style)
}

/// The count of each state, and the command for the first that needs someone.
pub(crate) fn summary(hosts: &[Host], now: Timestamp, style: Style) -> String {
    let mut states: Vec<(Sign, String, usize)> = Vec::new();
    for host in hosts {
        let (sign, word) = standing(host, now);
        match states.iter_mut().find(|(_, known, _)| *known == word) {
            Some((.., number)) => *number += 1,
            None => states.push((sign, word, 1)),
        }
    }
    states.sort_by_key(|(sign, ..)| *sign != Sign::Ok);
    let counts: Vec<String> = states.iter().map(|(_, word, number)| format!("{number} {word}")).collect();
    let counts = format!("{}: {}", count(hosts.len(), "host"), counts.join(style.dot()));
    next(hosts).map_or_else(|| counts.clone(), |next| format!("{counts}\nnext: {next}"))
}

/// The command for the first host of the worst kind.
fn next(hosts: &[Host]) -> Option<String> {
    let first = |holds: &dyn Fn(&Host) -> bool| hosts.iter().find(|host| holds(host)).map(|host| clean(&host.name));
    let explain = first(&|host| host.trust == "drifted").map(|name| format!("flota policy explain {name}"));
    let look = || first(&|host| trust_sign(host) == Sign::Failed).map(|name| format!("flota attest show {name}"));
    let let_in =
        || first(&|host| host.awaits_approval && host.trust != "retired").map(|_| "flota enrolment list".to_owned());
    let challenge = || {
        let unproven = first(&|host| matches!(host.trust.as_str(), "stale" | "pending"));
        unproven.map(|name| format!("flota attest challenge {name}"))
    };
    explain.or_else(look).or_else(let_in).or_else(challenge)
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 11] = [
    "host",
    "trust",
    "lease_until",
    "attested_at",
    "policy",
    "oem_evidence",
    "oem_licence",
    "awaits_approval",
    "key_storage",
    "reason",
    "host_id",
];

/// One row of `-o tsv`.
pub(crate) fn row(host: &Host) -> Vec<String> {
    let Host { id, name, trust, trust_reason, attested_at, lease_until, key_storage, .. } = host.clone();
    let Host { policy, oem_evidence, oem_licence, awaits_approval, .. } = host.clone();
    let awaits = awaits_approval.to_string();
    vec![
        name,
        trust,
        lease_until,
        attested_at,
        policy,
        oem_evidence,
        oem_licence,
        awaits,
        key_storage,
        trust_reason,
        id,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, fleet, fleet_host, golden, now};

    #[test]
    fn trust_is_told_with_what_is_left_of_it() {
        let mut hosts = fleet();
        sort(&mut hosts, now());
        golden("attest-status.txt", &table(&hosts, Format::Table, now(), PLAIN));
        golden("attest-status-wide.txt", &table(&hosts, Format::Wide, now(), PLAIN));
        golden("attest-status-summary.txt", &(summary(&hosts, now(), PLAIN) + "\n"));
    }

    #[test]
    fn the_worst_host_decides() {
        let of = |names: &[&str]| names.iter().map(|name| fleet_host(name)).collect::<Vec<_>>();
        let judged = |names: &[&str]| judged(&of(names), now());
        assert_eq!(judged(&["fra-bot-01", "waw-bot-04"]), Exit::Good, "a host without a TPM was let in so");
        assert_eq!(judged(&["fra-bot-01", "fra-bot-11"]), Exit::Partial);
        assert_eq!(judged(&["fra-bot-11", "waw-bot-05"]), Exit::Decision);
        assert_eq!(judged(&["waw-bot-05", "fra-bot-13"]), Exit::Bad);
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&Host::default()).len(), COLUMNS.len());
    }
}
