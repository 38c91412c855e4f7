//! Rules about the health of exchanges, of what hosts share, and of single hosts. Each failing check is told by one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flota_model::health::Check;
use flota_model::{HostName, Timestamp};

use super::{NotKnown, Seen, Subject, Words, subject};
use crate::causes::{Blame, Cause, SHARED, causes};
use crate::facts::{FleetFacts, HealthFact, HostFact};

/// Least number of hosts with a cause of which nothing else is known before it is told once for all of them.
const TOGETHER: usize = 3;
/// What a host said so long ago holds no alert any more: it may have no exchange by now.
const FORGOTTEN: Duration = Duration::from_hours(3 * 24);
/// Least number of hosts to which an exchange is unavailable before it is the exchange.
const EXCHANGE: usize = 2;

/// Most hosts at an exchange find it unavailable, and no label explains it.
pub(super) fn exchange_unavailable(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let read = Read::of(facts, now, seen.rule.name);
    for (exchange, ill) in &read.down {
        let there = read.there.get(exchange).map_or(0, BTreeSet::len);
        let checks: BTreeSet<&str> = ill.iter().flat_map(|host| failing(read.report(host), exchange)).collect();
        let checks: Vec<&str> = checks.into_iter().collect();
        seen.present(
            subject([("exchange", exchange)]),
            ill,
            Words {
                summary: format!("{exchange} is unavailable to {} of {there} hosts", ill.len()),
                description: format!(
                    "Checks that fail: {}. It is the exchange or the way there rather than the hosts.",
                    checks.join(", ")
                ),
                command: "flota health show --by exchange".into(),
            },
        );
    }
    // An exchange is not well because those who found it ill have no news any more, where they could still be most of them.
    let mut ill_before = BTreeMap::<&str, usize>::new();
    for (_, report) in &read.stale {
        for exchange in exchanges(report).into_iter().filter(|exchange| failing(report, exchange).next().is_some()) {
            *ill_before.entry(exchange).or_default() += 1;
        }
    }
    for (exchange, before) in ill_before {
        let there = read.there.get(exchange).map_or(0, BTreeSet::len);
        if before.saturating_mul(2) > there {
            seen.unknown(subject([("exchange", exchange)]));
        }
    }
}

/// Several hosts fail the same check for the same reason, and it is not the exchange.
pub(super) fn shared_failure(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let read = Read::of(facts, now, seen.rule.name);
    for cause in &read.shared {
        let Check { exchange, name, details, .. } = cause.check;
        let ill = cause.hosts.len();
        let (label, who) = match &cause.blame {
            Blame::Label(key, value) => {
                (format!("{key}={value}"), format!("all of them, and nobody else there, have {key}={value}"))
            }
            Blame::Exchange | Blame::Hosts => (String::new(), "nothing else that they share is known".to_owned()),
        };
        let about = subject([("exchange", exchange), ("check", name), ("label", &label)]);
        // Another reason for the same check: the larger one is told, with all who have either.
        if seen.joined(&about, &cause.hosts) {
            continue;
        }
        let of = if label.is_empty() { String::new() } else { format!(" ({label})") };
        seen.present(
            about,
            &cause.hosts,
            Words {
                summary: format!("{ill} of {} hosts at {exchange} fail {name}{of}", cause.there),
                description: format!("One says: {}. Of the hosts: {who}.", one_line(details)),
                command: "flota health show".into(),
            },
        );
    }
    // One host that has no news any more shares nothing; several might still.
    let mut ill_before = BTreeMap::<Subject, usize>::new();
    for (host, report) in &read.stale {
        for Check { exchange, name, .. } in report.checks.iter().filter(|check| check.status == "unavailable") {
            let labels = host.labels.iter().map(|(key, value)| format!("{key}={value}"));
            for label in labels.chain([String::new()]) {
                let about = subject([("exchange", exchange), ("check", name), ("label", &label)]);
                *ill_before.entry(about).or_default() += 1;
            }
        }
    }
    for (about, _) in ill_before.into_iter().filter(|(_, hosts)| *hosts >= SHARED) {
        seen.unknown(about);
    }
}

/// A host fails checks that it alone fails.
pub(super) fn host_unhealthy(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    let read = Read::of(facts, now, seen.rule.name);
    let told = read.told(|rule| !facts.off.contains(rule));
    seen.each_host(facts, now, |host| {
        let Some(report) = facts.fresh(host, now) else {
            let forgotten = host.health.as_ref().is_none_or(|old| now.since(old.at) > FORGOTTEN);
            return if forgotten { Ok(None) } else { Err(NotKnown) };
        };
        let own: Vec<&Check> = report
            .checks
            .iter()
            .filter(|check| {
                check.status == "unavailable" && !told.contains(&(&host.name, &check.exchange, &check.name))
            })
            .collect();
        let Some(first) = own.first() else {
            // It says so and does not say of what, or not in a form that is read.
            let unread =
                report.overall == "unavailable" && !report.checks.iter().any(|check| check.status == "unavailable");
            return Ok(unread.then(|| Words {
                summary: format!("{} says that it is unavailable", host.name),
                description: "None of the checks that it reports says of what.".into(),
                command: format!("flota health show {}", host.name),
            }));
        };
        let checks: Vec<String> = own.iter().map(|check| format!("{} at {}", check.name, check.exchange)).collect();
        Ok(Some(Words {
            summary: format!("{} fails {}", host.name, one_line(&checks.join(", "))),
            description: format!("It says: {}.", one_line(&first.details)),
            command: format!("flota health show {}", host.name),
        }))
    });
}

/// A host was asked for a check, and there is no result.
pub(super) fn health_overdue(facts: &FleetFacts, now: Timestamp, seen: &mut Seen<'_>) {
    seen.each_host(facts, now, |host| {
        // That it is silent is told by another rule.
        if host.silent_for.is_some() {
            return Err(NotKnown);
        }
        // One that had no report for long, or never, may well be one that has no exchange.
        if host.health.as_ref().is_none_or(|old| now.since(old.at) > FORGOTTEN) {
            return Ok(None);
        }
        Ok(host.check_failed.as_ref().map(|why| Words {
            summary: format!("{} has no result of its last health check", host.name),
            description: format!("{why}. Nobody knows whether it can trade."),
            command: format!("flota health run {}", host.name),
        }))
    });
}

/// Reports of the present, sorted by whose fault what is in them is.
struct Read<'a> {
    /// Hosts that have reported from each exchange.
    there: BTreeMap<&'a str, BTreeSet<&'a HostName>>,
    /// Hosts that find an exchange unavailable which is thereby unavailable.
    down: BTreeMap<&'a str, Vec<&'a HostFact>>,
    /// What several hosts share otherwise.
    shared: Vec<Cause<'a>>,
    /// Reports that are too old.
    stale: Vec<(&'a HostFact, &'a HealthFact)>,
    reports: BTreeMap<&'a HostName, &'a HealthFact>,
}

impl<'a> Read<'a> {
    fn of(facts: &'a FleetFacts, now: Timestamp, rule: &str) -> Self {
        let speaking = facts.hosts.iter().filter(|host| !host.shut_out && !facts.is_silenced(rule, host, now));
        let (mut reports, mut stale) = (Vec::new(), Vec::new());
        for host in speaking {
            match (facts.fresh(host, now), &host.health) {
                (Some(health), _) => reports.push((host, health)),
                (None, Some(old)) if now.since(old.at) <= FORGOTTEN => stale.push((host, old)),
                (None, _) => {}
            }
        }
        let mut there = BTreeMap::<&str, BTreeSet<&HostName>>::new();
        let mut failing_at = BTreeMap::<&str, Vec<&HostFact>>::new();
        for &(host, health) in &reports {
            for exchange in exchanges(health) {
                there.entry(exchange).or_default().insert(&host.name);
                if failing(health, exchange).next().is_some() {
                    failing_at.entry(exchange).or_default().push(host);
                }
            }
        }
        let mut shared: Vec<Cause<'_>> =
            causes(&reports).into_iter().filter(|cause| cause.check.status == "unavailable").collect();
        let explained = |exchange: &str, ill: usize| {
            let by_label = |cause: &Cause<'_>| matches!(cause.blame, Blame::Label(..)) && cause.hosts.len() == ill;
            shared.iter().any(|cause| cause.check.exchange == exchange && by_label(cause))
        };
        let down: BTreeMap<_, _> = failing_at
            .into_iter()
            .filter(|(exchange, ill)| {
                let most = ill.len().saturating_mul(2) > there.get(exchange).map_or(0, BTreeSet::len);
                most && ill.len() >= EXCHANGE && !explained(exchange, ill.len())
            })
            .collect();
        shared.retain(|cause| {
            let together = matches!(cause.blame, Blame::Label(..)) || cause.hosts.len() >= TOGETHER;
            together && !down.contains_key(cause.check.exchange.as_str())
        });
        Self {
            there,
            down,
            shared,
            stale,
            reports: reports.iter().map(|(host, health)| (&host.name, *health)).collect(),
        }
    }

    fn report(&self, host: &HostFact) -> &'a HealthFact {
        self.reports.get(&host.name).copied().unwrap_or(const { &NO_REPORT })
    }

    /// Failing checks that other rules tell: host, exchange, check.
    fn told(&self, is_on: impl Fn(&str) -> bool) -> BTreeSet<(&'a HostName, &'a String, &'a String)> {
        let mut told = BTreeSet::new();
        for cause in self.shared.iter().filter(|_| is_on("FlotaSharedFailure")) {
            told.extend(cause.hosts.iter().map(|host| (&host.name, &cause.check.exchange, &cause.check.name)));
        }
        for (exchange, ill) in self.down.iter().filter(|_| is_on("FlotaExchangeUnavailable")) {
            for host in ill {
                let checks = self.report(host).checks.iter().filter(|check| check.exchange == *exchange);
                told.extend(checks.map(|check| (&host.name, &check.exchange, &check.name)));
            }
        }
        told
    }
}

const NO_REPORT: HealthFact = HealthFact { at: Timestamp::from_micros(0), overall: String::new(), checks: Vec::new() };

fn exchanges(health: &HealthFact) -> BTreeSet<&str> {
    health.checks.iter().map(|check| check.exchange.as_str()).collect()
}

/// Names of the checks that find an exchange unavailable.
fn failing<'a>(health: &'a HealthFact, exchange: &'a str) -> impl Iterator<Item = &'a str> {
    let failing = health.checks.iter().filter(move |check| check.exchange == exchange && check.status == "unavailable");
    failing.map(|check| check.name.as_str())
}

/// Longest part of what an exchange says that goes into an alert, in characters.
const SAID: usize = 200;

fn one_line(details: &str) -> String {
    let line: String =
        details.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(SAID).collect();
    if line.trim().is_empty() { "nothing".to_owned() } else { line.trim().trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests;
