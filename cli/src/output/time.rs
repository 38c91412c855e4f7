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

/// A point in time as people say it: itself, or how long something lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// RFC 3339.
    At(Timestamp),
    /// After another moment.
    After(Duration),
}

impl Moment {
    /// The time itself, where `start` is the other moment.
    pub(crate) fn counted_from(self, start: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::After(duration) => start.plus(duration),
        }
    }
}

/// `2026-11-30T18:00Z`, or what [`parse_duration`] reads.
pub(crate) fn parse_moment(text: &str) -> Result<Moment, String> {
    let time = parse(text).map(Moment::At);
    let moment = time.or_else(|| parse_duration(text).ok().map(Moment::After));
    moment.ok_or_else(|| "expected a time, as in 2026-11-30T18:00Z, or a duration, as in 48h or 7d".to_owned())
}

/// `2026-11-30T18:00Z`.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    parse(text).ok_or_else(|| "expected a time, as in 2026-11-30T18:00Z".to_owned())
}

/// `90s`, `10m`, `1h30m`, `7d`, or seconds without a unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = || text.parse().ok().map(Duration::from_secs);
    let duration = seconds().or_else(|| below_days(text)).or_else(|| with_days(text));
    duration.ok_or_else(|| "expected a duration, as in 90s, 10m, 1h30m or 7d".to_owned())
}

fn below_days(text: &str) -> Option<Duration> {
    let duration: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(duration).ok()
}

/// A day is 24 hours: a fleet has no time zone in which it could be another length.
fn with_days(text: &str) -> Option<Duration> {
    let (days, rest) = text.split_once('d')?;
    let days: u32 = days.parse().ok()?;
    let rest = if rest.is_empty() { Duration::ZERO } else { below_days(rest)? };
    Duration::from_hours(u64::from(days) * 24).checked_add(rest)
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
        assert_eq!(parse_duration("90 seconds"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(parse_duration("1d12h"), Ok(Duration::from_hours(36)));
        for bad in ["-5s", "-1d", "d", "1dd", "soon", ""] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_is_a_time_or_how_long_it_takes() {
        let start = parse("2026-11-23T14:43:10Z").unwrap();
        let end = |text: &str| parse_moment(text).map(|moment| moment.counted_from(start).to_string());
        assert_eq!(end("2026-11-30T18:00Z"), Ok("2026-11-30T18:00:00Z".to_owned()));
        assert_eq!(end("2d"), Ok("2026-11-25T14:43:10Z".to_owned()));
        assert!(end("tomorrow").is_err() && parse_time("2d").is_err());
    }
}
