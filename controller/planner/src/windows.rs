//! Windows of the week, in a place's own time.
//!
//! Time zones come with the program, so that the same plan follows everywhere from the same input.

use std::collections::BTreeSet;

use flota_model::Timestamp;
use flota_model::window::{MINUTES_OF_A_DAY, Window};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Days that are looked through for the next opening: a window opens once a week at least, and a market has no holidays
/// longer than four weeks.
const HORIZON: i64 = 36;

/// Whether a place of that name is known (IANA time zone database).
pub fn is_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

/// From when to when a window, or a session, is open: the one of now, or the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Span {
    pub(crate) fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// The span that is open at that time, or the first after it; none that begins on one of `holidays`. `None`: nobody
/// knows its zone, or there is none in the time that is looked through.
pub(crate) fn span(window: &Window, holidays: &BTreeSet<String>, at: Timestamp) -> Option<Span> {
    let zone = TimeZone::get(&window.zone).ok()?;
    let present = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
    let today = present.to_zoned(zone.clone()).date();
    // One that began yesterday may still be open.
    (-1..HORIZON).filter_map(|days| today.checked_add(days.days()).ok()).find_map(|date| {
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).ok()?;
        if !window.days.get(day).copied().unwrap_or(false) || holidays.contains(&date.to_string()) {
            return None;
        }
        let (from, until) = (minute_of(&zone, date, window.from)?, end(&zone, date, window)?);
        let micros = |time: jiff::Timestamp| Timestamp::from_micros(time.as_microsecond());
        (present < until).then(|| Span { from: micros(from), until: micros(until) })
    })
}

/// The end of the window that begins on this day; one that ends before it begins ends on the next.
fn end(zone: &TimeZone, date: Date, window: &Window) -> Option<jiff::Timestamp> {
    if window.until == MINUTES_OF_A_DAY || window.until <= window.from {
        let next = date.tomorrow().ok()?;
        return minute_of(zone, next, if window.until == MINUTES_OF_A_DAY { 0 } else { window.until });
    }
    minute_of(zone, date, window.until)
}

/// That minute of that day. One that the clock skips is the first after it; one that comes twice is the first.
fn minute_of(zone: &TimeZone, date: Date, minute: u16) -> Option<jiff::Timestamp> {
    let hour = i8::try_from(minute / 60).ok()?;
    let minute = i8::try_from(minute % 60).ok()?;
    let time = date.at(hour, minute, 0, 0);
    zone.to_ambiguous_zoned(time).compatible().ok().map(|zoned| zoned.timestamp())
}
