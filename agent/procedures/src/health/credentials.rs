//! The credentials file: JSON or TOML, one table an exchange.

mod checks;
mod error;
mod table;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flota_seal::secret::Secret;
use zeroize::Zeroizing;

use super::custom::CustomCheck;
use super::names::ExchangeId;
use super::refusal::Unusable;
use super::settings::{HealthSettings, Network, ValueError};
use table::Table;

pub use error::CredentialsError;

/// Longest credentials file, in bytes: hundreds of exchanges. Anything longer is another file given by mistake.
const MAX_FILE: u64 = 1 << 20;
/// Permission bits that let others than the owner read the file.
const READABLE_BY_OTHERS: u32 = 0o044;

/// The fields of an exchange's table.
const FIELDS: [&str; 7] = ["key_id", "secret", "passphrase", "mode", "testnet", "health_check", "checks"];
/// The fields of its `health_check` table.
const HEALTH_FIELDS: [&str; 8] = [
    "public_symbol",
    "private_asset",
    "private_min_balance",
    "skip_public",
    "skip_private",
    "base_url",
    "ca_file",
    "region",
];
/// Names that other tools use for our fields, in lower case and without separators.
const WRONG_NAMES: [(&str, &str); 16] = [
    ("apikey", "key_id"),
    ("apikeyid", "key_id"),
    ("key", "key_id"),
    ("accesskey", "key_id"),
    ("publickey", "key_id"),
    ("apisecret", "secret"),
    ("apisecretkey", "secret"),
    ("secretkey", "secret"),
    ("privatekey", "secret"),
    ("password", "passphrase"),
    ("apipassphrase", "passphrase"),
    ("sandbox", "testnet"),
    ("symbol", "public_symbol"),
    ("asset", "private_asset"),
    ("minbalance", "private_min_balance"),
    ("health", "health_check"),
];

/// An exchange's API key. Deliberately not printable.
pub struct Credentials {
    key_id: String,
    secret: Secret,
    passphrase: Option<Secret>,
}

/// What the credentials file says of one exchange.
#[derive(Default)]
pub struct ExchangeEntry {
    /// The key, if there is one.
    pub credentials: Option<Credentials>,
    /// The table's own settings; flags go before them ([`HealthSettings::or`]).
    pub settings: HealthSettings,
    /// What the reader of a report should know of the file.
    pub notes: Vec<String>,
}

/// The notation of a credentials file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// RFC 8259.
    Json,
    /// TOML 1.0.
    Toml,
}

impl Credentials {
    /// A key of an exchange.
    pub fn new(key_id: &str, secret: Secret) -> Result<Self, ValueError> {
        if key_id.is_empty() || !key_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ValueError::KeyId);
        }
        Ok(Self { key_id: key_id.to_owned(), secret, passphrase: None })
    }

    /// The same key with the passphrase that some exchanges want.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: Option<Secret>) -> Self {
        self.passphrase = passphrase;
        self
    }

    /// The passphrase, on the exchanges that want one.
    pub fn passphrase(&self) -> Option<&Secret> {
        self.passphrase.as_ref()
    }

    pub(super) fn key_text(&self) -> &str {
        &self.key_id
    }

    /// The passphrase, on an exchange that takes no request without one.
    pub(super) fn passphrase_text(&self) -> Result<&str, Unusable> {
        let text = self.passphrase.as_ref().and_then(|passphrase| std::str::from_utf8(passphrase.expose()).ok());
        text.ok_or(Unusable {
            meaning: "this exchange's keys have a passphrase, and the credentials have none",
            remedy: "put the passphrase that was chosen with this key into the credentials file",
        })
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }
}

impl ExchangeEntry {
    /// Reads an exchange's table from a file: TOML if its name ends in `.toml`, else JSON. `lookup` gives the value of an
    /// environment variable for the placeholders of that table. A file without the table is no error but a note.
    pub fn read(
        path: &Path,
        exchange: ExchangeId,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let (text, mode) = read_file(path)?;
        let mut entry = Self::parse(&text, FileFormat::of(path), &path.display().to_string(), exchange, lookup)?;
        if mode & READABLE_BY_OTHERS != 0 {
            let at = path.display();
            entry.notes.push(format!("{at} can be read by others (mode {:o}): chmod 600 it", mode & 0o777));
        }
        Ok(entry)
    }

    /// The same for a text that came from `origin`.
    pub fn parse(
        text: &str,
        format: FileFormat,
        origin: &str,
        exchange: ExchangeId,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let document = Table::document(text, format, origin, lookup)?;
        for name in exchange.table_names() {
            if let Some(table) = document.table(name)? {
                return Self::from_table(&table);
            }
        }
        let note = format!("{origin} has no table for {}: no key, no settings from there", exchange.name());
        Ok(Self { notes: vec![note], ..Self::default() })
    }

    fn from_table(table: &Table<'_>) -> Result<Self, CredentialsError> {
        table.only(&FIELDS, &WRONG_NAMES)?;
        let mut settings = match table.table("health_check")? {
            Some(health) => health_settings(&health)?,
            None => HealthSettings::default(),
        };
        settings.custom = checks::read(table)?;
        settings.mode = table.parsed("mode")?;
        settings.network = table.flag("testnet")?.map(|testnet| if testnet { Network::Testnet } else { Network::Live });
        Ok(Self { credentials: credentials(table)?, settings, notes: Vec::new() })
    }
}

/// The operator's own checks in a credentials file, by the name of the exchange's table. No key is looked at.
pub fn own_checks(
    path: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, Vec<CustomCheck>)>, CredentialsError> {
    let (text, _) = read_file(path)?;
    let document = Table::document(&text, FileFormat::of(path), &path.display().to_string(), lookup)?;
    let of = |(name, table): (&str, Table<'_>)| Ok((name.to_owned(), checks::read(&table)?));
    document.all_tables().map(of).collect()
}

impl FileFormat {
    /// TOML if the file's name ends in `.toml`, else JSON.
    fn of(path: &Path) -> Self {
        let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        if is_toml { Self::Toml } else { Self::Json }
    }
}

/// The file and its permissions. The text is wiped when dropped, because it holds secrets.
fn read_file(path: &Path) -> Result<(Zeroizing<String>, u32), CredentialsError> {
    let failed = |source| CredentialsError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    let mut text = Zeroizing::new(String::new());
    let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if length as u64 > MAX_FILE {
        return Err(CredentialsError::TooLong { path: path.to_owned() });
    }
    Ok((text, mode))
}

fn credentials(table: &Table<'_>) -> Result<Option<Credentials>, CredentialsError> {
    let half = |present, missing| CredentialsError::HalfAKey { at: table.at().to_owned(), present, missing };
    let (key_id, secret) = match (table.text("key_id")?, table.text("secret")?) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(half("key_id", "secret")),
        (None, Some(_)) => return Err(half("secret", "key_id")),
        (Some(key_id), Some(secret)) => (key_id, secret),
    };
    let secret = Secret::decode(&secret, &table.at_field("secret"))?;
    let passphrase = match table.text("passphrase")? {
        Some(passphrase) => Some(Secret::decode(&passphrase, &table.at_field("passphrase"))?),
        None => None,
    };
    let credentials = Credentials::new(key_id.trim(), secret)
        .map_err(|source| CredentialsError::Value { at: table.at_field("key_id"), source })?;
    Ok(Some(credentials.with_passphrase(passphrase)))
}

fn health_settings(table: &Table<'_>) -> Result<HealthSettings, CredentialsError> {
    table.only(&HEALTH_FIELDS, &WRONG_NAMES)?;
    Ok(HealthSettings {
        mode: None,
        network: None,
        public_symbol: table.parsed("public_symbol")?,
        private_asset: table.parsed("private_asset")?,
        private_min_balance: table.amount("private_min_balance")?,
        skip_public: table.flag("skip_public")?.unwrap_or_default(),
        skip_private: table.flag("skip_private")?.unwrap_or_default(),
        base_url: table.parsed("base_url")?,
        ca_file: table.text("ca_file")?.map(|path| PathBuf::from(path.as_str())),
        region: table.parsed("region")?,
        custom: Vec::new(),
    })
}
