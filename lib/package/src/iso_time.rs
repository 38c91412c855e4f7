//! ISO 8601 the way the bot's files use it: a missing zone means UTC, and output looks like Python's `isoformat()`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The first instant of the year 1, in seconds: Python knows none before, and [`format`] could not write one.
const FIRST_SECOND: i64 = -62_135_596_800;

/// Reads an instant: `2026-07-01T00:00:00Z`, any offset, no zone at all (UTC) or a date alone (midnight UTC).
///
/// # Errors
/// The text is not such an instant, is before the year 1 in UTC, or names a time zone in brackets, which the bot's files
/// never do.
pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
    let text = text.trim();
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        // A civil reading ignores a bracketed zone, which would shift the instant silently.
        Err(error) if text.contains('[') => return Err(error),
        Err(_) => text.parse::<DateTime>()?.to_zoned(TimeZone::UTC)?.timestamp(),
    };
    if instant < Timestamp::constant(FIRST_SECOND, 0) {
        return Err(jiff::Error::from_args(format_args!("it is before the year 1")));
    }
    Ok(instant)
}

/// Writes an instant in UTC with an offset, and microseconds only if there are any: `2026-07-01T00:00:00+00:00`.
pub fn format(instant: Timestamp) -> String {
    // Before 1970 the fraction counts backwards.
    let micros = instant.subsec_nanosecond().rem_euclid(1_000_000_000) / 1_000;
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
    fn what_is_read_can_be_written() {
        for text in ["0001-01-01T00:00:00+00:00", "9999-12-30T22:00:00+00:00"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        for text in ["0001-01-01T00:00:00+00:01", "0000-12-31", "-000001-01-01T00:00:00Z"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_fraction_is_written_as_six_digits() {
        assert_eq!(format(parse("2026-07-01T00:00:00.5Z").unwrap()), "2026-07-01T00:00:00.500000+00:00");
        assert_eq!(format(parse("1969-12-31T23:59:59.9999995Z").unwrap()), "1969-12-31T23:59:59.999999+00:00");
    }
}
