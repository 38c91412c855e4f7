//! Windows of the week in which hosts may be started, in a place's own time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Days of the week, the first of them Monday (ISO 8601).
pub const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// Minutes of a day: 24:00.
pub const MINUTES_OF_A_DAY: u16 = 24 * 60;
/// Most windows of one rollout.
pub const MAX_WINDOWS: usize = 16;
/// Longest name of a time zone, in bytes; the longest of the database has 32.
const MAX_ZONE: usize = 64;

/// `Mon-Fri 14:00-16:00 Europe/Warsaw`. One that ends before it begins ends on the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// On which days of the week it begins.
    pub days: [bool; 7],
    /// From which minute of the day.
    pub from: u16,
    /// Until which minute, not included; 24:00 is the end of the day.
    pub until: u16,
    /// The time zone (IANA).
    pub zone: String,
}

/// Text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a window: expected DAYS HH:MM-HH:MM ZONE, as in `Mon-Fri 14:00-16:00 Europe/Warsaw` or `Sat,Sun 00:00-24:00 UTC`"
)]
pub struct InvalidWindow(String);

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWindow> {
        let parsed = || {
            let mut words = text.split_whitespace();
            let (days, times, zone) = (words.next()?, words.next()?, words.next()?);
            let (from, until) = times.split_once('-')?;
            let (from, until) = (minute(from)?, minute(until)?);
            let is_name = |zone: &str| zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
            let is_plain = words.next().is_none() && zone.len() <= MAX_ZONE && is_name(zone);
            // The end of a day is no beginning, and a window from a minute to the same one is nothing or everything.
            let makes_sense = is_plain && from < MINUTES_OF_A_DAY && from != until;
            makes_sense.then_some(Self { days: days_of(days)?, from, until, zone: zone.to_owned() })
        };
        parsed().ok_or_else(|| InvalidWindow(text.chars().take(100).collect()))
    }
}

/// `Mon-Fri`, `Sat,Sun`, `daily`.
fn days_of(text: &str) -> Option<[bool; 7]> {
    if text.eq_ignore_ascii_case("daily") {
        return Some([true; 7]);
    }
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut at, last) = (day(first)?, day(last)?);
        loop {
            *days.get_mut(at)? = true;
            if at == last {
                break;
            }
            at = (at + 1) % DAYS.len();
        }
    }
    Some(days)
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours.checked_mul(60)?.checked_add(minutes)?;
    (minutes < 60 && minute <= MINUTES_OF_A_DAY).then_some(minute)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = DAYS.iter().zip(self.days).filter(|(_, is)| *is).map(|(day, _)| *day).collect();
        let days = if days.len() == DAYS.len() { "daily".to_owned() } else { days.join(",") };
        let Self { from, until, zone, .. } = self;
        write!(f, "{days} {:02}:{:02}-{:02}:{:02} {zone}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl TryFrom<String> for Window {
    type Error = InvalidWindow;

    fn try_from(text: String) -> Result<Self, InvalidWindow> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_as_people_write_them() {
        for (text, said) in [
            ("Mon-Fri 14:00-16:00 Europe/Warsaw", "Mon,Tue,Wed,Thu,Fri 14:00-16:00 Europe/Warsaw"),
            ("sat,SUN 00:00-24:00 UTC", "Sat,Sun 00:00-24:00 UTC"),
            ("Fri-Mon 22:30-02:15 America/New_York", "Mon,Fri,Sat,Sun 22:30-02:15 America/New_York"),
            ("daily 03:00-04:00 Etc/GMT+5", "daily 03:00-04:00 Etc/GMT+5"),
        ] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string(), said);
            assert_eq!(said.parse(), Ok(window));
        }
        for text in [
            "",
            "Mon",
            "Mon 14:00-16:00",
            "Mon 14:00-14:00 UTC",
            "Mon 24:00-02:00 UTC",
            "Mon 14:00-25:00 UTC",
            "Mon 14:60-16:00 UTC",
            "Mon 2:00-16:00 UTC",
            "Mun 14:00-16:00 UTC",
            "Mon 14:00-16:00 UTC please",
            "Mon 14:00-16:00 ../../etc",
        ] {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }
}
