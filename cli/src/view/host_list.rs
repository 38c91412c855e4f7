//! Screen 1: the fleet, trouble first.

use flota_model::Timestamp;
use flota_proto::v1::Host;

use super::host_facts;
use super::host_state::{self, State};
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{count, short};
use crate::output::{Format, Style, time};

/// Most hosts in a table unless `--limit` says otherwise: what a person still reads.
pub(crate) const SHOWN: usize = 100;

/// Trouble first, then by name.
pub(crate) fn sort(hosts: &mut [Host], now: Timestamp) {
    hosts.sort_by_cached_key(|host| (State::of(host, now).sign, host.name.clone()));
}

/// The table, cut to `shown` rows, with a summary of all of them on a terminal.
pub(crate) fn render(hosts: &[Host], shown: usize, format: Format, now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["HOST", "LABELS", "RELEASE", "STATE", "SEEN"]).right(4);
    if format == Format::Wide {
        table.headings(&["ID", "TRUST", "PROVED", "LEASE", "KEY", "POLICY", "OEM", "HEALTH", "EXPORT", "GEN", "AGENT"]);
    }
    for host in hosts.iter().take(shown) {
        let state = State::of(host, now);
        let mut cells = vec![
            Cell::from(&host.name),
            Cell::toned(Tone::Dim, &labels(host)),
            Cell::from(host_state::release(host, style)),
            Cell::signed(state.sign, &state.words),
            Cell::from(time::ago(&host.last_seen, now)),
        ];
        if format == Format::Wide {
            cells.extend([
                Cell::from(&host.id),
                Cell::from(&host.trust),
                Cell::from(time::ago(&host.attested_at, now)),
                Cell::from(host_facts::lease(host, now)),
                key_cell(host),
                Cell::from(host_facts::policy(host)),
                oem_cell(host),
                Cell::from(&host.health),
                Cell::from(time::ago(&host.last_export_at, now)),
                Cell::from(host.generation.to_string()),
                Cell::from(&host.agent_version),
            ]);
        }
        table.row_of(cells);
    }
    let mut text = table.render(style);
    if style.terminal {
        text.push_str(&summary(hosts, shown, now, style));
    }
    text
}

/// One row of `-o tsv`.
pub(crate) fn row(host: &Host) -> Vec<String> {
    let awaits_approval = host.awaits_approval.to_string();
    let fields = [
        &host.name,
        &host.id,
        &host.trust,
        &host.liveness,
        &host.last_seen,
        &host.version,
        &host.running,
        &host.attested_release,
        &host.wanted_version,
        &host.phase,
        &host.health,
        &host.detail,
        &host.lease_until,
        &host.key_storage,
        &awaits_approval,
        &host.policy,
        &host.oem_evidence,
        &host.oem_licence,
    ];
    fields.into_iter().cloned().collect()
}

/// Its header.
pub(crate) const COLUMNS: [&str; 18] = [
    "name",
    "id",
    "trust",
    "liveness",
    "last_seen",
    "version",
    "running",
    "attested_release",
    "wanted_version",
    "phase",
    "health",
    "detail",
    "lease_until",
    "key_storage",
    "awaits_approval",
    "policy",
    "oem_evidence",
    "oem_licence",
];

/// Where the key is.
pub(crate) fn key_cell(host: &Host) -> Cell {
    match host_facts::key(host) {
        (Some(sign), words) => Cell::signed(sign, &words),
        (None, words) => Cell::from(words),
    }
}

/// What manual section 3 says of it.
pub(crate) fn oem_cell(host: &Host) -> Cell {
    host_facts::oem(host).map_or_else(|| Cell::from(""), |(sign, words)| Cell::signed(sign, &words))
}

/// `env=prod,venue=binance`.
pub(crate) fn labels(host: &Host) -> String {
    host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// A digest, or that there is none.
pub(crate) fn digest(digest: &str, style: Style) -> String {
    if digest.is_empty() { style.dash().to_owned() } else { format!("sha256 {}", short(digest)) }
}

fn summary(hosts: &[Host], shown: usize, now: Timestamp, style: Style) -> String {
    const ORDER: [Sign; 8] = [
        Sign::Ok,
        Sign::Failed,
        Sign::Warning,
        Sign::Silent,
        Sign::Working,
        Sign::Waiting,
        Sign::Paused,
        Sign::Skipped,
    ];
    let signs: Vec<Sign> = hosts.iter().map(|host| State::of(host, now).sign).collect();
    let counts = ORDER.into_iter().filter_map(|sign| {
        let number = signs.iter().filter(|other| **other == sign).count();
        (number > 0).then(|| format!("{number} {}", sign.word()))
    });
    let counts = counts.collect::<Vec<_>>().join(style.dot());
    let mut lines = vec![format!("{}: {counts}    {}", count(hosts.len(), "host"), time::of_day(now))];
    if hosts.len() > shown {
        lines.push(format!("{shown} of {} shown.  All: --limit 0   Only trouble: --trouble", hosts.len()));
    }
    style.paint(Tone::Dim, &lines.join("\n")) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{COLOR, PLAIN, TERMINAL, fleet, golden, now};

    #[test]
    fn trouble_comes_first() {
        let mut hosts = fleet();
        sort(&mut hosts, now());
        golden("host-list.txt", &render(&hosts, SHOWN, Format::Table, now(), TERMINAL));
        golden("host-list-cut.txt", &render(&hosts, 3, Format::Table, now(), TERMINAL));
        golden("host-list-wide.txt", &render(&hosts, SHOWN, Format::Wide, now(), PLAIN));
        golden("host-list-color.txt", &render(&hosts, SHOWN, Format::Table, now(), COLOR));
    }

    #[test]
    fn a_row_has_every_column() {
        assert_eq!(row(&Host::default()).len(), COLUMNS.len());
    }
}
