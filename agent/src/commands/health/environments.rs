//! The bot's file of environments, YAML: `defaults {exchange, environment}`, then one table an environment.
//!
//! Of an environment the check hears `exchange`, `exchange_manager {mode, testnet, watchdog {retry_policy}}`,
//! `credentials` and `health_check`; the rest is the bot's alone. The last four are read as if they stood in the
//! credentials file, so the same names, placeholders and refusals hold.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flota_procedures::health::{CredentialsError, ExchangeEntry, ExchangeId, FileFormat, Limits, RequestError};
use flota_seal::json::Json;

use super::yaml::{self, YamlError};

/// Longest file, in bytes; a real one has a few thousand.
const MAX_FILE: u64 = 1 << 20;
/// The table that is no environment.
const DEFAULTS: &str = "defaults";
/// Most attempts that a file may ask for: more would not end within a check's time.
const MAX_ATTEMPTS: u64 = 10;
/// Longest pause that a file may ask for, in seconds.
const MAX_DELAY: f64 = 60.0;

/// What the file says of one environment.
pub(super) struct Environment {
    /// The exchange; the one of the flag before the environment's before the defaults'.
    pub(super) exchange: ExchangeId,
    /// Key and settings.
    pub(super) entry: ExchangeEntry,
    /// Attempts and pauses.
    pub(super) limits: Limits,
}

/// Why there is no environment. `at` is the file and, where it is known, the field; no value is ever repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvironmentError {
    #[error("reading the file of environments {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be used", path.display())]
    Yaml {
        path: PathBuf,
        #[source]
        source: YamlError,
    },
    #[error("{at} must be {expected}")]
    Field { at: String, expected: &'static str },
    #[error("{file} has no environment '{given}': there are {known}")]
    Unknown { file: String, given: String, known: String },
    #[error("{file} has several environments: name one with --environment ({known})")]
    WhichOne { file: String, known: String },
    #[error("{at} names no exchange: add `exchange`, or give --exchange")]
    NoExchange { at: String },
    #[error(transparent)]
    Exchange(#[from] RequestError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl Environment {
    /// Reads the environment `name`, by default that of `defaults`, by default the only one.
    pub(super) fn read(
        path: &Path,
        name: Option<&str>,
        exchange: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, EnvironmentError> {
        let text = read_bounded(path).map_err(|source| EnvironmentError::Read { path: path.to_owned(), source })?;
        let document = yaml::parse(&text).map_err(|source| EnvironmentError::Yaml { path: path.to_owned(), source })?;
        Self::of(&document, &path.display().to_string(), name, exchange, variable)
    }

    fn of(
        document: &Json,
        file: &str,
        name: Option<&str>,
        exchange: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, EnvironmentError> {
        let document = Table { value: document, at: file.to_owned() };
        let defaults = document.table(DEFAULTS)?;
        let default = |field| defaults.as_ref().map_or(Ok(None), |defaults| defaults.text(field));
        let table = choose(&document, name.or(default("environment")?))?;
        let named = exchange.or(table.text("exchange")?).or(default("exchange")?);
        let named = named.ok_or_else(|| EnvironmentError::NoExchange { at: table.at.clone() })?;
        let exchange: ExchangeId = named.parse()?;
        let manager = table.table("exchange_manager")?;
        let manager_field = |field: &str| manager.as_ref().and_then(|manager| manager.value.member(field));
        let mut fields = table.table("credentials")?.and_then(|it| it.value.as_object().cloned()).unwrap_or_default();
        for field in ["mode", "testnet"] {
            if let Some(value) = manager_field(field) {
                fields.insert(field.to_owned(), value.clone());
            }
        }
        if let Some(value) = table.value.member("health_check") {
            fields.insert("health_check".to_owned(), value.clone());
        }
        let as_credentials = Json::object([(exchange.name(), Json::Object(fields))]);
        let text = String::from_utf8_lossy(&as_credentials.canonical()).into_owned();
        let entry = ExchangeEntry::parse(&text, FileFormat::Json, &table.at, exchange, variable)?;
        let limits = match manager.map(|manager| manager.table("watchdog")).transpose()?.flatten() {
            Some(watchdog) => limits(watchdog.table("retry_policy")?.as_ref())?,
            None => Limits::default(),
        };
        Ok(Self { exchange, entry, limits })
    }
}

fn choose<'a>(document: &Table<'a>, name: Option<&str>) -> Result<Table<'a>, EnvironmentError> {
    let names = document.value.as_object().into_iter().flat_map(|members| members.keys());
    let names: Vec<_> = names.filter(|name| *name != DEFAULTS).map(String::as_str).collect();
    let (file, known) = (document.at.clone(), names.join(", "));
    let name = match (name, names.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only,
        (None, _) => return Err(EnvironmentError::WhichOne { file, known }),
    };
    let unknown = || EnvironmentError::Unknown { file: file.clone(), given: name.to_owned(), known };
    // `defaults` is no environment, even for who asks for it.
    if name == DEFAULTS { Err(unknown()) } else { document.table(name)?.ok_or_else(unknown) }
}

fn limits(policy: Option<&Table<'_>>) -> Result<Limits, EnvironmentError> {
    let mut limits = Limits::default();
    let Some(policy) = policy else { return Ok(limits) };
    if let Some(value) = policy.value.member("max_attempts") {
        let attempts = value.as_u64().filter(|attempts| (1..=MAX_ATTEMPTS).contains(attempts));
        let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok());
        limits.attempts = attempts.ok_or_else(|| policy.wrong("max_attempts", "a number from 1 to 10"))?;
    }
    for (field, limit) in [("base_delay", &mut limits.base_delay), ("max_delay", &mut limits.max_delay)] {
        if let Some(value) = policy.value.member(field) {
            let seconds = value.as_f64().filter(|seconds| (0.0..=MAX_DELAY).contains(seconds));
            *limit = seconds
                .map(Duration::from_secs_f64)
                .ok_or_else(|| policy.wrong(field, "a number of seconds from 0 to 60"))?;
        }
    }
    Ok(limits)
}

/// A table of the file, and where it stands.
struct Table<'a> {
    value: &'a Json,
    at: String,
}

impl<'a> Table<'a> {
    fn table(&self, name: &str) -> Result<Option<Table<'a>>, EnvironmentError> {
        match self.value.member(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value @ Json::Object(_)) => Ok(Some(Table { value, at: self.at_field(name) })),
            Some(_) => Err(self.wrong(name, "a table")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, EnvironmentError> {
        match self.value.member(name) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| self.wrong(name, "text")),
        }
    }

    fn wrong(&self, name: &str, expected: &'static str) -> EnvironmentError {
        EnvironmentError::Field { at: self.at_field(name), expected }
    }

    fn at_field(&self, name: &str) -> String {
        format!("{}: {name}", self.at)
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it has more than {MAX_FILE} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flota_procedures::health::Network;

    const FILE: &str = "
defaults:
  exchange: binance_spot
  environment: paper
paper:
  exchange_manager:
    testnet: true
    watchdog: {retry_policy: {max_attempts: 2, base_delay: 0.5}, circuit_breaker: {failure_threshold: 5}}
  credentials: {key_id: k, secret: '${SECRET}'}
  health_check: {public_symbol: BTC/USDT}
live:
  exchange: binance
";

    fn read(text: &str, name: Option<&str>, exchange: Option<&str>) -> Result<Environment, String> {
        let secret = |name: &str| (name == "SECRET").then(|| "s3cret".to_owned());
        let document = yaml::parse(text).unwrap();
        Environment::of(&document, "env.yaml", name, exchange, &secret).map_err(|error| error.to_string())
    }

    #[test]
    fn the_default_environment_has_settings_key_and_pauses() {
        let found = read(FILE, None, None).unwrap();
        assert_eq!(found.exchange.name(), "binance_spot");
        assert!(found.entry.credentials.is_some());
        assert_eq!(found.entry.settings.network, Some(Network::Testnet));
        assert_eq!(found.entry.settings.public_symbol, Some("BTC/USDT".parse().unwrap()));
        assert_eq!((found.limits.attempts, found.limits.base_delay), (2, Duration::from_millis(500)));
        assert_eq!(found.limits.max_delay, Limits::default().max_delay);
    }

    #[test]
    fn flags_go_before_the_file() {
        assert_eq!(read(FILE, Some("live"), None).unwrap().exchange.name(), "binance");
        assert_eq!(read(FILE, Some("live"), Some("binance_spot")).unwrap().exchange.name(), "binance_spot");
        assert!(read(FILE, Some("live"), None).unwrap().entry.credentials.is_none());
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        let why = |text: &str, name| read(text, name, None).err().unwrap();
        assert!(why(FILE, Some("test")).ends_with("no environment 'test': there are live, paper"));
        assert!(why(FILE, Some("defaults")).contains("no environment"));
        assert!(why("a: {exchange: binance}\nb: {}\n", None).contains("name one with --environment (a, b)"));
        assert!(why("a: {}\n", None).contains("names no exchange"));
        let wrong = why("a: {exchange: binance, credentials: {api_key: s3cret, secret: s3cret}}\n", None);
        assert!(wrong.contains("key_id") && !wrong.contains("s3cret"), "{wrong}");
        let policy = "a: {exchange: binance, exchange_manager: {watchdog: {retry_policy: {max_attempts: 1000}}}}\n";
        assert!(why(policy, None).ends_with("max_attempts must be a number from 1 to 10"));
        assert!(why("a: 5\n", None).ends_with("a must be a table"));
    }
}
