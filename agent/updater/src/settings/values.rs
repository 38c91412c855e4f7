//! What a value of `agent.toml` may be. A refusal says what it should have been, and never what it was.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Component, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::{ExchangeCheck, SickStart};

/// Longest time any timeout may be set to, in seconds: a day. Beyond it a hang is not noticed by anyone.
const MAX_SECONDS: u64 = 86_400;

/// A text that says something.
pub fn text(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("must be a text that is not empty"),
    }
}

/// A path.
pub fn path(value: &DeValue<'_>) -> Result<PathBuf, &'static str> {
    text(value).map(PathBuf::from).map_err(|_| "must be a path")
}

/// A path from the top.
pub fn absolute_path(value: &DeValue<'_>) -> Result<PathBuf, &'static str> {
    path(value).ok().filter(|path| path.is_absolute()).ok_or("must be an absolute path")
}

fn list<T>(value: &DeValue<'_>, item: fn(&DeValue<'_>) -> Result<T, &'static str>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(|value| item(value.get_ref()).ok()).collect()
}

/// Several paths.
pub fn paths(value: &DeValue<'_>) -> Result<Vec<PathBuf>, &'static str> {
    list(value, path).ok_or("must be a list of paths")
}

/// Paths below the bot's folder, which cannot leave it.
pub fn paths_below(value: &DeValue<'_>) -> Result<Vec<PathBuf>, &'static str> {
    let proper = |path: &PathBuf| {
        path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)))
    };
    let paths = list(value, path).filter(|paths| paths.iter().all(proper));
    paths.ok_or("must be a list of paths below `root`, without `..`")
}

/// A program and its arguments.
pub fn argv(value: &DeValue<'_>) -> Result<(String, Vec<String>), &'static str> {
    let any = |value: &DeValue<'_>| value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned).ok_or("");
    let mut words = list(value, any).unwrap_or_default().into_iter();
    match words.next() {
        Some(program) if !program.is_empty() => Ok((program, words.collect())),
        _ => Err("must be a list of texts: the program, then its arguments"),
    }
}

fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A time.
pub fn seconds(value: &DeValue<'_>) -> Result<Duration, &'static str> {
    let number = whole_number(value).filter(|number| (1..=MAX_SECONDS).contains(number));
    number.map(Duration::from_secs).ok_or("must be a whole number of seconds, 1 to 86400")
}

/// A time that the controller waits for: it gives a host half an hour for an update.
pub fn soak(value: &DeValue<'_>) -> Result<Duration, &'static str> {
    let number = whole_number(value).filter(|number| (1..=900).contains(number));
    number.map(Duration::from_secs).ok_or("must be a whole number of seconds, 1 to 900")
}

/// A short time.
pub fn milliseconds(value: &DeValue<'_>) -> Result<Duration, &'static str> {
    let number = whole_number(value).filter(|number| (1..=60_000).contains(number));
    number.map(Duration::from_millis).ok_or("must be a whole number of milliseconds, 1 to 60000")
}

/// How often in a row.
pub fn polls(value: &DeValue<'_>) -> Result<NonZeroU32, &'static str> {
    let number = whole_number(value).filter(|number| *number <= 1000).and_then(|number| u32::try_from(number).ok());
    number.and_then(NonZeroU32::new).ok_or("must be a whole number, 1 to 1000")
}

/// KiB a second, as bytes a second. A thousandth of that would be no update but a trickle.
pub fn rate(value: &DeValue<'_>) -> Result<NonZeroU64, &'static str> {
    let number = whole_number(value).filter(|number| (16..=16 << 20).contains(number));
    number.and_then(|kib| NonZeroU64::new(kib << 10)).ok_or("must be a whole number of KiB a second, 16 to 16777216")
}

/// Whether probation includes the exchange.
pub fn exchange_check(value: &DeValue<'_>) -> Result<ExchangeCheck, &'static str> {
    let required = value.as_bool().ok_or("must be true or false")?;
    Ok(if required { ExchangeCheck::Required } else { ExchangeCheck::Skipped })
}

/// Whether a sick bot may be updated.
pub fn sick_start(value: &DeValue<'_>) -> Result<SickStart, &'static str> {
    let allowed = value.as_bool().ok_or("must be true or false")?;
    Ok(if allowed { SickStart::Allowed } else { SickStart::Refused })
}
