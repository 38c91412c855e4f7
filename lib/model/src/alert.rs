//! Alerts: what the controller tells people without being asked; and silences, in which it does not.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{HostName, Labels, Selector, Timestamp};

/// Most hosts that an alert names; it counts them all. More names would help nobody, and an alert is one message.
pub const MAX_ALERT_HOSTS: usize = 50;
/// Longest reason of a silence, in characters.
pub const MAX_SILENCE_REASON: usize = 200;

/// How much it matters. The order is that of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody looks at it in working hours.
    Warning,
    /// Somebody is woken.
    Critical,
}

/// A word that names no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no severity: warning or critical")]
pub struct InvalidSeverity(String);

impl Severity {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = InvalidSeverity;

    fn from_str(text: &str) -> Result<Self, InvalidSeverity> {
        let found = [Self::Warning, Self::Critical].into_iter().find(|severity| severity.as_str() == text);
        found.ok_or_else(|| InvalidSeverity(text.chars().take(40).collect()))
    }
}

/// What an alert is about: the same thing, the same alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertKey {
    /// Which rule, as in `FlotaExchangeUnavailable`.
    pub rule: String,
    /// What tells apart the alerts of one rule, as in exchange=kraken. Never a number that changes.
    pub subject: BTreeMap<String, String>,
}

impl AlertKey {
    /// The first 64 bits of a SHA-256 over rule and subject, in hex: what the other side knows it by.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in std::iter::once(&self.rule).chain(self.subject.iter().flat_map(|(key, value)| [key, value])) {
            hash.update(part.as_bytes());
            hash.update([0xff]);
        }
        hex::encode(&hash.finalize()[..8])
    }

    /// The subject in a few words, as in `exchange=kraken check=public_api`.
    pub fn subject_words(&self) -> String {
        let words: Vec<String> = self.subject.iter().map(|(key, value)| format!("{key}={value}")).collect();
        words.join(" ")
    }
}

/// Where an alert stands. The words are on the wire and in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It was there and went before anybody was told. Remembered, since what comes and goes is a fault of its own.
    Quiet,
    /// It is there, and not for long enough to tell somebody.
    Pending,
    /// People were told.
    Firing,
    /// It is over, and they were told so.
    Ended,
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of an alert")]
pub struct InvalidAlertState(String);

impl AlertState {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Ended => "ended",
        }
    }
}

impl FromStr for AlertState {
    type Err = InvalidAlertState;

    fn from_str(text: &str) -> Result<Self, InvalidAlertState> {
        let found =
            [Self::Quiet, Self::Pending, Self::Firing, Self::Ended].into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| InvalidAlertState(text.chars().take(40).collect()))
    }
}

/// What a rule says of its subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A sentence.
    pub summary: String,
    /// What else is known, in sentences.
    pub description: String,
    /// The command to begin with.
    pub command: String,
    /// Hosts that have it, by name, [`MAX_ALERT_HOSTS`] at most.
    pub hosts: Vec<HostName>,
    /// How many have it.
    pub host_count: u32,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// What it is about.
    pub key: AlertKey,
    /// What the rule said last.
    pub finding: Finding,
    /// Where it stands.
    pub state: AlertState,
    /// It comes and goes, and does not end before it has been away for long.
    pub flapping: bool,
    /// When it was there first.
    pub since: Timestamp,
    /// When people were told.
    pub fired_at: Option<Timestamp>,
    /// When it was last found to be gone, while it is; an alert ends some time after that.
    pub gone_since: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it came or went, oldest first; not those of long ago.
    pub edges: Vec<Timestamp>,
}

/// A time in which alerts about some hosts are not raised: a maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its number, counted from one.
    pub id: u32,
    /// Which hosts; empty: all.
    pub selector: Selector,
    /// Which rule; none: all.
    pub rule: Option<String>,
    /// From when.
    pub from: Timestamp,
    /// Until when; not included.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// By which operator.
    pub created_by: String,
}

impl Silence {
    /// Whether it keeps this rule from speaking of this host at that time.
    pub fn holds(&self, rule: &str, name: &HostName, labels: &Labels, at: Timestamp) -> bool {
        let of_rule = self.rule.as_deref().is_none_or(|silenced| silenced == rule);
        of_rule && self.from <= at && at < self.until && self.selector.matches(name, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(rule: &str, subject: &[(&str, &str)]) -> AlertKey {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        AlertKey { rule: rule.to_owned(), subject: subject.iter().map(pair).collect() }
    }

    #[test]
    fn a_fingerprint_tells_apart_what_runs_together() {
        let one = key("FlotaHostUnhealthy", &[("host", "a")]).fingerprint();
        assert_eq!(one.len(), 16);
        assert_eq!(one, key("FlotaHostUnhealthy", &[("host", "a")]).fingerprint());
        assert_ne!(one, key("FlotaHostUnhealthy", &[("hosta", "")]).fingerprint());
        assert_ne!(one, key("FlotaHostUnhealthyhost", &[("a", "")]).fingerprint());
    }

    #[test]
    fn severities_are_in_their_order_and_words_come_back() {
        assert!(Severity::Warning < Severity::Critical);
        for severity in [Severity::Warning, Severity::Critical] {
            assert_eq!(severity.as_str().parse(), Ok(severity));
        }
        assert!("loud".parse::<Severity>().is_err() && "over".parse::<AlertState>().is_err());
        for state in [AlertState::Quiet, AlertState::Pending, AlertState::Firing, AlertState::Ended] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }
}
