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
    /// What the exchange or the host says: its message, or the whole of what is there without one.
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
    let results =
        reports(&report).iter().filter_map(|report| Some((exchange(report), report.get("results")?.as_array()?)));
    let results = results.flat_map(|(exchange, results)| results.iter().map(move |result| (exchange, result)));
    results.take(MAX_CHECKS).map(|(exchange, result)| check_of(exchange, result)).collect()
}

/// Longest name of an exchange or a check, in characters.
const MAX_NAME: usize = 64;

/// A name as far as it is one: it stands in tables, alerts and the log.
fn short(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(MAX_NAME).collect()
}

fn exchange(report: &Value) -> &str {
    report.get("exchange").and_then(Value::as_str).unwrap_or_default()
}

fn check_of(exchange: &str, result: &Value) -> Check {
    let text = |key: &str| match result.get(key) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(map)) if map.is_empty() => String::new(),
        Some(other) => match other.get("message") {
            Some(Value::String(message)) => message.clone(),
            _ => other.to_string(),
        },
    };
    Check {
        exchange: short(exchange),
        name: short(&text("name")),
        status: text("status"),
        latency: result.get("latency").and_then(Value::as_f64),
        details: text("details"),
    }
}

/// The whole picture after some checks alone were made: the newest report with their results in the place of those it had.
/// None: one of the two is no report.
pub fn merged(newest: &str, made: &str) -> Option<(String, String)> {
    let (mut newest, made) = (serde_json::from_str::<Value>(newest).ok()?, serde_json::from_str::<Value>(made).ok()?);
    for report in reports(&made) {
        let results = report.get("results")?.as_array()?;
        match reports_mut(&mut newest).iter_mut().find(|known| exchange(known) == exchange(report)) {
            Some(known) => {
                let known = known.get_mut("results")?.as_array_mut()?;
                for result in results {
                    match known.iter_mut().find(|known| known.get("name") == result.get("name")) {
                        Some(known) => *known = result.clone(),
                        None => known.push(result.clone()),
                    }
                }
            }
            None => match &mut newest {
                Value::Array(all) => all.push(report.clone()),
                one => *one = Value::Array(vec![one.take(), report.clone()]),
            },
        }
    }
    for report in reports_mut(&mut newest) {
        let worst = worst(report.get("results")?.as_array()?);
        report.as_object_mut()?.insert("overall_status".to_owned(), Value::from(worst));
    }
    let results = reports(&newest).iter().filter_map(|report| report.get("results")?.as_array()).flatten();
    Some((worst(results).to_owned(), newest.to_string()))
}

fn worst<'a>(results: impl IntoIterator<Item = &'a Value>) -> &'static str {
    let words = results.into_iter().filter_map(|result| result.get("status")?.as_str());
    words.fold("healthy", |worst, word| match (worst, word) {
        (_, "unavailable") => "unavailable",
        ("healthy", "degraded") => "degraded",
        (worst, _) => worst,
    })
}

/// One exchange a report, or several in a list.
fn reports(document: &Value) -> &[Value] {
    document.as_array().map_or_else(|| std::slice::from_ref(document), Vec::as_slice)
}

fn reports_mut(document: &mut Value) -> &mut [Value] {
    match document {
        Value::Array(all) => all,
        one => std::slice::from_mut(one),
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
    fn a_message_is_what_is_said_of_a_check() {
        let report = r#"{"results":[{"name":"x","status":"degraded","details":{"message":"slow: 3 s","samples":4}}]}"#;
        assert_eq!(checks(report)[0].details, "slow: 3 s");
    }

    #[test]
    fn single_checks_take_their_place_in_the_whole_picture() {
        let result = |name: &str, status: &str| format!(r#"{{"name":"{name}","status":"{status}"}}"#);
        let report = |exchange: &str, results: &[String]| {
            format!(r#"{{"exchange":"{exchange}","overall_status":"x","results":[{}]}}"#, results.join(","))
        };
        let whole = report("kraken", &[result("public_api", "unavailable"), result("private_api", "healthy")]);
        let private = report("kraken", &[result("private_api", "degraded")]);
        let (overall, merged_report) = merged(&whole, &private).unwrap();
        assert_eq!(overall, "unavailable", "the check that was not made is as ill as before");
        let words: Vec<_> = checks(&merged_report).into_iter().map(|check| (check.name, check.status)).collect();
        let expected = [("public_api", "unavailable"), ("private_api", "degraded")];
        assert_eq!(words, expected.map(|(name, status)| (name.to_owned(), status.to_owned())));
        let public = report("kraken", &[result("public_api", "healthy")]);
        let (overall, merged_report) = merged(&merged_report, &public).unwrap();
        assert_eq!(overall, "degraded");
        assert!(merged_report.contains(r#""overall_status":"degraded""#), "{merged_report}");
        let elsewhere = report("binance", &[result("dns_tls", "unavailable")]);
        let (overall, both) = merged(&merged_report, &elsewhere).unwrap();
        assert_eq!((overall.as_str(), checks(&both).len()), ("unavailable", 3));
        assert_eq!(merged("not json", &whole), None);
        assert_eq!(merged(&whole, "{}"), None);
    }

    #[test]
    fn a_report_of_any_length_gives_so_many_checks() {
        let results = vec![r#"{"name":"x","status":"healthy"}"#; MAX_CHECKS + 1].join(",");
        assert_eq!(checks(&format!(r#"{{"results":[{results}]}}"#)).len(), MAX_CHECKS);
    }
}
