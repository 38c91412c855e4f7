//! A first policy out of what hosts report. It is a draft: a person reads it, and what is said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{
    Approved, BootLogRule, MAX_DIGESTS_OF_RULE, MAX_NOTE_CHARS, PcrRule, Policy, PolicyError, Presence, SecureBootRule,
    document,
};
use crate::event_log::{EventLog, SECURE_BOOT_PCR, describe, text};
use crate::selection::Bank;

/// More values than this in one PCR are no pattern that a list of values describes; somebody must decide what to do.
pub const MAX_PLAIN_VALUES: usize = 8;

/// Hosts that a note names; the rest is counted.
const MAX_HOSTS_NAMED: usize = 4;

/// What one host of those that a policy is made from reports.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// What people call the host.
    pub host: &'a str,
    /// Its quoted PCRs, of a quote that passed.
    pub pcrs: &'a BTreeMap<u8, [u8; 32]>,
    /// Its boot log, if it sent one.
    pub log: Option<&'a EventLog>,
}

/// What the rules of a proposal are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposedRules {
    /// `allow` with the quoted values.
    Values,
    /// `events` with what was measured, for every PCR that the boot log of every host accounts for; `allow` for the
    /// others.
    EventsWhereLogsReplay,
}

/// A draft, and what a person has to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The draft.
    pub policy: Policy,
    /// What it does not say by itself, PCRs ascending.
    pub notes: Vec<ProposalNote>,
}

/// Something that a person has to decide or to know about a proposal. `Display` is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalNote {
    /// More than [`MAX_PLAIN_VALUES`] values. The PCR is not ignored for that: this is for a person to say.
    ManyValues {
        /// The PCR.
        pcr: u8,
        /// How many different values the hosts have.
        values: usize,
        /// How many of them the rule lists.
        listed: usize,
    },
    /// More different events than a rule can list: some hosts will miss the policy.
    ManyEvents {
        /// The PCR.
        pcr: u8,
        /// How many different events the hosts have.
        events: usize,
        /// How many of them the rule lists.
        listed: usize,
    },
    /// Events were wanted and values are proposed, because these hosts have no log that accounts for the PCR.
    NoLog {
        /// The PCR.
        pcr: u8,
        /// The hosts, some by name.
        hosts: String,
    },
    /// These hosts did not quote the PCR: they will miss the policy.
    NotQuoted {
        /// The PCR.
        pcr: u8,
        /// The hosts, some by name.
        hosts: String,
    },
    /// Every host shows that Secure Boot is on; the proposal does not require it.
    SecureBootOn,
}

impl Policy {
    /// A draft that accepts all of these hosts as they are: for every PCR that any of them quoted, a rule with what was
    /// seen and on which hosts. It asks nothing of Secure Boot or of the firmware.
    pub fn propose(
        name: &str,
        applies_to: &str,
        observations: &[Observation<'_>],
        rules: ProposedRules,
    ) -> Result<Proposal, PolicyError> {
        let mut notes = Vec::new();
        let observations: Vec<Seen<'_>> = observations.iter().map(Seen::new).collect();
        let indices: BTreeSet<u8> = observations.iter().flat_map(|one| one.pcrs.keys().copied()).collect();
        let mut pcrs = BTreeMap::new();
        for pcr in indices {
            if let Some(hosts) = hosts(&observations, |one| !one.pcrs.contains_key(&pcr)) {
                notes.push(ProposalNote::NotQuoted { pcr, hosts });
            }
            let without_log = match rules {
                ProposedRules::Values => None,
                ProposedRules::EventsWhereLogsReplay => hosts(&observations, |one| !one.accounts_for(pcr)),
            };
            let rule = if rules == ProposedRules::Values || without_log.is_some() {
                values(pcr, &observations, &mut notes)
            } else {
                events(pcr, &observations, &mut notes)
            };
            notes.extend(without_log.map(|hosts| ProposalNote::NoLog { pcr, hosts }));
            pcrs.insert(pcr, rule);
        }
        if !observations.is_empty() && observations.iter().all(Seen::shows_secure_boot) {
            notes.push(ProposalNote::SecureBootOn);
        }
        let draft = Self {
            name: name.to_owned(),
            bank: Bank::Sha256,
            applies_to: applies_to.to_owned(),
            pcrs,
            secure_boot: SecureBootRule::Any,
            boot_log: BootLogRule::IfSent,
            min_firmware: None,
            firmware: BTreeSet::new(),
        };
        // Once through the door that every document takes: a draft is a policy, or it is refused.
        let policy = document::parse(draft.to_canonical_json().as_bytes())?;
        Ok(Proposal { policy, notes })
    }
}

/// An observation whose log, if there is one, has no finding: others say nothing.
struct Seen<'a> {
    host: &'a str,
    pcrs: &'a BTreeMap<u8, [u8; 32]>,
    log: Option<&'a EventLog>,
}

impl<'a> Seen<'a> {
    fn new(one: &Observation<'a>) -> Self {
        let Observation { host, pcrs, log } = *one;
        Self { host, pcrs, log: log.filter(|log| log.check(pcrs).is_empty()) }
    }

    /// Whether the log says all that was measured into a PCR. A host that did not quote it has nothing to say.
    fn accounts_for(&self, pcr: u8) -> bool {
        let Some(value) = self.pcrs.get(&pcr) else { return true };
        self.log.is_some_and(|log| log.replayed(pcr) == *value && log.measured(pcr).next().is_some())
    }

    fn shows_secure_boot(&self) -> bool {
        let quoted = self.pcrs.contains_key(&SECURE_BOOT_PCR);
        quoted && self.log.is_some_and(|log| log.secure_boot() == Some(true))
    }
}

fn values(pcr: u8, observations: &[Seen<'_>], notes: &mut Vec<ProposalNote>) -> PcrRule {
    let mut hosts_by_value: BTreeMap<[u8; 32], Vec<&str>> = BTreeMap::new();
    for one in observations {
        if let Some(value) = one.pcrs.get(&pcr) {
            hosts_by_value.entry(*value).or_default().push(one.host);
        }
    }
    let values = hosts_by_value.len();
    let approve = |(digest, hosts): (_, Vec<&str>)| Approved { digest, note: format!("seen on {}", named(&hosts)) };
    let approved: Vec<Approved> = hosts_by_value.into_iter().take(MAX_DIGESTS_OF_RULE).map(approve).collect();
    if values > MAX_PLAIN_VALUES {
        notes.push(ProposalNote::ManyValues { pcr, values, listed: approved.len() });
    }
    PcrRule::Allow(approved)
}

/// In the order in which they were measured: that is how people look for them.
fn events(pcr: u8, observations: &[Seen<'_>], notes: &mut Vec<ProposalNote>) -> PcrRule {
    let mut seen = BTreeSet::new();
    let mut approved = Vec::new();
    for one in observations.iter().filter(|one| one.pcrs.contains_key(&pcr)) {
        for event in one.log.into_iter().flat_map(|log| log.measured(pcr)) {
            if seen.insert(*event.sha256()) && approved.len() < MAX_DIGESTS_OF_RULE {
                let note = format!("{}, first seen on {}", describe(event), named(&[one.host]));
                approved.push(Approved { digest: *event.sha256(), note: text::printable(&note, MAX_NOTE_CHARS - 1) });
            }
        }
    }
    if seen.len() > approved.len() {
        notes.push(ProposalNote::ManyEvents { pcr, events: seen.len(), listed: approved.len() });
    }
    PcrRule::Events { events: approved, presence: Presence::Optional }
}

/// The names of the hosts that something holds of; none if it holds of no host.
fn hosts(observations: &[Seen<'_>], holds: impl Fn(&Seen<'_>) -> bool) -> Option<String> {
    let hosts: Vec<&str> = observations.iter().filter(|one| holds(one)).map(|one| one.host).collect();
    (!hosts.is_empty()).then(|| named(&hosts))
}

fn named(hosts: &[&str]) -> String {
    /// Longest name shown, in characters: a note has room for all that are named.
    const MAX_HOST_CHARS: usize = 64;
    let names: Vec<String> =
        hosts.iter().take(MAX_HOSTS_NAMED).map(|host| text::printable(host, MAX_HOST_CHARS)).collect();
    match hosts.len().saturating_sub(MAX_HOSTS_NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

impl fmt::Display for ProposalNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyValues { pcr, values, listed } => {
                write!(f, "PCR {pcr} has {values} different values, of which the rule lists {listed}: ")?;
                f.write_str("decide whether to list them, to go by events, or to ignore it and why")
            }
            Self::ManyEvents { pcr, events, listed } => {
                write!(f, "PCR {pcr} has {events} different events, of which the rule lists {listed}: narrow the hosts")
            }
            Self::NoLog { pcr, hosts } => {
                write!(f, "PCR {pcr} is proposed by value: no boot log accounts for it on {hosts}")
            }
            Self::NotQuoted { pcr, hosts } => write!(f, "PCR {pcr} was not quoted by {hosts}"),
            Self::SecureBootOn => {
                f.write_str("Secure Boot is on everywhere and not required: consider secure_boot = required")
            }
        }
    }
}
