//! What is wrong with several hosts at once is said once, and how many are well at each exchange, as the controller has it.

use flota_proto::v1::{HealthCause, HealthRow};

use crate::output::Style;
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count, few};

/// Hosts that a cause names before it counts them.
const NAMED: usize = 3;

/// The sign of a word.
pub(crate) fn sign(status: &str) -> Sign {
    match status {
        "healthy" => Sign::Ok,
        "degraded" => Sign::Warning,
        "unavailable" => Sign::Failed,
        _ => Sign::Silent,
    }
}

/// How many are well, by exchange, and by the label if one was asked for.
pub(crate) fn rows(rows: &[HealthRow], by: &str, style: Style) -> String {
    let labelled = !matches!(by, "" | "exchange");
    let mut table = if labelled {
        Table::new(["EXCHANGE", "LABEL", "HEALTHY", "DEGRADED", "UNAVAILABLE", "UNKNOWN"])
            .right(2)
            .right(3)
            .right(4)
            .right(5)
    } else {
        Table::new(["EXCHANGE", "HEALTHY", "DEGRADED", "UNAVAILABLE", "UNKNOWN"]).right(1).right(2).right(3).right(4)
    };
    for row in rows {
        let number = |tone: Tone, count: u32| match count {
            0 => Cell::from("0"),
            some => Cell::toned(tone, &some.to_string()),
        };
        let mut cells = vec![Cell::from(clean(&row.exchange))];
        if labelled {
            cells.push(Cell::from(format!("{}={}", clean(by), clean(&row.value))));
        }
        cells.extend([
            number(Tone::Good, row.healthy),
            number(Tone::Warn, row.degraded),
            number(Tone::Bad, row.unavailable),
            number(Tone::Dim, row.unknown),
        ]);
        table.row_of(cells);
    }
    table.render(style)
}

/// A table of causes; nothing where no two hosts share one.
pub(crate) fn causes(causes: &[HealthCause], style: Style) -> String {
    if causes.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["SHARED BY", "EXCHANGE", "CHECK", "STATE", "WHO", "DETAILS"]);
    for cause in causes {
        let there = cause.there;
        let who = match cause.blame.as_str() {
            "exchange" => "everybody there: look at the exchange".to_owned(),
            "hosts" => {
                let names: Vec<String> = cause.hosts.iter().map(|host| clean(host)).collect();
                format!("{} of {there} there: {}", cause.hosts.len(), few(&names, NAMED, style))
            }
            label => format!("{} of {there} there: all with {}, nobody else", cause.hosts.len(), clean(label)),
        };
        table.row([
            Cell::from(count(cause.hosts.len(), "host")),
            Cell::from(clean(&cause.exchange)),
            Cell::from(clean(&cause.check)),
            Cell::signed(sign(&cause.status), &cause.status),
            Cell::from(who),
            Cell::from(clean(&cause.details)),
        ]);
    }
    table.render(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden};

    #[test]
    fn what_several_hosts_share_is_said_once() {
        let cause = |exchange: &str, check: &str, details: &str, hosts: &[&str], there, blame: &str| HealthCause {
            exchange: exchange.into(),
            check: check.into(),
            status: "unavailable".into(),
            details: details.into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            there,
            blame: blame.into(),
        };
        let shared = [
            cause("kraken", "public_api", "no answer in 10.0 s", &["a", "b", "c"], 3, "exchange"),
            cause("binance_spot", "private_api", "401 from api.binance.com", &["d", "e"], 5, "account=main-2"),
            cause("binance_spot", "time_skew", "the clock is 2 s off", &["d", "f"], 5, "hosts"),
        ];
        let row = |exchange: &str, value: &str, healthy, degraded, unavailable, unknown| HealthRow {
            exchange: exchange.into(),
            value: value.into(),
            healthy,
            degraded,
            unavailable,
            unknown,
        };
        let counted = [row("kraken", "eu", 0, 0, 3, 1), row("binance_spot", "us", 12, 1, 2, 0)];
        let text = [causes(&shared, PLAIN), rows(&counted, "", PLAIN), rows(&counted, "venue", PLAIN)];
        golden("health-causes.txt", &text.join("\n"));
        assert_eq!(causes(&[], PLAIN), "");
    }
}
