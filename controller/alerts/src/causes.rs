//! What is wrong with several hosts at once is one thing; and where it is wrong with everybody who trades at an exchange, or
//! with everybody who shares a label there, it is that rather than the hosts.

use std::collections::{BTreeMap, BTreeSet};

use flota_model::health::Check;

use crate::facts::{HealthFact, HostFact};

/// Least number of hosts that share a cause: what one host has is its own.
pub const SHARED: usize = 2;
/// Least number of hosts at an exchange before all of them together tell something of it.
pub const TELLING: usize = 3;

/// Who has it in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// Everybody at the exchange: look there.
    Exchange,
    /// Everybody there with this label, and nobody else.
    Label(String, String),
    /// Some hosts, with nothing else in common that is known.
    Hosts,
}

/// Something that is wrong with several hosts.
#[derive(Debug, Clone)]
pub struct Cause<'a> {
    /// One of the results; their numbers differ.
    pub check: &'a Check,
    /// Who has it, by name.
    pub hosts: Vec<&'a HostFact>,
    /// How many hosts have reported from that exchange.
    pub there: usize,
    /// What they have in common.
    pub blame: Blame,
}

/// Exchange, check, state, and what is said of it without its numbers.
type Like<'a> = (&'a str, &'a str, &'a str, String);

/// What hosts have in common, that which most of them have first. Hosts are in the order of their names.
pub fn causes<'a>(reports: &[(&'a HostFact, &'a HealthFact)]) -> Vec<Cause<'a>> {
    let mut there = BTreeMap::<&str, Vec<&HostFact>>::new();
    let mut alike = BTreeMap::<Like<'_>, (&Check, Vec<&'a HostFact>)>::new();
    for (host, health) in reports {
        let exchanges: BTreeSet<&str> = health.checks.iter().map(|check| check.exchange.as_str()).collect();
        for exchange in exchanges {
            there.entry(exchange).or_default().push(host);
        }
        for check in health.checks.iter().filter(|check| check.status != "healthy") {
            let like = (check.exchange.as_str(), check.name.as_str(), check.status.as_str(), check.gist());
            let (_, hosts) = alike.entry(like).or_insert((check, Vec::new()));
            if hosts.last().is_none_or(|last| last.name != host.name) {
                hosts.push(host);
            }
        }
    }
    let mut causes: Vec<Cause<'a>> = alike
        .into_values()
        .filter(|(_, hosts)| hosts.len() >= SHARED)
        .map(|(check, hosts)| {
            let there = there.get(check.exchange.as_str()).map_or(&[][..], Vec::as_slice);
            Cause { check, blame: blame(&hosts, there), there: there.len(), hosts }
        })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.hosts.len()));
    causes
}

fn blame(ill: &[&HostFact], there: &[&HostFact]) -> Blame {
    if ill.len() == there.len() {
        return if there.len() >= TELLING { Blame::Exchange } else { Blame::Hosts };
    }
    let Some(first) = ill.first() else { return Blame::Hosts };
    let explains = |(key, value): &(&str, &str)| {
        let having = there.iter().filter(|host| host.labels.value(key) == Some(value)).count();
        having == ill.len() && ill.iter().all(|host| host.labels.value(key) == Some(value))
    };
    match first.labels.iter().find(explains) {
        Some((key, value)) => Blame::Label(key.to_owned(), value.to_owned()),
        None => Blame::Hosts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{at, host, report};

    fn blamed(hosts: &[HostFact]) -> Vec<(String, usize, usize, Blame)> {
        let reports: Vec<_> = hosts.iter().map(|host| (host, host.health.as_ref().unwrap())).collect();
        let told = |cause: Cause<'_>| (cause.check.name.clone(), cause.hosts.len(), cause.there, cause.blame);
        causes(&reports).into_iter().map(told).collect()
    }

    #[test]
    fn numbers_do_not_tell_causes_apart_and_everybody_is_the_exchange() {
        let down = |name: &str, wait: &str| {
            host(name, "").with(report(
                at(0),
                "kraken",
                [("public_api", "unavailable", &format!("no answer in {wait} s"))],
            ))
        };
        let hosts = [down("a", "10.0"), down("b", "9.98"), down("c", "10.1")];
        assert_eq!(blamed(&hosts), [("public_api".to_owned(), 3, 3, Blame::Exchange)]);
        assert_eq!(blamed(&hosts[..2]), [("public_api".to_owned(), 2, 2, Blame::Hosts)], "two hosts tell nothing");
        assert_eq!(blamed(&hosts[..1]), []);
    }

    #[test]
    fn a_label_that_all_ill_hosts_have_and_no_other_is_the_cause() {
        let refused = ("private_api", "unavailable", "401 from api.binance.com");
        let well = ("private_api", "healthy", "");
        let at_binance = |name: &str, labels: &str, result| host(name, labels).with(report(at(0), "binance", [result]));
        let mut hosts = vec![
            at_binance("a", "account=main-2,env=prod", refused),
            at_binance("b", "account=main-2,env=prod", refused),
            at_binance("c", "account=main-1,env=prod", well),
        ];
        let account = Blame::Label("account".into(), "main-2".into());
        assert_eq!(blamed(&hosts), [("private_api".to_owned(), 2, 3, account)]);
        hosts.push(at_binance("d", "account=main-2,env=prod", well));
        assert_eq!(blamed(&hosts), [("private_api".to_owned(), 2, 4, Blame::Hosts)], "one with that label is well");
    }
}
