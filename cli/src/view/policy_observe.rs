//! What hosts measure, register by register, the value of most hosts first.

use flota_proto::v1::ObserveResponse;
use serde::Serialize;

use super::pcr;
use crate::output::signs::Tone;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count, few, short};
use crate::output::{Format, Style};

/// Names listed before the rest becomes a count.
const NAMES: usize = 4;

/// One value of one register, for machines.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Observed {
    pcr: u32,
    digest: String,
    hosts: Vec<String>,
    events: Vec<String>,
}

/// The answer, one value after the other.
pub(crate) fn observed(answer: ObserveResponse) -> Vec<Observed> {
    let values = answer.pcrs.into_iter().flat_map(|pcr| pcr.values.into_iter().map(move |value| (pcr.index, value)));
    values
        .map(|(pcr, value)| Observed { pcr, digest: value.digest, hosts: value.hosts, events: value.events })
        .collect()
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 5] = ["pcr", "digest", "host_count", "hosts", "events"];

impl Observed {
    /// One row of `-o tsv`.
    pub(crate) fn row(&self) -> Vec<String> {
        let Self { pcr, digest, hosts, events } = self;
        let (pcr, number) = (pcr.to_string(), hosts.len().to_string());
        vec![pcr, digest.clone(), number, hosts.join(","), events.join("; ")]
    }

    /// What `-o name` prints.
    pub(crate) fn name(&self) -> String {
        self.digest.clone()
    }
}

/// The table; `-o wide` has every name and every event.
pub(crate) fn render(values: &[Observed], format: Format, style: Style) -> String {
    let mut table = Table::new(["PCR", "MEASURES", "VALUE", "HOSTS", "WHICH", "EVENTS"]).right(0).right(3).right(5);
    let mut last = None;
    for value in values {
        // A register stands in its first row alone; a space keeps the dash for unknown values away.
        let [index, measures] = if last == Some(value.pcr) {
            [Cell::from(" "), Cell::from(" ")]
        } else {
            [Cell::from(value.pcr.to_string()), Cell::from(pcr::measures(value.pcr))]
        };
        last = Some(value.pcr);
        let names = few(&value.hosts, NAMES, style);
        let events = if value.events.is_empty() { String::new() } else { value.events.len().to_string() };
        let number = Cell::from(value.hosts.len().to_string());
        table.row([index, measures, Cell::from(short(&value.digest)), number, Cell::from(names), Cell::from(events)]);
    }
    if format != Format::Wide {
        return table.render(style);
    }
    let mut rows = table.lines(style).into_iter();
    let mut lines: Vec<String> = rows.next().into_iter().collect();
    let under = |words: &str| style.paint(Tone::Dim, &format!("       {}", clean(words)));
    for (row, value) in rows.zip(values) {
        lines.push(row);
        lines.extend((value.hosts.len() > NAMES).then(|| under(&format!("on {}", value.hosts.join(", ")))));
        lines.extend(value.events.iter().map(|event| under(event)));
    }
    lines.join("\n") + "\n"
}

/// What the table does not say.
pub(crate) fn summary(hosts: u32, with_log: u32, values: &[Observed]) -> String {
    let hosts = usize::try_from(hosts).unwrap_or(usize::MAX);
    let differing = values.chunk_by(|one, other| one.pcr == other.pcr).filter(|values| values.len() > 1).count();
    let agree = match differing {
        0 => "all alike".to_owned(),
        number => format!("different in {}", count(number, "PCR")),
    };
    format!("{}, {with_log} of them with a boot log; {agree}", count(hosts, "host"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust::observation;
    use crate::testing::{PLAIN, golden};

    #[test]
    fn values_are_grouped_by_register() {
        let values = observed(observation());
        golden("policy-observe.txt", &render(&values, Format::Table, PLAIN));
        golden("policy-observe-wide.txt", &render(&values, Format::Wide, PLAIN));
        assert_eq!(summary(42, 40, &values), "42 hosts, 40 of them with a boot log; different in 2 PCRs");
        assert!(values.iter().all(|value| value.row().len() == COLUMNS.len()));
    }
}
