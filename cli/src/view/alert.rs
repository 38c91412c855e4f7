//! Alerts: what is wrong, since when, whom it concerns, who was told, what to do.

use std::fmt::Write as _;

use flota_model::Timestamp;
use flota_proto::v1::{Alert, AlertReceiver};

use super::host_show::facts;
use crate::output::signs::{Sign, Tone};
use crate::output::table::{Cell, Table};
use crate::output::text::{clean, count, few};
use crate::output::{Style, time};

/// Hosts that a page names before it counts them.
const NAMED: usize = 12;

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 9] =
    ["id", "state", "severity", "rule", "subject", "hosts", "since", "ended_at", "summary"];

/// One row of `-o tsv`.
pub(crate) fn row(alert: &Alert) -> Vec<String> {
    let Alert { state, severity, rule, host_count, since, ended_at, summary, .. } = alert.clone();
    vec![alert.id.to_string(), state, severity, rule, subject(alert), host_count.to_string(), since, ended_at, summary]
}

/// What `-o name` prints.
pub(crate) fn name(alert: &Alert) -> String {
    alert.id.to_string()
}

/// The table for people.
pub(crate) fn table(alerts: &[Alert], now: Timestamp, style: Style) -> String {
    let mut table = Table::new(["ALERT", "STATE", "SEVERITY", "RULE", "AGE", "WHAT"]).right(4);
    for alert in alerts {
        let severity = match (alert.severity.as_str(), alert.state.as_str()) {
            ("critical", "firing") => Cell::toned(Tone::Bad, &alert.severity),
            _ => Cell::from(&alert.severity),
        };
        table.row([
            Cell::from(alert.id.to_string()),
            Cell::signed(sign(alert), &state(alert)),
            severity,
            Cell::from(&alert.rule),
            Cell::from(time::ago(&alert.since, now)),
            Cell::from(&alert.summary),
        ]);
    }
    table.render(style)
}

/// How many there are, and what to do next.
pub(crate) fn summed(alerts: &[Alert]) -> String {
    let of = |state: &str| alerts.iter().filter(|alert| alert.state == state).count();
    match (of("firing"), of("pending"), alerts.iter().find(|alert| alert.state != "ended")) {
        (firing, pending, Some(Alert { id, .. })) => {
            format!("{firing} firing · {pending} pending\nnext: flota alert show {id}")
        }
        (.., None) => "nothing is wrong that a rule knows of.".to_owned(),
    }
}

/// Who is told, those that could not be first.
pub(crate) fn receivers(receivers: &[AlertReceiver], now: Timestamp, style: Style) -> Vec<String> {
    let line = |receiver: &AlertReceiver| {
        let AlertReceiver { name, told_at, failure, attempts, .. } = receiver;
        let last = if told_at.is_empty() {
            "never told yet".to_owned()
        } else {
            format!("last told {} ago", time::ago(told_at, now))
        };
        let name = clean(name);
        if failure.is_empty() && receiver.waits {
            return style.say(Sign::Working, &format!("{name} is told what is new in a moment, {last}"));
        }
        if failure.is_empty() {
            return style.say(Sign::Ok, &format!("{name} knows what there is to know, {last}"));
        }
        let tries = count(usize::try_from(*attempts).unwrap_or(usize::MAX), "attempt");
        style.say(Sign::Failed, &format!("{name} could not be told ({tries}, {last}): {}", clean(failure)))
    };
    if receivers.is_empty() {
        return vec![style.say(Sign::Warning, "nobody is told: [alerts.receivers] in controller.toml names no one")];
    }
    let mut sorted: Vec<&AlertReceiver> = receivers.iter().collect();
    sorted.sort_by_key(|receiver| receiver.failure.is_empty());
    sorted.into_iter().map(line).collect()
}

/// One of them.
pub(crate) fn show(alert: &Alert, now: Timestamp, style: Style) -> String {
    let Alert { summary, description, rule, means, fired_at, ended_at, gone_since, runbook, silence, .. } = alert;
    let mut text = format!("{}\n\n  {}\n\n", style.say(sign(alert), &clean(summary)), clean(description));
    let at = |time_text: &str| format!("{} ({} ago)", time::stamp(time_text), time::ago(time_text, now));
    let mut rows = vec![
        ("Alert", facts(style, &[state(alert), alert.severity.clone(), format!("number {}", alert.id)])),
        ("Rule", facts(style, &[clean(rule), clean(means)])),
    ];
    if !alert.subject.is_empty() {
        rows.push(("About", subject(alert)));
    }
    rows.push(("Since", at(&alert.since)));
    for (label, time_text) in [("Told", fired_at), ("Gone", gone_since), ("Ended", ended_at)] {
        if !time_text.is_empty() {
            rows.push((label, at(time_text)));
        }
    }
    if alert.host_count > 0 {
        let known: Vec<String> = alert.hosts.iter().map(|host| clean(host)).collect();
        let number = usize::try_from(alert.host_count).unwrap_or(usize::MAX);
        rows.push(("Hosts", format!("{}: {}", count(number, "host"), few(&known, NAMED, style))));
    }
    if !silence.is_empty() {
        rows.push(("Silenced", format!("by silence {}: it stays as it is", clean(silence))));
    }
    rows.push(("Runbook", clean(runbook)));
    for (label, value) in rows {
        let _ = writeln!(text, "{label:<9} {value}");
    }
    text.truncate(text.trim_end().len());
    text
}

fn state(alert: &Alert) -> String {
    let flapping = if alert.flapping { ", comes and goes" } else { "" };
    let gone = if alert.gone_since.is_empty() || alert.state != "firing" { "" } else { ", gone for now" };
    let silenced = if alert.silence.is_empty() { "" } else { ", silenced" };
    format!("{}{flapping}{gone}{silenced}", clean(&alert.state))
}

fn subject(alert: &Alert) -> String {
    let mut pairs: Vec<(&String, &String)> = alert.subject.iter().filter(|(_, value)| !value.is_empty()).collect();
    pairs.sort();
    let words: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{}={}", clean(key), clean(value))).collect();
    words.join(" ")
}

fn sign(alert: &Alert) -> Sign {
    match (alert.state.as_str(), alert.severity.as_str()) {
        ("firing", "critical") => Sign::Failed,
        ("firing", _) => Sign::Warning,
        ("pending", _) => Sign::Waiting,
        _ => Sign::Ok,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, golden, now};

    fn alert(id: u32, state: &str, severity: &str) -> Alert {
        Alert {
            id,
            rule: "FlotaExchangeUnavailable".into(),
            severity: severity.into(),
            state: state.into(),
            subject: [("exchange".to_owned(), "kraken".to_owned()), ("label".to_owned(), String::new())].into(),
            summary: "kraken is unavailable to 14 of 14 hosts".into(),
            description: "Checks that fail: public_api. It is the exchange or the way there rather than the hosts."
                .into(),
            command: "flota health show --by exchange".into(),
            runbook: "docs/runbooks/FlotaExchangeUnavailable.md".into(),
            hosts: (1..=14).map(|n| format!("fra-bot-{n:02}")).collect(),
            host_count: 14,
            since: "2026-11-23T14:31:07Z".into(),
            fired_at: "2026-11-23T14:34:07Z".into(),
            ended_at: if state == "ended" { "2026-11-23T14:40:07Z".into() } else { String::new() },
            means: "an exchange is unavailable to most of the hosts that trade there".into(),
            ..Alert::default()
        }
    }

    #[test]
    fn what_is_wrong_is_listed_with_who_is_told() {
        let alerts = [
            alert(12, "firing", "critical"),
            Alert { flapping: true, gone_since: "2026-11-23T14:41:00Z".into(), ..alert(9, "firing", "warning") },
            Alert { silence: "3".into(), ..alert(13, "pending", "critical") },
            alert(2, "ended", "critical"),
        ];
        let told =
            AlertReceiver { name: "desk".into(), told_at: "2026-11-23T14:40:00Z".into(), ..AlertReceiver::default() };
        let failing = AlertReceiver {
            name: "oncall".into(),
            failure: "the other side answered 503".into(),
            attempts: 4,
            ..AlertReceiver::default()
        };
        let mut text = format!("{}\n{}\n", table(&alerts, now(), PLAIN), summed(&alerts));
        for line in receivers(&[told, failing], now(), PLAIN).iter().chain(&receivers(&[], now(), PLAIN)) {
            let _ = writeln!(text, "{line}");
        }
        golden("alert-list.txt", &text);
        golden(
            "alert-show.txt",
            &format!("{}\n\n{}\n", show(&alerts[0], now(), PLAIN), show(&alerts[3], now(), PLAIN)),
        );
        assert_eq!(row(&alerts[0]).len(), COLUMNS.len());
        assert_eq!(summed(&[]), "nothing is wrong that a rule knows of.");
    }
}
