//! `[alerts]` of the settings: who is told, and how patient rules are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_alerts::rules;
use flota_model::alert::Severity;
use serde::Deserialize;

use super::outside::is_reachable;

/// Most receivers: each is told of everything that matters to it.
const MAX_RECEIVERS: usize = 16;
/// Longest time that a rule may be told to wait, in minutes: a week.
const MAX_AFTER_MINUTES: u64 = 7 * 24 * 60;
/// Longest of the other times, in seconds: a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;
/// Where runbooks are when the settings name no place: in the documents that come with the program.
const RUNBOOKS: &str = "docs/runbooks/";

/// How people are told.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// How often the fleet is looked at.
    pub look: Duration,
    /// The first of several alerts waits that long for the others.
    pub wait: Duration,
    /// What is gone for that long is over.
    pub settle: Duration,
    /// Nobody is told more often of the same rule.
    pub pause: Duration,
    /// What comes before a rule's name in the address of its runbook.
    pub runbooks: String,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// What rules are told to do otherwise, by name.
    pub rules: BTreeMap<String, RuleWish>,
}

/// Somebody who is told of alerts.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// In what form.
    pub format: ReceiverFormat,
    /// Address: HTTPS, or HTTP to this machine.
    pub url: String,
    /// File with the secret that signs what is sent.
    pub key_file: Option<PathBuf>,
    /// File with a bearer token.
    pub token_file: Option<PathBuf>,
    /// Alerts that matter less are not told.
    pub least: Severity,
}

/// In what form a receiver is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiverFormat {
    /// As Alertmanager tells its webhook receivers (its payload of version 4).
    Webhook,
    /// As Prometheus tells Alertmanager: all that fires, again and again (`/api/v2/alerts`).
    Alertmanager,
}

/// What a rule is told to do otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleWish {
    /// It is not looked at.
    pub off: bool,
    /// How long it waits.
    pub after: Option<Duration>,
    /// How much it matters.
    pub severity: Option<Severity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertsFragment {
    look_seconds: Option<u64>,
    wait_seconds: Option<u64>,
    pause_seconds: Option<u64>,
    settle_seconds: Option<u64>,
    runbooks: Option<String>,
    receivers: BTreeMap<String, ReceiverFragment>,
    rules: BTreeMap<String, RuleFragment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiverFragment {
    url: String,
    format: Option<ReceiverFormat>,
    key_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    severity: Option<Severity>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RuleFragment {
    off: bool,
    after_minutes: Option<u64>,
    severity: Option<Severity>,
}

/// Checks what was written.
pub(super) fn alerts(data_dir: &Path, fragment: AlertsFragment, problems: &mut Vec<String>) -> AlertSettings {
    let AlertsFragment { look_seconds, wait_seconds, pause_seconds, settle_seconds, runbooks, receivers, rules } =
        fragment;
    let mut seconds = |key: &str, value: Option<u64>, default: u64, least: u64| {
        let value = value.unwrap_or(default);
        if !(least..=MAX_SECONDS).contains(&value) {
            problems.push(format!("`alerts.{key}` must be from {least} to {MAX_SECONDS}"));
        }
        Duration::from_secs(value)
    };
    let look = seconds("look_seconds", look_seconds, 10, 1);
    let wait = seconds("wait_seconds", wait_seconds, 30, 0);
    let pause = seconds("pause_seconds", pause_seconds, 300, 0);
    let settle = seconds("settle_seconds", settle_seconds, 300, 0);
    if receivers.len() > MAX_RECEIVERS {
        problems.push(format!("`alerts.receivers` has more than {MAX_RECEIVERS}"));
    }
    let receivers = receivers.into_iter().filter_map(|(name, fragment)| receiver(data_dir, name, fragment, problems));
    let receivers = receivers.collect();
    let rules = rules.into_iter().filter_map(|(name, fragment)| wish(name, &fragment, problems)).collect();
    AlertSettings {
        look,
        wait,
        settle,
        pause,
        runbooks: runbooks.unwrap_or_else(|| RUNBOOKS.to_owned()),
        receivers,
        rules,
    }
}

fn receiver(data_dir: &Path, name: String, fragment: ReceiverFragment, problems: &mut Vec<String>) -> Option<Receiver> {
    let ReceiverFragment { url, format, key_file, token_file, severity } = fragment;
    let format = format.unwrap_or(ReceiverFormat::Webhook);
    if !super::rules::is_plain_name(&name) {
        problems.push("`alerts.receivers`: a name has letters, digits, `.`, `_` and `-`, 32 at most".into());
        return None;
    }
    if !is_reachable(&url) {
        problems.push(format!("`alerts.receivers.{name}.url` must be https, or http to this machine"));
    }
    if format == ReceiverFormat::Webhook && key_file.is_none() {
        problems.push(format!("`alerts.receivers.{name}.key_file` is missing: what a webhook is sent is signed"));
    }
    Some(Receiver {
        name,
        format,
        url,
        key_file: key_file.map(|file| data_dir.join(file)),
        token_file: token_file.map(|file| data_dir.join(file)),
        least: severity.unwrap_or(Severity::Warning),
    })
}

fn wish(name: String, fragment: &RuleFragment, problems: &mut Vec<String>) -> Option<(String, RuleWish)> {
    let RuleFragment { off, after_minutes, severity } = *fragment;
    if rules::rule(&name).is_none() {
        let known: Vec<&str> = rules::RULES.iter().map(|rule| rule.name).collect();
        problems.push(format!("`alerts.rules` names a rule that there is not; there are {}", known.join(", ")));
        return None;
    }
    if after_minutes.is_some_and(|minutes| minutes > MAX_AFTER_MINUTES) {
        problems.push(format!("`alerts.rules.{name}.after_minutes` must be from 0 to {MAX_AFTER_MINUTES}"));
    }
    let after = after_minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    Some((name, RuleWish { off, after, severity }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AlertSettings, Vec<String>> {
        let mut problems = Vec::new();
        let settings = alerts(Path::new("/data"), toml::from_str(text).unwrap(), &mut problems);
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    #[test]
    fn receivers_and_rules_are_read() {
        let settings = read(
            "[receivers.oncall]\nurl = 'https://oncall.example/hook'\nkey_file = 'oncall.key'\nseverity = 'critical'\n\
             [receivers.am]\nurl = 'http://127.0.0.1:9093'\nformat = 'alertmanager'\n\
             [rules.FlotaHostSilent]\nafter_minutes = 0\nseverity = 'critical'\n[rules.FlotaHealthOverdue]\noff = true",
        )
        .unwrap();
        let names: Vec<_> = settings.receivers.iter().map(|one| (one.name.as_str(), one.format, one.least)).collect();
        let expected = [
            ("am", ReceiverFormat::Alertmanager, Severity::Warning),
            ("oncall", ReceiverFormat::Webhook, Severity::Critical),
        ];
        assert_eq!(names, expected);
        assert_eq!(settings.receivers[1].key_file.as_deref(), Some(Path::new("/data/oncall.key")));
        assert_eq!(settings.rules["FlotaHostSilent"].after, Some(Duration::ZERO));
        assert!(settings.rules["FlotaHealthOverdue"].off);
    }

    #[test]
    fn every_problem_is_named_without_its_value() {
        let problems = read(
            "look_seconds = 0\nwait_seconds = 999999\n[receivers.a]\nurl = 'http://secret.example'\n\
             [receivers.'b c']\nurl = 'https://x.example'\nkey_file = 'k'\n\
             [rules.FlotaNothing]\noff = true\n[rules.FlotaHostSilent]\nafter_minutes = 99999",
        )
        .unwrap_err();
        assert_eq!(problems.len(), 7, "{problems:#?}");
        assert!(!problems.join(" ").contains("secret"));
    }
}
