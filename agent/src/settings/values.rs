//! What a value of `agent.toml` may be. A refusal says what it should have been, and never what it was.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Component, PathBuf};
use std::time::Duration;

use flota_procedures::health::{BaseUrl, ExchangeId, Mode};
use flota_tpm::{AttestationKind, EndorsementKind, Tcti};
use toml::de::DeValue;

use super::{ExchangeCheck, SickStart};

/// Longest time any timeout may be set to, in seconds: a day. Beyond it a hang is not noticed by anyone.
const MAX_SECONDS: u64 = 86_400;

/// Whether the host has a TPM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TpmMode {
    Required,
    None,
}

pub(super) fn text(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value.as_str() {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok(text.to_owned()),
        _ => Err("must be a text that is not empty"),
    }
}

pub(super) fn path(value: &DeValue<'_>) -> Result<PathBuf, &'static str> {
    text(value).map(PathBuf::from).map_err(|_| "must be a path")
}

pub(super) fn absolute_path(value: &DeValue<'_>) -> Result<PathBuf, &'static str> {
    path(value).ok().filter(|path| path.is_absolute()).ok_or("must be an absolute path")
}

fn list<T>(value: &DeValue<'_>, item: fn(&DeValue<'_>) -> Result<T, &'static str>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(|value| item(value.get_ref()).ok()).collect()
}

pub(super) fn paths(value: &DeValue<'_>) -> Result<Vec<PathBuf>, &'static str> {
    list(value, path).ok_or("must be a list of paths")
}

/// Paths below the bot's folder, which cannot leave it.
pub(super) fn paths_below(value: &DeValue<'_>) -> Result<Vec<PathBuf>, &'static str> {
    let proper = |path: &PathBuf| {
        path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)))
    };
    let paths = list(value, path).filter(|paths| paths.iter().all(proper));
    paths.ok_or("must be a list of paths below `root`, without `..`")
}

pub(super) fn argv(value: &DeValue<'_>) -> Result<(String, Vec<String>), &'static str> {
    let any = |value: &DeValue<'_>| value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned).ok_or("");
    let mut words = list(value, any).unwrap_or_default().into_iter();
    match words.next() {
        Some(program) if !program.is_empty() => Ok((program, words.collect())),
        _ => Err("must be a list of texts: the program, then its arguments"),
    }
}

pub(super) fn endpoint(value: &DeValue<'_>) -> Result<String, &'static str> {
    const PROBLEM: &str = "must be https://host:port";
    let text = text(value).map_err(|_| PROBLEM)?;
    let uri: tonic::transport::Uri = text.parse().map_err(|_| PROBLEM)?;
    let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("https"), Some(host), Some(_)) if is_bare && !host.is_empty() => Ok(text),
        _ => Err(PROBLEM),
    }
}

pub(super) fn tcti(value: &DeValue<'_>) -> Result<Tcti, &'static str> {
    const PROBLEM: &str = "must be device:/dev/tpmrm0 or swtpm:host=HOST,port=PORT";
    text(value).ok().and_then(|text| text.parse().ok()).ok_or(PROBLEM)
}

pub(super) fn tpm_mode(value: &DeValue<'_>) -> Result<TpmMode, &'static str> {
    match value.as_str() {
        Some("required") => Ok(TpmMode::Required),
        Some("none") => Ok(TpmMode::None),
        _ => Err("must be required or none"),
    }
}

/// `auto` is `None`: the agent chooses.
pub(super) fn endorsement_key(value: &DeValue<'_>) -> Result<Option<EndorsementKind>, &'static str> {
    const PROBLEM: &str = "must be auto, rsa2048, p256, p384, high-p256, rsa3072, rsa4096 or high-rsa2048";
    choice(value, &EndorsementKind::PREFERENCE, EndorsementKind::as_str, PROBLEM)
}

/// `auto` is `None`: the agent chooses.
pub(super) fn attestation_key(value: &DeValue<'_>) -> Result<Option<AttestationKind>, &'static str> {
    let kinds = [AttestationKind::P256, AttestationKind::Rsa2048];
    choice(value, &kinds, AttestationKind::as_str, "must be auto, p256 or rsa2048")
}

fn choice<T: Copy>(
    value: &DeValue<'_>,
    kinds: &[T],
    name: fn(T) -> &'static str,
    problem: &'static str,
) -> Result<Option<T>, &'static str> {
    match value.as_str().ok_or(problem)? {
        "auto" => Ok(None),
        chosen => kinds.iter().copied().find(|kind| name(*kind) == chosen).map(Some).ok_or(problem),
    }
}

pub(super) fn exchange(value: &DeValue<'_>) -> Result<ExchangeId, &'static str> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or("must name an exchange that the health checks know")
}

pub(super) fn base_url(value: &DeValue<'_>) -> Result<BaseUrl, &'static str> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or("must be https://host[:port] without user or query")
}

pub(super) fn trading_mode(value: &DeValue<'_>) -> Result<Mode, &'static str> {
    text(value).ok().and_then(|text| text.parse().ok()).ok_or("must be spot, margin, futures or paper")
}

fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn seconds(value: &DeValue<'_>) -> Result<Duration, &'static str> {
    let number = whole_number(value).filter(|number| (1..=MAX_SECONDS).contains(number));
    number.map(Duration::from_secs).ok_or("must be a whole number of seconds, 1 to 86400")
}

pub(super) fn milliseconds(value: &DeValue<'_>) -> Result<Duration, &'static str> {
    let number = whole_number(value).filter(|number| (1..=60_000).contains(number));
    number.map(Duration::from_millis).ok_or("must be a whole number of milliseconds, 1 to 60000")
}

pub(super) fn polls(value: &DeValue<'_>) -> Result<NonZeroU32, &'static str> {
    let number = whole_number(value).filter(|number| *number <= 1000).and_then(|number| u32::try_from(number).ok());
    number.and_then(NonZeroU32::new).ok_or("must be a whole number, 1 to 1000")
}

/// KiB a second, as bytes a second. A thousandth of that would be no update but a trickle.
pub(super) fn rate(value: &DeValue<'_>) -> Result<NonZeroU64, &'static str> {
    let number = whole_number(value).filter(|number| (16..=16 << 20).contains(number));
    number.and_then(|kib| NonZeroU64::new(kib << 10)).ok_or("must be a whole number of KiB a second, 16 to 16777216")
}

pub(super) fn exchange_check(value: &DeValue<'_>) -> Result<ExchangeCheck, &'static str> {
    let required = value.as_bool().ok_or("must be true or false")?;
    Ok(if required { ExchangeCheck::Required } else { ExchangeCheck::Skipped })
}

pub(super) fn sick_start(value: &DeValue<'_>) -> Result<SickStart, &'static str> {
    let allowed = value.as_bool().ok_or("must be true or false")?;
    Ok(if allowed { SickStart::Allowed } else { SickStart::Refused })
}
