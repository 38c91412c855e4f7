//! When hosts may be started: windows of the week, in a place's own time.
//!
//! Time zones come with the program, so that the same plan follows everywhere from the same input.

use flota_model::Timestamp;
use flota_model::window::{MINUTES_OF_A_DAY, Window};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Days that are looked through for the next opening: a window opens once a week at least.
const HORIZON: i64 = 8;

/// Whether some window is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// One is, or there are none.
    Open,
    /// None is; the first one to open does so then. `None`: the zones of all of them are unknown.
    Closed(Option<Timestamp>),
}

/// Whether a place of that name is known (IANA time zone database).
pub fn is_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// How it stands with these windows now.
pub(crate) fn opening(windows: &[Window], now: Timestamp) -> Opening {
    if windows.is_empty() || windows.iter().any(|window| next(window, now).is_some_and(|next| next <= now)) {
        return Opening::Open;
    }
    Opening::Closed(windows.iter().filter_map(|window| next(window, now)).min())
}

/// The beginning of the window that is open, or of the next one.
fn next(window: &Window, now: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(&window.zone).ok()?;
    let present = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?;
    let today = present.to_zoned(zone.clone()).date();
    // One that began yesterday may still be open.
    (-1..HORIZON).filter_map(|days| today.checked_add(days.days()).ok()).find_map(|date| {
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).ok()?;
        if !window.days.get(day).copied().unwrap_or(false) {
            return None;
        }
        let (from, until) = (at(&zone, date, window.from)?, end(&zone, date, window)?);
        (present < until).then(|| Timestamp::from_micros(from.as_microsecond()))
    })
}

/// The end of the window that begins on this day; one that ends before it begins ends on the next.
fn end(zone: &TimeZone, date: Date, window: &Window) -> Option<jiff::Timestamp> {
    if window.until == MINUTES_OF_A_DAY || window.until <= window.from {
        let next = date.tomorrow().ok()?;
        return at(zone, next, if window.until == MINUTES_OF_A_DAY { 0 } else { window.until });
    }
    at(zone, date, window.until)
}

/// That minute of that day. One that the clock skips is the first after it; one that comes twice is the first.
fn at(zone: &TimeZone, date: Date, minute: u16) -> Option<jiff::Timestamp> {
    let hour = i8::try_from(minute / 60).ok()?;
    let minute = i8::try_from(minute % 60).ok()?;
    let time = date.at(hour, minute, 0, 0);
    zone.to_ambiguous_zoned(time).compatible().ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn ask(windows: &[&str], now: &str) -> Result<(), String> {
        let windows: Vec<Window> = windows.iter().map(|text| text.parse().unwrap()).collect();
        match opening(&windows, time(now)) {
            Opening::Open => Ok(()),
            Opening::Closed(until) => Err(until.map_or_else(|| "never".to_owned(), |until| until.to_string())),
        }
    }

    #[test]
    fn a_window_is_open_on_its_days_in_its_own_time() {
        let warsaw = ["Mon-Fri 14:00-16:00 Europe/Warsaw"];
        // Winter there: an hour ahead of UTC. 2026-11-27 is a Friday.
        for open in ["2026-11-27T13:00:00Z", "2026-11-27T14:59:59Z"] {
            assert_eq!(ask(&warsaw, open), Ok(()), "{open}");
        }
        for closed in ["2026-11-27T15:00:00Z", "2026-11-28T14:00:00Z", "2026-11-30T12:59:59Z"] {
            assert_eq!(ask(&warsaw, closed).unwrap_err(), time("2026-11-30T13:00:00Z").to_string(), "{closed}");
        }
        // Summer there: two hours ahead.
        assert_eq!(ask(&warsaw, "2026-07-01T12:30:00Z"), Ok(()));
        assert_eq!(ask(&warsaw, "2026-07-01T14:30:00Z").unwrap_err(), time("2026-07-02T12:00:00Z").to_string());
        assert_eq!(ask(&[], "2026-07-01T14:30:00Z"), Ok(()));
    }

    #[test]
    fn a_window_may_go_over_midnight_and_last_a_day() {
        let night = ["Sat 22:00-02:00 UTC"];
        assert_eq!(ask(&night, "2026-11-29T01:59:00Z"), Ok(()), "on Sunday, since Saturday");
        assert!(ask(&night, "2026-11-29T02:00:00Z").is_err());
        assert!(ask(&night, "2026-11-28T21:59:00Z").is_err());
        assert_eq!(ask(&["Sun 00:00-24:00 UTC"], "2026-11-29T23:59:00Z"), Ok(()));
        assert_eq!(ask(&["Sun 00:00-24:00 UTC", "Mon 00:00-01:00 UTC"], "2026-11-30T00:30:00Z"), Ok(()), "one of them");
    }

    #[test]
    fn clocks_that_are_set_leave_no_window_out() {
        // 2026-03-29: from 02:00 to 03:00 in Warsaw; 2026-10-25: back again.
        let sunday = ["Sun 02:15-02:45 Europe/Warsaw"];
        assert_eq!(ask(&sunday, "2026-03-29T01:20:00Z"), Ok(()), "03:20 there: the hour was skipped");
        assert_eq!(ask(&sunday, "2026-10-25T00:20:00Z"), Ok(()), "the first 02:20");
        assert!(ask(&sunday, "2026-10-25T01:20:00Z").is_err(), "the second 02:20");
    }

    #[test]
    fn a_place_that_nobody_knows_never_opens() {
        assert!(is_zone("America/New_York") && is_zone("UTC") && !is_zone("Mars/Olympus"));
        assert_eq!(ask(&["Mon 00:00-24:00 Mars/Olympus"], "2026-11-30T12:00:00Z").unwrap_err(), "never");
    }
}
