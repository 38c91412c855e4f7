//! What is wrong with several hosts at once is said once; and where it is wrong with everybody who trades at an exchange, it is
//! the exchange rather than the hosts.

use std::collections::{BTreeMap, BTreeSet};

use flota_proto::v1::HostHealth;

use super::health_report::{Check, checks, sign};
use crate::output::Style;
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count};

/// Least number of hosts that share a cause: what one host has stands in its own row.
const SHARED: usize = 2;
/// Least number of hosts at an exchange before it is blamed.
const TELLING: usize = 3;

/// Exchange, check, state, and what is said of it with its numbers taken out: times and balances differ.
type Like = (String, String, String, String);

/// A table of causes; nothing where no two hosts share one.
pub(crate) fn render(hosts: &[HostHealth], style: Style) -> String {
    let mut at_exchange = BTreeMap::<String, BTreeSet<&str>>::new();
    let mut causes = BTreeMap::<Like, (BTreeSet<&str>, Check)>::new();
    for health in hosts {
        for check in checks(&health.report_json) {
            at_exchange.entry(check.exchange.clone()).or_default().insert(&health.host_name);
            if check.status == "healthy" {
                continue;
            }
            let (hosts, _) = causes.entry(like(&check)).or_insert_with(|| (BTreeSet::new(), check));
            hosts.insert(&health.host_name);
        }
    }
    let mut shared: Vec<(BTreeSet<&str>, Check)> =
        causes.into_values().filter(|(hosts, _)| hosts.len() >= SHARED).collect();
    if shared.is_empty() {
        return String::new();
    }
    shared.sort_by_key(|(hosts, _)| std::cmp::Reverse(hosts.len()));
    let mut table = Table::new(["SHARED BY", "EXCHANGE", "CHECK", "STATE", "WHO", "DETAILS"]);
    for (hosts, check) in shared {
        let there = at_exchange.get(&check.exchange).map_or(0, BTreeSet::len);
        let who = if hosts.len() == there && there >= TELLING {
            "everybody there: look at the exchange".to_owned()
        } else {
            format!("{} of {there} there", hosts.len())
        };
        table.row([
            Cell::from(count(hosts.len(), "host")),
            Cell::from(clean(&check.exchange)),
            Cell::from(clean(&check.name)),
            Cell::signed(sign(&check.status), &check.status),
            Cell::from(who),
            Cell::from(clean(&check.details)),
        ]);
    }
    format!("\n{}", table.render(style))
}

fn like(check: &Check) -> Like {
    let Check { exchange, name, status, details, latency: _ } = check;
    let words = details.split(|letter: char| letter.is_ascii_digit() || letter == '.').collect::<Vec<_>>().join(" ");
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (exchange.clone(), name.clone(), status.clone(), words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden};

    fn host(name: &str, exchange: &str, public: (&str, &str), private: (&str, &str)) -> HostHealth {
        let result = |name: &str, (status, details): (&str, &str)| serde_json::json!({ "name": name, "status": status, "latency": null, "details": details });
        let report = serde_json::json!({
            "exchange": exchange, "results": [result("public_api", public), result("private_api", private)],
        });
        HostHealth { host_name: name.into(), report_json: report.to_string(), ..HostHealth::default() }
    }

    #[test]
    fn what_several_hosts_share_is_said_once() {
        let well = ("healthy", "");
        let hosts = [
            host("fra-bot-01", "kraken", ("unavailable", "no answer in 10.0 s"), well),
            host("fra-bot-02", "kraken", ("unavailable", "no answer in 9.98 s"), well),
            host("fra-bot-03", "kraken", ("unavailable", "no answer in 10.1 s"), ("degraded", "slow: 3.2 s")),
            host("fra-bot-04", "binance_spot", well, ("unavailable", "401 from api.binance.com")),
            host("fra-bot-05", "binance_spot", well, ("unavailable", "401 from api.binance.com")),
            host("fra-bot-06", "binance_spot", well, well),
        ];
        golden("health-causes.txt", &render(&hosts, PLAIN));
        assert_eq!(render(&hosts[3..4], PLAIN), "", "what one host has stands in its own row");
        assert_eq!(render(&[], PLAIN), "");
    }
}
