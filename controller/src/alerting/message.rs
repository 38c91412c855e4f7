//! What receivers are sent, as Alertmanager sends and takes it: receivers that people have understand it already.

use std::time::Duration;

use flota_model::Timestamp;
use flota_model::alert::{Alert, AlertState};
use serde_json::{Map, Value, json};

/// Alertmanager takes an alert that it is told of no more as over after that; it is told every minute.
const LASTS: Duration = Duration::from_mins(5);
/// Most alerts of one message; the count says how many are left out.
pub(super) const MAX_ALERTS: usize = 200;

/// Alertmanager's webhook payload, version 4: the alerts of one rule.
pub(super) fn webhook(receiver: &str, rule: &str, alerts: &[&Alert], runbooks: &str) -> String {
    let listed = alerts.get(..MAX_ALERTS).unwrap_or(alerts);
    let shown: Vec<Value> = listed.iter().map(|alert| one(alert, runbooks)).collect();
    let firing = alerts.iter().any(|alert| alert.state == AlertState::Firing);
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{alertname=\"{rule}\"}}"),
        "truncatedAlerts": alerts.len().saturating_sub(listed.len()),
        "status": if firing { "firing" } else { "resolved" },
        "receiver": receiver,
        "groupLabels": { "alertname": rule },
        "commonLabels": common(&shown, "labels"),
        "commonAnnotations": common(&shown, "annotations"),
        "externalURL": "",
        "alerts": shown,
    })
    .to_string()
}

/// What Alertmanager takes on `/api/v2/alerts`: everything that fires, and what ended lately.
pub(super) fn alertmanager(alerts: &[&Alert], runbooks: &str, now: Timestamp) -> String {
    let shown = alerts.iter().map(|alert| {
        let ends = alert.ended_at.unwrap_or_else(|| now.plus(LASTS));
        json!({
            "labels": labels(alert), "annotations": annotations(alert, runbooks), "startsAt": alert.since, "endsAt": ends,
            "generatorURL": "",
        })
    });
    Value::from(shown.collect::<Vec<_>>()).to_string()
}

fn one(alert: &Alert, runbooks: &str) -> Value {
    json!({
        "status": if alert.state == AlertState::Firing { "firing" } else { "resolved" },
        "labels": labels(alert),
        "annotations": annotations(alert, runbooks),
        "startsAt": alert.since,
        // As Alertmanager has it of what has no end yet.
        "endsAt": alert.ended_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string()),
        "generatorURL": "",
        "fingerprint": alert.key.fingerprint(),
    })
}

fn labels(alert: &Alert) -> Map<String, Value> {
    let mut labels: Map<String, Value> = alert
        .key
        .subject
        .iter()
        // Alertmanager takes a label without a value as none.
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.clone(), Value::from(value.clone())))
        .collect();
    labels.insert("alertname".into(), Value::from(alert.key.rule.clone()));
    labels.insert("severity".into(), Value::from(alert.finding.severity.as_str()));
    labels
}

fn annotations(alert: &Alert, runbooks: &str) -> Map<String, Value> {
    let finding = &alert.finding;
    let comes_and_goes = if alert.flapping { " It comes and goes." } else { "" };
    let names: Vec<&str> = finding.hosts.iter().map(flota_model::HostName::as_str).collect();
    let left_out = usize::try_from(finding.host_count).unwrap_or(usize::MAX).saturating_sub(names.len());
    let more = if left_out == 0 { String::new() } else { format!(" and {left_out} more") };
    let pairs = [
        ("summary", finding.summary.clone()),
        ("description", format!("{}{comes_and_goes}", finding.description)),
        ("command", finding.command.clone()),
        ("hosts", format!("{}{more}", names.join(", "))),
        ("runbook_url", format!("{runbooks}{}.md", alert.key.rule)),
    ];
    pairs.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key.into(), Value::from(text))).collect()
}

/// What all of them have in common.
fn common(shown: &[Value], part: &str) -> Map<String, Value> {
    let mut parts = shown.iter().filter_map(|alert| alert.get(part)?.as_object());
    let Some(first) = parts.next() else { return Map::new() };
    let mut common = first.clone();
    for other in parts {
        common.retain(|key, value| other.get(key) == Some(value));
    }
    common
}

#[cfg(test)]
mod tests {
    use flota_model::alert::{AlertKey, Finding, Severity};

    use super::*;

    fn alert(host: &str, ended: Option<i64>) -> Alert {
        let at = |minute: i64| Timestamp::from_micros(1_795_428_000_000_000 + minute * 60_000_000);
        let pairs = [("host", host), ("label", "")];
        Alert {
            key: AlertKey {
                rule: "FlotaHostUnhealthy".into(),
                subject: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            },
            finding: Finding {
                severity: Severity::Warning,
                summary: format!("{host} fails private_api at binance"),
                description: "It says: 401.".into(),
                command: format!("flota health show {host}"),
                hosts: vec![host.parse().unwrap()],
                host_count: 3,
            },
            state: if ended.is_some() { AlertState::Ended } else { AlertState::Firing },
            flapping: ended.is_none(),
            since: at(0),
            fired_at: Some(at(5)),
            gone_since: None,
            ended_at: ended.map(at),
            edges: Vec::new(),
        }
    }

    #[test]
    fn a_webhook_gets_what_alertmanager_would_send_it() {
        let (ill, well) = (alert("fra-bot-07", None), alert("fra-bot-09", Some(30)));
        let message: Value =
            serde_json::from_str(&webhook("oncall", "FlotaHostUnhealthy", &[&ill, &well], "https://wiki.example/"))
                .unwrap();
        let expected = json!({
            "version": "4",
            "groupKey": "{}:{alertname=\"FlotaHostUnhealthy\"}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "oncall",
            "groupLabels": { "alertname": "FlotaHostUnhealthy" },
            "commonLabels": { "alertname": "FlotaHostUnhealthy", "severity": "warning" },
            "commonAnnotations": { "runbook_url": "https://wiki.example/FlotaHostUnhealthy.md" },
            "externalURL": "",
            "alerts": [
                {
                    "status": "firing",
                    "labels": { "alertname": "FlotaHostUnhealthy", "severity": "warning", "host": "fra-bot-07" },
                    "annotations": {
                        "summary": "fra-bot-07 fails private_api at binance",
                        "description": "It says: 401. It comes and goes.",
                        "command": "flota health show fra-bot-07",
                        "hosts": "fra-bot-07 and 2 more",
                        "runbook_url": "https://wiki.example/FlotaHostUnhealthy.md",
                    },
                    "startsAt": "2026-11-23T10:00:00Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "",
                    "fingerprint": ill.key.fingerprint(),
                },
                one(&well, "https://wiki.example/"),
            ],
        });
        assert_eq!(message, expected, "{message:#}");
        assert_eq!(message["alerts"][1]["endsAt"], "2026-11-23T10:30:00Z");
        let over: Value = serde_json::from_str(&webhook("oncall", "FlotaHostUnhealthy", &[&well], "")).unwrap();
        assert_eq!(over["status"], "resolved");
    }

    #[test]
    fn a_message_says_what_it_leaves_out() {
        let ill = alert("a", None);
        let message: Value = serde_json::from_str(&webhook("x", "y", &vec![&ill; MAX_ALERTS + 7], "")).unwrap();
        let listed = message["alerts"].as_array().unwrap().len();
        assert_eq!((listed, &message["truncatedAlerts"]), (MAX_ALERTS, &json!(7)));
    }

    #[test]
    fn alertmanager_is_told_until_when_an_alert_lasts() {
        let now = Timestamp::from_micros(1_795_428_000_000_000);
        let (ill, well) = (alert("a", None), alert("b", Some(0)));
        let message: Value = serde_json::from_str(&alertmanager(&[&ill, &well], "", now)).unwrap();
        assert_eq!(message[0]["endsAt"], "2026-11-23T10:05:00Z");
        assert_eq!(message[1]["endsAt"], "2026-11-23T10:00:00Z");
    }
}
