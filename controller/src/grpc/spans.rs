//! Times in which something does not happen to some hosts: freezes and silences are asked for alike.

use std::time::Duration;

use flota_model::{Selector, Timestamp};

use crate::fault::{Code, Fault};

/// A time that was asked for.
pub struct Span {
    /// Which hosts.
    pub selector: Selector,
    /// From when.
    pub from: Timestamp,
    /// Until when; not included.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

/// What was asked for, unread.
pub struct Asked {
    /// Empty only with `all_hosts`.
    pub selector: String,
    /// Every host.
    pub all_hosts: bool,
    /// RFC 3339; empty: now.
    pub from: String,
    /// RFC 3339.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// What it may be.
pub struct Bounds {
    /// What it is called, with its article.
    pub what: &'static str,
    /// It lasts so many days at most.
    pub days: u32,
    /// Longest reason, in characters.
    pub reason: usize,
}

/// Reads it.
pub fn read(asked: Asked, bounds: &Bounds, now: Timestamp) -> Result<Span, Fault> {
    let Asked { selector, all_hosts, from, until, reason } = asked;
    let Bounds { what, days, reason: longest } = bounds;
    if selector.is_empty() && !all_hosts {
        return Err(Fault::new(Code::NothingSelected, "no hosts were named").fix("-l SELECTOR, or --all"));
    }
    let selector: Selector = selector.parse().map_err(Fault::bad)?;
    if reason.trim().is_empty() || reason.chars().count() > *longest {
        let sentence = format!("{what} needs a reason, of {longest} characters at most: somebody will ask");
        return Err(Fault::new(Code::BadRequest, sentence));
    }
    let from: Timestamp = if from.is_empty() { now } else { from.parse().map_err(Fault::bad)? };
    let until: Timestamp = until.parse().map_err(Fault::bad)?;
    if until <= from || until <= now || until.since(from) > Duration::from_hours(24) * *days {
        let sentence = format!("{what} ends after it begins, in the future, and lasts {days} days at most");
        return Err(Fault::new(Code::BadRequest, sentence));
    }
    Ok(Span { selector, from, until, reason })
}

/// Where it stands.
pub fn state(from: Timestamp, until: Timestamp, now: Timestamp) -> &'static str {
    match (from <= now, now < until) {
        (_, false) => "over",
        (true, true) => "holds",
        (false, true) => "ahead",
    }
}
