//! The rules: what is looked for, how much it matters, how patient they are. To add one: an entry in [`RULES`], a function
//! beside the others, a page `docs/runbooks/NAME.md`, and a test of when it speaks and when it does not.

mod health;
mod hosts;
mod rollouts;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flota_model::alert::{AlertKey, Finding, MAX_ALERT_HOSTS, Severity};
use flota_model::{HostName, Timestamp};

use crate::facts::{FleetFacts, HostFact};
use crate::life::Observed;

/// A rule.
pub struct Rule {
    /// Its name, as it is routed and looked up.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub means: &'static str,
    /// How much it matters unless the settings say otherwise.
    pub severity: Severity,
    /// How long it must be there before people are told, unless the settings say otherwise.
    pub after: Duration,
    /// Whether it looks at hosts that are shut out.
    of_shut_out: bool,
    /// Looks.
    look: fn(&FleetFacts, Timestamp, &mut Seen),
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "FlotaExchangeUnavailable",
        means: "an exchange is unavailable to most of the hosts that trade there",
        severity: Severity::Critical,
        after: Duration::from_mins(3),
        of_shut_out: false,
        look: health::exchange_unavailable,
    },
    Rule {
        name: "FlotaSharedFailure",
        means: "several hosts fail the same check for the same reason: a label that they share is the cause, or none is known",
        severity: Severity::Critical,
        after: Duration::from_mins(3),
        of_shut_out: false,
        look: health::shared_failure,
    },
    Rule {
        name: "FlotaHostUnhealthy",
        means: "a host fails a check of an exchange, alone or with one other",
        severity: Severity::Warning,
        after: Duration::from_mins(5),
        of_shut_out: false,
        look: health::host_unhealthy,
    },
    Rule {
        name: "FlotaHealthOverdue",
        means: "a host that has checked its exchanges before was asked to and has no result",
        severity: Severity::Warning,
        after: Duration::from_mins(15),
        of_shut_out: false,
        look: health::health_overdue,
    },
    Rule {
        name: "FlotaHostsSilent",
        means: "more than a twentieth of the fleet, three hosts at least, is silent at once",
        severity: Severity::Critical,
        after: Duration::from_mins(5),
        of_shut_out: false,
        look: hosts::many_silent,
    },
    Rule {
        name: "FlotaHostSilent",
        means: "nothing is heard of a host",
        severity: Severity::Warning,
        after: Duration::from_mins(15),
        of_shut_out: false,
        look: hosts::silent,
    },
    Rule {
        name: "FlotaHostSafeHold",
        means: "neither release of a host is healthy: its bot is stopped, or could not be",
        severity: Severity::Critical,
        // Money stands still.
        after: Duration::from_mins(1),
        of_shut_out: false,
        look: hosts::safe_hold,
    },
    Rule {
        name: "FlotaAttestationFailed",
        means: "a host's quote did not pass",
        severity: Severity::Critical,
        // Possibly an intrusion.
        after: Duration::from_mins(2),
        of_shut_out: true,
        look: hosts::attestation_failed,
    },
    Rule {
        name: "FlotaExportOverdue",
        means: "a host has made no security export for longer than the schedule allows",
        severity: Severity::Warning,
        after: Duration::from_hours(1),
        of_shut_out: false,
        look: hosts::export_overdue,
    },
    Rule {
        name: "FlotaRolloutStopped",
        means: "a rollout has stopped itself, and a person must decide",
        severity: Severity::Critical,
        after: Duration::from_mins(1),
        of_shut_out: false,
        look: rollouts::stopped,
    },
    Rule {
        name: "FlotaRolloutWaits",
        means: "a rollout waits for approval, or for data that nobody has",
        severity: Severity::Warning,
        after: Duration::from_mins(30),
        of_shut_out: false,
        look: rollouts::waits,
    },
    Rule {
        name: "FlotaReleasesExpire",
        means: "signed release metadata expire soon, or are not believed: releases that hosts have not verified cannot be installed",
        severity: Severity::Warning,
        after: Duration::from_hours(1),
        of_shut_out: false,
        look: rollouts::releases_expire,
    },
];

/// The rule of that name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

impl Rule {
    /// What it sees. `open` are the keys of its alerts that have not ended: each gets an answer.
    pub fn observe<'a>(
        &self,
        facts: &FleetFacts,
        now: Timestamp,
        open: impl Iterator<Item = &'a AlertKey>,
    ) -> BTreeMap<AlertKey, Observed> {
        let mut seen = Seen { rule: self, ..Seen::of(self) };
        (self.look)(facts, now, &mut seen);
        let Seen { present, unknown, .. } = seen;
        let mut answers: BTreeMap<AlertKey, Observed> = open
            .map(|key| {
                let untold = unknown.contains(&key.subject);
                (key.clone(), if untold { Observed::Unknown } else { Observed::Absent })
            })
            .collect();
        answers.extend(
            present.into_iter().map(|(subject, finding)| {
                (AlertKey { rule: self.name.to_owned(), subject }, Observed::Present(finding))
            }),
        );
        answers
    }
}

/// What tells apart the alerts of one rule.
type Subject = BTreeMap<String, String>;

/// What a rule has seen so far.
struct Seen<'r> {
    rule: &'r Rule,
    present: BTreeMap<Subject, Finding>,
    unknown: BTreeSet<Subject>,
}

/// What a rule says of a subject, in words.
struct Words {
    summary: String,
    description: String,
    command: String,
}

impl<'r> Seen<'r> {
    fn of(rule: &'r Rule) -> Self {
        Self { rule, present: BTreeMap::new(), unknown: BTreeSet::new() }
    }

    /// It is there, with these hosts.
    fn present(&mut self, subject: Subject, hosts: &[&HostFact], words: Words) {
        let Words { summary, description, command } = words;
        let names: Vec<HostName> = hosts.iter().take(MAX_ALERT_HOSTS).map(|host| host.name.clone()).collect();
        let host_count = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
        let severity = self.rule.severity;
        self.present.insert(subject, Finding { severity, summary, description, command, hosts: names, host_count });
    }

    /// Adds hosts to what is there of this subject. False: nothing is.
    fn joined(&mut self, subject: &Subject, hosts: &[&HostFact]) -> bool {
        let Some(finding) = self.present.get_mut(subject) else { return false };
        for host in hosts.iter().filter(|host| !finding.hosts.contains(&host.name)).collect::<Vec<_>>() {
            finding.host_count = finding.host_count.saturating_add(1);
            if finding.hosts.len() < MAX_ALERT_HOSTS {
                finding.hosts.push(host.name.clone());
            }
        }
        let also = format!(" {} more fail it for another reason.", hosts.len());
        finding.description.push_str(&also);
        true
    }

    /// Nobody can tell.
    fn unknown(&mut self, subject: Subject) {
        self.unknown.insert(subject);
    }

    /// Says of each host whether it has it: words if it has, none if not, and nothing where that is not known. A host that
    /// is silenced is not looked at.
    fn each_host(
        &mut self,
        facts: &FleetFacts,
        now: Timestamp,
        look: impl Fn(&HostFact) -> Result<Option<Words>, NotKnown>,
    ) {
        for host in &facts.hosts {
            let subject = subject([("host", host.name.as_str())]);
            let silenced = facts.is_silenced(self.rule.name, host, now);
            match look(host) {
                _ if silenced => self.unknown(subject),
                // It may not speak: what was known of it stays.
                _ if host.shut_out && !self.rule.of_shut_out => self.unknown(subject),
                Ok(Some(words)) => self.present(subject, &[host], words),
                Ok(None) => {}
                Err(NotKnown) => self.unknown(subject),
            }
        }
    }
}

/// There are no data, or none of the present.
struct NotKnown;

fn subject<const N: usize>(pairs: [(&str, &str); N]) -> Subject {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
