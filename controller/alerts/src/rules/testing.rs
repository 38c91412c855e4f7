//! Fleets for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_model::alert::{AlertKey, Finding};
use flota_model::health::Check;
use flota_model::host::Trust;
use flota_model::{Labels, Timestamp};

use super::{Observed, rule};
use crate::facts::{FleetFacts, HealthFact, HostFact};

/// So many seconds after the beginning of time.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// A trusted host that is connected, with these labels (`a=b,c=d`).
pub(crate) fn host(name: &str, labels: &str) -> HostFact {
    HostFact {
        name: name.parse().unwrap(),
        labels: Labels::try_from(labels.split(',').filter_map(pair).collect::<BTreeMap<_, _>>()).unwrap(),
        trust: (Trust::Trusted, String::new()),
        shut_out: false,
        silent_for: None,
        safe_hold: None,
        health: None,
        check_failed: None,
        export_age: Duration::ZERO,
    }
}

impl HostFact {
    pub(crate) fn with(mut self, health: HealthFact) -> Self {
        self.health = Some(health);
        self
    }
}

/// A report from one exchange: check, status, details.
pub(crate) fn report<const N: usize>(at: Timestamp, exchange: &str, results: [(&str, &str, &str); N]) -> HealthFact {
    let check = |(name, status, details): (&str, &str, &str)| Check {
        exchange: exchange.to_owned(),
        name: name.to_owned(),
        status: status.to_owned(),
        latency: None,
        details: details.to_owned(),
    };
    HealthFact { at, overall: String::new(), checks: results.map(check).into() }
}

/// A fleet of these, whose controller has listened for a day.
pub(crate) fn fleet(hosts: Vec<HostFact>) -> FleetFacts {
    FleetFacts {
        hosts,
        health_every: Some(Duration::from_mins(15)),
        listening_for: Duration::from_hours(24),
        ..FleetFacts::default()
    }
}

/// What a rule finds: the words of the subject, and what it says.
pub(crate) fn found(name: &str, facts: &FleetFacts, now: Timestamp) -> Vec<(String, Finding)> {
    let answers = rule(name).unwrap().observe(facts, now, std::iter::empty());
    let present = |(key, observed): (AlertKey, Observed)| match observed {
        Observed::Present(finding) => Some((key.subject_words(), finding)),
        Observed::Absent | Observed::Unknown => None,
    };
    answers.into_iter().filter_map(present).collect()
}

/// What a rule says of an alert that is open.
pub(crate) fn answer(name: &str, subject: &[(&str, &str)], facts: &FleetFacts, now: Timestamp) -> Observed {
    let pairs = subject.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let key = AlertKey { rule: name.to_owned(), subject: pairs.collect() };
    rule(name).unwrap().observe(facts, now, std::iter::once(&key)).remove(&key).unwrap()
}
