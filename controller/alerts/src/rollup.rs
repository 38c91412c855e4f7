//! How many hosts are well, by exchange, and by a label at each exchange.

use std::collections::BTreeMap;

use crate::facts::{FleetFacts, HostFact};
use flota_model::Timestamp;

/// Hosts that trade at one exchange, and have one value of a label where it is counted by label.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthRow {
    /// The exchange; empty: reports that do not say.
    pub exchange: String,
    /// The label's value; empty: hosts without that label, or no label was asked for.
    pub value: String,
    /// All checks there are well.
    pub healthy: u32,
    /// One is not quite.
    pub degraded: u32,
    /// One is not at all.
    pub unavailable: u32,
    /// The newest report is too old to say anything.
    pub unknown: u32,
}

/// One row an exchange, that with most trouble first.
pub fn by_exchange(facts: &FleetFacts, now: Timestamp) -> Vec<HealthRow> {
    rows(facts, now, |_| String::new())
}

/// One row for each value of the label at each exchange, that with most trouble first.
pub fn by_label(facts: &FleetFacts, now: Timestamp, label: &str) -> Vec<HealthRow> {
    rows(facts, now, |host| host.labels.value(label).unwrap_or_default().to_owned())
}

fn rows(facts: &FleetFacts, now: Timestamp, value: impl Fn(&HostFact) -> String) -> Vec<HealthRow> {
    let mut rows = BTreeMap::<(String, String), HealthRow>::new();
    for host in &facts.hosts {
        let Some(health) = &host.health else { continue };
        let fresh = facts.fresh(host, now).is_some();
        // The worst of a host's checks at one exchange is what the host is there.
        let mut worst = BTreeMap::<&str, u8>::new();
        for check in &health.checks {
            let badness = match check.status.as_str() {
                "unavailable" => 2,
                "degraded" => 1,
                // Also a check of which nothing could be learnt.
                _ => 0,
            };
            let known = worst.entry(&check.exchange).or_default();
            *known = badness.max(*known);
        }
        for (exchange, badness) in worst {
            let key = (exchange.to_owned(), value(host));
            let row = rows.entry(key).or_insert_with_key(|(exchange, value)| HealthRow {
                exchange: exchange.clone(),
                value: value.clone(),
                ..HealthRow::default()
            });
            let count = match (fresh, badness) {
                (false, _) => &mut row.unknown,
                (true, 0) => &mut row.healthy,
                (true, 1) => &mut row.degraded,
                (true, _) => &mut row.unavailable,
            };
            *count = count.saturating_add(1);
        }
    }
    let mut rows: Vec<HealthRow> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.unavailable, row.degraded)));
    rows
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::testing::{at, host, report};

    #[test]
    fn hosts_are_counted_where_they_trade_by_their_worst_check() {
        let now = at(7200);
        let two = report(now, "kraken", [("public_api", "healthy", ""), ("private_api", "degraded", "slow")]);
        let facts = FleetFacts {
            hosts: vec![
                host("a", "venue=eu").with(two),
                host("b", "venue=us").with(report(now, "kraken", [("public_api", "unavailable", "gone")])),
                host("c", "venue=us").with(report(at(0), "kraken", [("public_api", "healthy", "")])),
                host("d", "venue=us").with(report(now, "binance", [("public_api", "healthy", "")])),
                host("e", "venue=us"),
            ],
            health_every: Some(Duration::from_mins(15)),
            ..FleetFacts::default()
        };
        let kraken =
            HealthRow { exchange: "kraken".into(), degraded: 1, unavailable: 1, unknown: 1, ..HealthRow::default() };
        let binance = HealthRow { exchange: "binance".into(), healthy: 1, ..HealthRow::default() };
        assert_eq!(by_exchange(&facts, now), [kraken, binance]);
        let by_venue: Vec<_> =
            by_label(&facts, now, "venue").into_iter().map(|row| (row.exchange, row.value)).collect();
        let expected = [("kraken", "us"), ("kraken", "eu"), ("binance", "us")];
        assert_eq!(by_venue, expected.map(|(exchange, venue)| (exchange.to_owned(), venue.to_owned())));
    }
}
