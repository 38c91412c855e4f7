//! Health reports as hosts send them.

use serde_json::Value;

use crate::output::signs::Sign;

/// One result of a report (manual section 4).
#[derive(Debug, PartialEq)]
pub(crate) struct Check {
    /// Of which exchange; empty: the report does not say.
    pub(crate) exchange: String,
    /// As in `private_api`.
    pub(crate) name: String,
    /// `healthy`, `degraded` or `unavailable`.
    pub(crate) status: String,
    /// In seconds.
    pub(crate) latency: Option<f64>,
    /// What the exchange or the host says.
    pub(crate) details: String,
}

/// The results of a report; none of what is not a report. The document is the host's, so nothing is taken for granted.
pub(crate) fn checks(report: &str) -> Vec<Check> {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    // One exchange a report, or several in a list.
    let reports = report.as_array().cloned().unwrap_or_else(|| vec![report]);
    let results = reports.iter().filter_map(|report| Some((exchange(report), report.get("results")?.as_array()?)));
    results.flat_map(|(exchange, results)| results.iter().map(move |result| check_of(exchange, result))).collect()
}

fn exchange(report: &Value) -> &str {
    report.get("exchange").and_then(Value::as_str).unwrap_or_default()
}

fn check_of(exchange: &str, result: &Value) -> Check {
    let text = |key: &str| match result.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) if map.is_empty() => String::new(),
        Some(other) => other.to_string(),
    };
    Check {
        exchange: exchange.to_owned(),
        name: text("name"),
        status: text("status"),
        latency: result.get("latency").and_then(Value::as_f64),
        details: text("details"),
    }
}

/// The sign of a word.
pub(crate) fn sign(status: &str) -> Sign {
    match status {
        "healthy" => Sign::Ok,
        "degraded" => Sign::Warning,
        "unavailable" => Sign::Failed,
        _ => Sign::Silent,
    }
}
