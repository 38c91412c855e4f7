//! Checklists: what does not hold first, and what proves the rest.

use flota_proto::v1::{ChecklistItem, HostChecklist};

use crate::commands::checklist::sign_of;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count};
use crate::output::{Format, Style};

/// The manual's words for the items.
const TITLES: [(&str, &str); 6] = [
    ("hmac_key", "HMAC key set"),
    ("package_check", "package verified"),
    ("tpm_evidence", "TPM evidence confirmed"),
    ("exchange_health", "exchange health passed"),
    ("security_export", "export archived"),
    ("ticket", "update in the ticket system"),
];

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 7] =
    ["host", "hmac_key", "package_check", "tpm_evidence", "exchange_health", "security_export", "ticket"];

/// One row of `-o tsv`.
pub(crate) fn row(host: &HostChecklist) -> Vec<String> {
    let status = |(id, _): &(&str, &str)| {
        host.items.iter().find(|item| item.id == *id).map(|item| item.status.clone()).unwrap_or_default()
    };
    std::iter::once(host.host_name.clone()).chain(TITLES.iter().map(status)).collect()
}

/// Whether every item holds.
pub(crate) fn is_done(host: &HostChecklist) -> bool {
    !host.items.is_empty() && host.items.iter().all(|item| item.status == "done")
}

/// How many hosts have everything.
pub(crate) fn tally(hosts: &[HostChecklist]) -> String {
    let done = hosts.iter().filter(|host| is_done(host)).count();
    let have = if hosts.len() == 1 { "has" } else { "have" };
    format!("{done} of {} {have} all six items", count(hosts.len(), "host"))
}

/// For people: of one host every item, of many a line each.
pub(crate) fn render(hosts: &[HostChecklist], format: Format, style: Style) -> String {
    match hosts {
        [host] => one(host, style),
        many => table(many, format, style),
    }
}

fn one(host: &HostChecklist, style: Style) -> String {
    let mut table = Table::new(["ITEM", "STATUS", "EVIDENCE"]);
    for item in &host.items {
        let ChecklistItem { id, status, evidence, .. } = item;
        table.row([Cell::from(title(id)), Cell::signed(sign_of(status), status), Cell::from(evidence)]);
    }
    format!("{}\n{}", clean(&host.host_name), table.render(style))
}

fn table(hosts: &[HostChecklist], format: Format, style: Style) -> String {
    let mut table = Table::new(["HOST", "DONE", "OPEN"]).right(1);
    let mut hosts: Vec<&HostChecklist> = hosts.iter().collect();
    hosts.sort_by_key(|host| (is_done(host), host.host_name.clone()));
    for host in hosts {
        let done = host.items.iter().filter(|item| item.status == "done").count();
        let open = host.items.iter().filter(|item| item.status != "done");
        let open: Vec<String> = open
            .map(|item| {
                let why = if format == Format::Wide { format!(" ({})", clean(&item.evidence)) } else { String::new() };
                format!("{}: {}{why}", clean(&item.status), title(&item.id))
            })
            .collect();
        table.row([
            Cell::from(&host.host_name),
            Cell::from(format!("{done}/{}", host.items.len())),
            Cell::from(if open.is_empty() { "nothing".to_owned() } else { open.join(style.dot()) }),
        ]);
    }
    table.render(style)
}

fn title(id: &str) -> String {
    TITLES.iter().find(|(known, _)| *known == id).map_or_else(|| clean(id), |(_, title)| (*title).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden};

    fn host(name: &str, statuses: [&str; 6]) -> HostChecklist {
        let item = |((id, _), status): (&(&str, &str), &str)| ChecklistItem {
            id: (*id).into(),
            status: status.into(),
            at: "2026-11-23T13:58:00Z".into(),
            evidence: format!("what proves {id}"),
        };
        let items = TITLES.iter().zip(statuses).map(item).collect();
        HostChecklist { host_id: "aa".into(), host_name: name.into(), items }
    }

    #[test]
    fn what_does_not_hold_comes_first() {
        let whole = host("fra-bot-01", ["done"; 6]);
        let open = host("fra-bot-07", ["done", "done", "failed", "stale", "done", "missing"]);
        let both = [whole.clone(), open.clone()];
        let text = [
            render(&both, Format::Table, PLAIN),
            render(&both, Format::Wide, PLAIN),
            render(std::slice::from_ref(&open), Format::Table, PLAIN),
            tally(&both),
        ];
        golden("checklist.txt", &(text.join("\n") + "\n"));
        assert!(is_done(&whole) && !is_done(&open));
        assert_eq!(row(&open).len(), COLUMNS.len());
    }
}
