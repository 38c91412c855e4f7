//! What a check-up can be told, by flags or by the `health_check` table of the credentials file.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;

use super::custom::CustomCheck;
pub use super::symbol::Symbol;

/// Longest symbol or asset name. The longest of the exchanges' names are about twenty characters.
pub(super) const MAX_NAME: usize = 40;

/// Settings of a check-up, each of them optional. Flags and the credentials file give one of these each; what the flags
/// leave open, the file decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthSettings {
    /// `--mode`.
    pub mode: Option<Mode>,
    /// `--testnet`.
    pub network: Option<Network>,
    /// `--public-symbol`: the symbol whose price is asked for; without it the list of markets is.
    pub public_symbol: Option<Symbol>,
    /// `--private-asset`: the asset that the account must hold.
    pub private_asset: Option<Asset>,
    /// `--private-min-balance`: the free amount of that asset below which the check fails.
    pub private_min_balance: Option<Amount>,
    /// `--skip-public`.
    pub skip_public: bool,
    /// `--skip-private`.
    pub skip_private: bool,
    /// Another host than the exchange's own: a regional one, a proxy of the firm's, a simulator.
    pub base_url: Option<BaseUrl>,
    /// PEM file with the only authorities to trust, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The account's region, on exchanges that have a host for each.
    pub region: Option<Region>,
    /// The operator's own checks, which run after the others.
    pub custom: Vec<CustomCheck>,
}

impl HealthSettings {
    /// These settings, completed by `fallback` where they say nothing. A check skipped by either is skipped.
    #[must_use]
    pub fn or(self, fallback: Self) -> Self {
        Self {
            mode: self.mode.or(fallback.mode),
            network: self.network.or(fallback.network),
            public_symbol: self.public_symbol.or(fallback.public_symbol),
            private_asset: self.private_asset.or(fallback.private_asset),
            private_min_balance: self.private_min_balance.or(fallback.private_min_balance),
            skip_public: self.skip_public || fallback.skip_public,
            skip_private: self.skip_private || fallback.skip_private,
            base_url: self.base_url.or(fallback.base_url),
            ca_file: self.ca_file.or(fallback.ca_file),
            region: self.region.or(fallback.region),
            custom: self.custom.into_iter().chain(fallback.custom).collect(),
        }
    }
}

/// What is traded, as the manual's `--mode` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Spot market.
    Spot,
    /// Margin account.
    Margin,
    /// Futures.
    Futures,
    /// Paper trading.
    Paper,
}

/// Which of the exchange's networks is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Real money.
    Live,
    /// The exchange's test network.
    Testnet,
}

/// Where an account is kept, on exchanges that keep them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Everywhere else.
    Global,
    /// The European Economic Area.
    Eea,
    /// The United States.
    Us,
    /// Australia.
    Au,
}

/// An asset code, for example `USDT`; always upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset(String);

/// An amount of an asset: finite and not negative. A double is exact enough for a threshold, and never used to trade.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Amount(f64);

/// Root of an exchange's API: `https`, a host, nothing secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a value is unusable. Whose value it was, and from where, is said by whoever read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not one of the four modes.
    #[error("the mode must be spot, margin, futures or paper")]
    Mode,
    /// Symbols and assets are letters and digits; a symbol may have `/`, `-`, `_`, `:` or `.` between.
    #[error("the name must be 1 to {MAX_NAME} letters and digits")]
    Name,
    /// Not one of the four regions.
    #[error("the region must be global, eea, us or au")]
    Region,
    /// Negative, not a number, or beyond all bounds.
    #[error("the amount must be a number that is not negative")]
    Amount,
    /// Plain http would show the API key to everyone on the way.
    #[error("the base URL must be https://host[:port] without user, query or fragment")]
    BaseUrl,
    /// It goes into a header, and no exchange's key has spaces or control characters.
    #[error("the key_id must be printable ASCII without spaces")]
    KeyId,
}

impl Mode {
    /// The name that flags, files and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Margin => "margin",
            Self::Futures => "futures",
            Self::Paper => "paper",
        }
    }
}

impl FromStr for Mode {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        [Self::Spot, Self::Margin, Self::Futures, Self::Paper]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or(ValueError::Mode)
    }
}

impl FromStr for Region {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "global" => Ok(Self::Global),
            "eea" => Ok(Self::Eea),
            "us" => Ok(Self::Us),
            "au" => Ok(Self::Au),
            _ => Err(ValueError::Region),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Asset {
    /// The code, in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Asset {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if (1..=MAX_NAME).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric()) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(ValueError::Name)
        }
    }
}

impl Amount {
    /// The amount, in units of its asset.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Amount {
    type Error = ValueError;

    fn try_from(value: f64) -> Result<Self, ValueError> {
        if value.is_finite() && value >= 0.0 { Ok(Self(value)) } else { Err(ValueError::Amount) }
    }
}

impl FromStr for Amount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.trim().parse::<f64>().map_err(|_| ValueError::Amount)?.try_into()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl BaseUrl {
    /// The address of an exchange, as its adapter spells it.
    #[expect(clippy::expect_used, reason = "constants of ours; a test builds every adapter's")]
    pub(super) fn known(address: &'static str) -> Self {
        address.parse().expect("an adapter's base URL is https with a host")
    }

    /// The host, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// The address of an endpoint. `query` is taken as it is, because it may have been signed as it is.
    pub(super) fn endpoint(&self, path: &str, query: &str) -> Url {
        let mut url = self.0.clone();
        let joined = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url.set_query((!query.is_empty()).then_some(query));
        url
    }
}

impl FromStr for BaseUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let url = Url::parse(text).map_err(|_| ValueError::BaseUrl)?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if url.scheme() == "https" && url.has_host() && plain { Ok(Self(url)) } else { Err(ValueError::BaseUrl) }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}
