//! Health reports as hosts send them (manual §4). The document is the host's own: nothing in it is taken for granted.

use serde_json::Value;

/// Most results that are read of a report: some exchanges with all checks of each, with room to spare.
pub const MAX_CHECKS: usize = 200;

/// One result of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Of which exchange; empty: the report does not say.
    pub exchange: String,
    /// As in `private_api`.
    pub name: String,
    /// `healthy`, `degraded` or `unavailable`; any other word is a report of something else.
    pub status: String,
    /// In seconds.
    pub latency: Option<f64>,
    /// What the exchange or the host says.
    pub details: String,
}

impl Check {
    /// What is said without its numbers: times and balances differ from host to host while the cause is one.
    pub fn gist(&self) -> String {
        let words: Vec<&str> = self
            .details
            .split(|letter: char| letter.is_ascii_digit() || letter == '.')
            .flat_map(str::split_whitespace)
            .collect();
        words.join(" ")
    }
}

/// The results of a report, [`MAX_CHECKS`] at most; none of what is not a report.
pub fn checks(report: &str) -> Vec<Check> {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    // One exchange a report, or several in a list.
    let reports = report.as_array().map_or_else(|| std::slice::from_ref(&report), Vec::as_slice);
    let results = reports.iter().filter_map(|report| Some((exchange(report), report.get("results")?.as_array()?)));
    let results = results.flat_map(|(exchange, results)| results.iter().map(move |result| (exchange, result)));
    results.take(MAX_CHECKS).map(|(exchange, result)| check_of(exchange, result)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exchange_or_several_are_read_and_what_is_no_report_has_no_checks() {
        let one = r#"{"exchange":"kraken","results":[{"name":"public_api","status":"unavailable","details":"no answer in 9.98 s"}]}"#;
        let [check] = checks(one).try_into().unwrap();
        assert_eq!((check.exchange.as_str(), check.gist().as_str()), ("kraken", "no answer in s"));
        assert_eq!(checks(&format!("[{one},{one}]")).len(), 2);
        for no_report in ["", "not json", "[]", "{}", r#"{"results":3}"#, r#"{"exchange":"kraken"}"#] {
            assert_eq!(checks(no_report), [], "{no_report}");
        }
    }

    #[test]
    fn a_report_of_any_length_gives_so_many_checks() {
        let results = vec![r#"{"name":"x","status":"healthy"}"#; MAX_CHECKS + 1].join(",");
        assert_eq!(checks(&format!(r#"{{"results":[{results}]}}"#)).len(), MAX_CHECKS);
    }
}
