//! What the fleet is held to: rollouts, exports, the hours of markets.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use flota_model::market::Market;
use flota_model::window::{MAX_WINDOWS, Window};
use flota_planner::is_zone;
use serde::Deserialize;

/// Longest interval between exports, in hours: a month.
const MAX_EXPORT_HOURS: u64 = 31 * 24;
/// Longest time that exports can be asked to be kept, in days; who needs more keeps them for ever.
const MAX_KEEP_DAYS: u64 = 100 * 366;
/// Minutes between health checks: not so often that one is asked for before the one before it must have ended, and once a day
/// at least, as the manual's checklist has it.
const HEALTH_MINUTES: RangeInclusive<u64> = 5..=24 * 60;
/// Most approvals that can be asked for: more persons than have the role would stop every rollout.
pub const MAX_APPROVALS: u32 = 8;
/// Longest name of a market or a receiver, in bytes: it stands in tables.
const MAX_NAME: usize = 32;

/// What every rollout but a way back must have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RolloutRules {
    /// Persons beside its author who approve it.
    pub approvals: u32,
    /// Whether it names a change ticket.
    pub ticket: Ticket,
}

/// When hosts export without being asked, and how long exports are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportRules {
    /// The interval; none: only on demand and before updates.
    pub every: Option<Duration>,
    /// After this an export may be removed; none: never.
    pub keep: Option<Duration>,
    /// File with the keys of hosts, with which exports are checked when they arrive; none: they are not.
    pub keys_file: Option<PathBuf>,
}

/// Whether a rollout names a change ticket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ticket {
    /// If its author wants.
    #[default]
    Optional,
    /// Always.
    Required,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MarketFragment {
    sessions: Vec<String>,
    holidays: BTreeSet<String>,
}

/// How often hosts check their exchanges.
pub(super) fn health(every_minutes: Option<u64>, problems: &mut Vec<String>) -> Option<Duration> {
    if every_minutes.is_some_and(|minutes| !HEALTH_MINUTES.contains(&minutes)) {
        let (least, most) = (HEALTH_MINUTES.start(), HEALTH_MINUTES.end());
        problems.push(format!("`health_every_minutes` must be from {least} to {most}"));
    }
    every_minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)))
}

/// When hosts export, and how long that is kept.
pub(super) fn exports(every_hours: Option<u64>, keep_days: Option<u64>, problems: &mut Vec<String>) -> ExportRules {
    if every_hours.is_some_and(|hours| !(1..=MAX_EXPORT_HOURS).contains(&hours)) {
        problems.push(format!("`export_every_hours` must be from 1 to {MAX_EXPORT_HOURS}"));
    }
    if keep_days.is_some_and(|days| !(1..=MAX_KEEP_DAYS).contains(&days)) {
        problems.push(format!("`export_keep_days` must be from 1 to {MAX_KEEP_DAYS}"));
    }
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
    let keep = keep_days.map(|days| hours(days.saturating_mul(24)));
    ExportRules { every: every_hours.map(hours), keep, keys_file: None }
}

/// What every rollout must have.
pub(super) fn rollouts(approvals: Option<u32>, ticket: Option<bool>, problems: &mut Vec<String>) -> RolloutRules {
    let approvals = approvals.unwrap_or(0);
    if approvals > MAX_APPROVALS {
        problems.push(format!("`rollout_approvals` must be from 0 to {MAX_APPROVALS}"));
    }
    let ticket = if ticket.unwrap_or(false) { Ticket::Required } else { Ticket::Optional };
    RolloutRules { approvals, ticket }
}

/// Whether a table may have that name: letters, digits, `.`, `_` and `-`, [`MAX_NAME`] at most.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// The markets, or what is wrong with them.
pub(super) fn calendar(fragments: BTreeMap<String, MarketFragment>) -> Result<BTreeMap<String, Market>, Vec<String>> {
    let mut problems = Vec::new();
    let mut markets = BTreeMap::new();
    for (name, MarketFragment { sessions, holidays }) in fragments {
        if !is_plain_name(&name) {
            problems.push("`markets`: a name has letters, digits, `.`, `_` and `-`, 32 at most".to_owned());
            continue;
        }
        let parsed: Result<Vec<Window>, _> = sessions.iter().map(|session| session.parse()).collect();
        let sessions = parsed.ok().filter(|sessions: &Vec<Window>| {
            (1..=MAX_WINDOWS).contains(&sessions.len()) && sessions.iter().all(|session| is_zone(&session.zone))
        });
        let Some(sessions) = sessions else {
            problems.push(format!(
                "`markets.{name}.sessions` must list sessions, as in \"Mon-Fri 09:30-16:00 America/New_York\""
            ));
            continue;
        };
        if !holidays.iter().all(|day| day.len() == 10 && day.parse::<jiff::civil::Date>().is_ok()) {
            problems.push(format!("`markets.{name}.holidays` must list days, as in \"2026-12-25\""));
        }
        markets.insert(name, Market { sessions, holidays });
    }
    if problems.is_empty() { Ok(markets) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markets_are_sessions_with_holidays() {
        let market = |session: &str, holiday: &str| {
            let fragment = MarketFragment { sessions: vec![session.into()], holidays: [holiday.to_owned()].into() };
            calendar(BTreeMap::from([("xnys".to_owned(), fragment)]))
        };
        let session = "Mon-Fri 09:30-16:00 America/New_York";
        assert_eq!(market(session, "2026-12-25").unwrap()["xnys"].sessions.len(), 1);
        for wrong in ["Mon-Fri 09:30-16:00 Mars/Olympus", "always"] {
            let problems = market(wrong, "2026-12-25").unwrap_err();
            assert!(problems[0].starts_with("`markets.xnys.sessions`") && !problems[0].contains(wrong), "{problems:?}");
        }
        assert!(market(session, "Christmas").is_err());
        assert!(calendar(BTreeMap::from([("x y".to_owned(), MarketFragment::default())])).is_err());
    }

    #[test]
    fn numbers_have_bounds() {
        let mut problems = Vec::new();
        assert_eq!(exports(Some(24), Some(30), &mut problems).keep, Some(Duration::from_hours(720)));
        assert_eq!(rollouts(Some(2), Some(true), &mut problems).ticket, Ticket::Required);
        assert!(problems.is_empty());
        exports(Some(0), Some(0), &mut problems);
        rollouts(Some(99), None, &mut problems);
        assert_eq!(problems.len(), 3, "{problems:?}");
    }
}
