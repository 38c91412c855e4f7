//! When a rollout may start hosts: while one of its windows is open and each of its markets does what it says.

use std::collections::BTreeSet;

use flota_model::Timestamp;
use flota_model::market::{Market, MarketRule, Trading};
use flota_model::rollout::{RolloutSpec, Urgency};
use flota_model::window::Window;

use crate::windows::span;

/// Steps in which windows and markets agree on a time; each leaves a session or a gap behind.
const MAX_STEPS: usize = 100;

/// Whether hosts may be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hours {
    /// Now.
    Open,
    /// Not now.
    Closed {
        /// From then on; none in sight where there is none.
        opens: Option<Timestamp>,
        /// For people.
        why: String,
    },
}

/// How it stands with a rollout's hours now. An emergency has none.
pub(crate) fn hours(spec: &RolloutSpec, now: Timestamp) -> Hours {
    match spec.urgency {
        Urgency::Normal => hours_of(&spec.windows, &spec.markets, now),
        Urgency::Emergency => Hours::Open,
    }
}

fn hours_of(windows: &[Window], markets: &[MarketRule], now: Timestamp) -> Hours {
    let first = |at| {
        let window = window_opens(windows, at);
        markets.iter().map(|rule| market_opens(rule, at)).fold(window, |latest, next| Some(latest?.max(next?)))
    };
    let mut opens = first(now);
    if opens == Some(now) {
        return Hours::Open;
    }
    for _ in 0..MAX_STEPS {
        match opens.map(|at| (at, first(at))) {
            Some((at, next)) if next == Some(at) => break,
            Some((_, next)) => opens = next,
            None => break,
        }
    }
    Hours::Closed { opens, why: why(windows, markets, opens, now) }
}

fn why(windows: &[Window], markets: &[MarketRule], opens: Option<Timestamp>, now: Timestamp) -> String {
    let closed = markets.iter().find(|rule| market_opens(rule, now) != Some(now));
    let when = opens.map_or_else(|| "that never ends".to_owned(), |opens| format!("until {opens}"));
    match closed {
        _ if window_opens(windows, now) != Some(now) => match opens {
            Some(opens) => format!("outside the rollout's windows; the next one opens at {opens}"),
            None => "the rollout's windows never open".to_owned(),
        },
        Some(rule) => {
            let does = match rule.wish.during {
                Trading::Open => Trading::Closed,
                Trading::Closed => Trading::Open,
            };
            format!("market {} is {does}, {when}", rule.wish.market)
        }
        None => "not in the rollout's hours".to_owned(),
    }
}

/// The first time, not before `at`, at which some window is open.
fn window_opens(windows: &[Window], at: Timestamp) -> Option<Timestamp> {
    if windows.is_empty() {
        return Some(at);
    }
    windows.iter().filter_map(|window| span(window, &BTreeSet::new(), at)).map(|span| span.from.max(at)).min()
}

/// The first time, not before `at`, at which the market does what the rule says.
fn market_opens(rule: &MarketRule, at: Timestamp) -> Option<Timestamp> {
    let Market { sessions, holidays } = &rule.market;
    let spans = |at| sessions.iter().filter_map(move |session| span(session, holidays, at));
    match rule.wish.during {
        Trading::Open => spans(at).map(|span| span.from.max(at)).min(),
        Trading::Closed => {
            let mut free = at;
            for _ in 0..MAX_STEPS {
                match spans(free).filter(|span| span.contains(free)).map(|span| span.until).max() {
                    Some(end) => free = end,
                    None => return Some(free),
                }
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::is_zone;

    fn time(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn ask(windows: &[&str], now: &str) -> Result<(), String> {
        let windows: Vec<Window> = windows.iter().map(|text| text.parse().unwrap()).collect();
        match hours_of(&windows, &[], time(now)) {
            Hours::Open => Ok(()),
            Hours::Closed { opens, .. } => Err(opens.map_or_else(|| "never".to_owned(), |until| until.to_string())),
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

    #[test]
    fn a_market_is_a_calendar_with_holidays() {
        // New York: 14:30 to 21:00 UTC in winter. 2026-11-26 is Thanksgiving, a Thursday.
        let market = Market {
            sessions: vec!["Mon-Fri 09:30-16:00 America/New_York".parse().unwrap()],
            holidays: ["2026-11-26".to_owned()].into(),
        };
        let rule = |wish: &str| [MarketRule { wish: wish.parse().unwrap(), market: market.clone() }];
        let ask = |wish: &str, windows: &[&str], now: &str| {
            let windows: Vec<Window> = windows.iter().map(|text| text.parse().unwrap()).collect();
            match hours_of(&windows, &rule(wish), time(now)) {
                Hours::Open => None,
                Hours::Closed { opens, why } => Some((opens.unwrap().to_string(), why)),
            }
        };
        assert_eq!(ask("xnys=closed", &[], "2026-11-26T16:00:00Z"), None, "a holiday");
        assert_eq!(ask("xnys=open", &[], "2026-11-27T16:00:00Z"), None);
        let (opens, why) = ask("xnys=closed", &[], "2026-11-27T16:00:00Z").unwrap();
        assert_eq!((opens.as_str(), why.contains("market xnys is open")), ("2026-11-27T21:00:00Z", true), "{why}");
        let (opens, why) = ask("xnys=open", &[], "2026-11-25T22:00:00Z").unwrap();
        assert_eq!((opens.as_str(), why.contains("market xnys is closed")), ("2026-11-27T14:30:00Z", true), "{why}");
        // A window and a market at once: the window opens on Friday at 20:00, the market closes at 21:00.
        let (opens, _) = ask("xnys=closed", &["Fri 20:00-23:00 UTC"], "2026-11-27T16:00:00Z").unwrap();
        assert_eq!(opens, "2026-11-27T21:00:00Z");
    }
}
