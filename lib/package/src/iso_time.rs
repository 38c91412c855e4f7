//! ISO 8601 the way the bot's files use it: a missing zone means UTC, and output looks like Python's `isoformat()`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads an instant: `2026-07-01T00:00:00Z`, any offset, no zone at all (UTC) or a date alone (midnight UTC).
///
/// # Errors
/// The text is not such an instant, or names a time zone in brackets, which the bot's files never do.
pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
    let text = text.trim();
    match text.parse::<Timestamp>() {
        Ok(instant) => Ok(instant),
        // A civil reading ignores a bracketed zone, which would shift the instant silently.
        Err(error) if text.contains('[') => Err(error),
        Err(_) => Ok(text.parse::<DateTime>()?.to_zoned(TimeZone::UTC)?.timestamp()),
    }
}

/// Writes an instant in UTC with an offset, and microseconds only if there are any: `2026-07-01T00:00:00+00:00`.
pub fn format(instant: Timestamp) -> String {
    let micros = instant.subsec_nanosecond() / 1_000;
    if micros == 0 {
        instant.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
    } else {
        instant.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_missing_zones_and_dates_are_read_as_utc() {
        let noon = "2026-07-01T12:00:00Z".parse::<Timestamp>().unwrap();
        for text in
            ["2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00", " 2026-07-01T12:00:00 ", "2026-07-01 12:00:00"]
        {
            assert_eq!(parse(text).unwrap(), noon, "{text}");
        }
        assert_eq!(format(parse("2026-07-01").unwrap()), "2026-07-01T00:00:00+00:00");
        assert!(parse("not-a-date").is_err());
        assert!(parse("2026-07-01T12:00:00[Europe/Warsaw]").is_err());
    }

    #[test]
    fn a_fraction_is_written_as_six_digits() {
        assert_eq!(format(parse("2026-07-01T00:00:00.5Z").unwrap()), "2026-07-01T00:00:00.500000+00:00");
    }
}
