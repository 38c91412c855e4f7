//! Times of the wire (RFC 3339, UTC) for people. Always UTC: a fleet has no other time in common.

use std::time::Duration;

use flota_model::Timestamp;

/// A time of the wire; none when empty or not a time.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// How long ago, in one unit: `4s`, `41m`, `3h`, `12d`; `never` for no time.
pub(crate) fn ago(text: &str, now: Timestamp) -> String {
    parse(text).map_or_else(|| "never".to_owned(), |time| span(now.since(time)))
}

/// How long until then, in one unit.
pub(crate) fn until(text: &str, now: Timestamp) -> String {
    parse(text).map_or_else(|| "never".to_owned(), |time| span(time.since(now)))
}

/// A duration in one unit, two from an hour on: `59s`, `41m`, `3h05m`, `12d`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The time of day; with the date when it is another day.
pub(crate) fn clock(text: &str, now: Timestamp) -> String {
    let Some(time) = parse(text) else { return String::new() };
    if day(time) == day(now) { format(time, "%H:%M:%S") } else { format(time, "%Y-%m-%d %H:%M") }
}

/// Date, time and zone.
pub(crate) fn stamp(text: &str) -> String {
    parse(text).map(|time| format(time, "%Y-%m-%d %H:%M:%S UTC")).unwrap_or_default()
}

/// The time of day with its zone.
pub(crate) fn of_day(time: Timestamp) -> String {
    format(time, "%H:%M:%S UTC")
}

/// `20261123T142113Z`, for file names.
pub(crate) fn compact(text: &str) -> String {
    parse(text).map(|time| format(time, "%Y%m%dT%H%M%SZ")).unwrap_or_default()
}

/// `90s`, `10m`, `1h30m`, or seconds without a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let duration: Result<jiff::SignedDuration, _> = text.parse();
    let unsigned = duration.ok().and_then(|duration| Duration::try_from(duration).ok());
    unsigned.ok_or_else(|| "expected a duration, as in 90s, 10m or 1h30m".to_owned())
}

fn day(time: Timestamp) -> i64 {
    time.as_seconds().div_euclid(86_400)
}

fn format(time: Timestamp, pattern: &str) -> String {
    jiff::Timestamp::from_microsecond(time.as_micros())
        .map(|time| time.strftime(pattern).to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_one_unit_worth_reading() {
        let spans = [0, 59, 60, 3599, 3660, 86_400].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0s", "59s", "1m", "59m", "1h01m", "1d"]);
    }

    #[test]
    fn another_day_is_named() {
        let now = parse("2026-11-23T14:43:10Z").unwrap();
        assert_eq!(clock("2026-11-23T14:31:07Z", now), "14:31:07");
        assert_eq!(clock("2026-11-22T14:31:07Z", now), "2026-11-22 14:31");
        assert_eq!(ago("", now), "never");
        assert_eq!(compact("2026-11-23T14:21:13.5Z"), "20261123T142113Z");
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
        assert!(parse_duration("-5s").is_err());
        assert!(parse_duration("soon").is_err());
    }
}
