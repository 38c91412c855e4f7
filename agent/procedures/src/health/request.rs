//! One check-up, settled: which exchange, which checks, which limits.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::exchange::{self, Exchange};
use super::settings::{Amount, Asset, BaseUrl, HealthSettings, Mode, Network, Symbol};

/// An exchange that the checks know, as `--exchange` names it; the name may carry the mode (`binance_spot`).
#[derive(Clone, Copy)]
pub struct ExchangeId {
    name: &'static str,
    adapter: &'static dyn Exchange,
}

/// One of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckName {
    /// Name resolution, TLS handshake, expiry of the certificate.
    DnsTls,
    /// The list of markets, or the price of one symbol.
    PublicApi,
    /// This host's clock against the exchange's.
    TimeSkew,
    /// A signed request for the account, and its balance.
    PrivateApi,
    /// How much of the exchange's request limit is left to this host's address.
    RateLimit,
}

/// Bounds of a check-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts at each request, the first one included. Three, as the manual says.
    pub attempts: u32,
    /// Longest pause before the second attempt; doubles from there. 0.25 s, as the manual says.
    pub base_delay: Duration,
    /// Longest pause before any attempt that the exchange did not ask for. 2 s, as the manual says.
    pub max_delay: Duration,
    /// Longest pause that an exchange's `Retry-After` may ask for. Beyond it the check gives up and says so: an earlier
    /// attempt would lengthen the ban, and an operator must not wait minutes for a verdict.
    pub max_retry_after: Duration,
    /// Longest attempt, from connecting to the last byte of the answer.
    pub attempt: Duration,
    /// Longest check-up. Checks that find it used up report so.
    pub total: Duration,
    /// An answer slower than this is degraded: a bot cannot trade on it well.
    pub slow_after: Duration,
}

/// A check-up that can begin.
#[derive(Clone, Debug)]
pub struct HealthRequest {
    exchange: ExchangeId,
    network: Network,
    base_url: BaseUrl,
    ca_file: Option<PathBuf>,
    checks: Vec<CheckName>,
    notes: Vec<String>,
    public_symbol: Option<Symbol>,
    private_asset: Option<Asset>,
    private_min_balance: Option<Amount>,
    limits: Limits,
}

/// Why a check-up cannot begin: what was asked for is wrong, and asking again will not help.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No adapter answers to this name.
    #[error("exchange '{given}' is not supported yet: known are {known}")]
    UnknownExchange {
        /// As it was given.
        given: String,
        /// Every known name, comma separated.
        known: String,
    },
    /// The exchange is known, and not in this mode.
    #[error("{exchange} is not supported yet in mode {mode}: it is in mode {supported}")]
    UnsupportedMode {
        /// The exchange.
        exchange: &'static str,
        /// The mode asked for.
        mode: Mode,
        /// The mode that its adapter speaks.
        supported: Mode,
    },
    /// No check has this name.
    #[error("there is no check '{given}': there are {known}")]
    UnknownCheck {
        /// As it was given.
        given: String,
        /// Every check's name, comma separated.
        known: String,
    },
    /// Everything that was asked for was also skipped.
    #[error("no check is left to run: drop --skip-public, --skip-private or --check")]
    NothingToCheck,
    /// A minimum of nothing.
    #[error("a minimum balance needs an asset: add --private-asset")]
    MinimumOfNothing,
}

impl ExchangeId {
    /// The exchange as it was named.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The names under which a credentials file may keep this exchange, the likeliest first.
    pub(super) fn table_names(self) -> impl Iterator<Item = &'static str> {
        let others = self.adapter.names().iter().copied().filter(move |name| *name != self.name);
        std::iter::once(self.name).chain(others)
    }

    pub(super) fn adapter(self) -> &'static dyn Exchange {
        self.adapter
    }
}

impl FromStr for ExchangeId {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let names = || {
            let of = |adapter: &'static dyn Exchange| adapter.names().iter().map(move |name| (*name, adapter));
            exchange::REGISTRY.iter().copied().flat_map(of)
        };
        names()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
            .map(|(name, adapter)| Self { name, adapter })
            .ok_or_else(|| RequestError::UnknownExchange {
                given: text.to_owned(),
                known: names().map(|(name, _)| name).collect::<Vec<_>>().join(", "),
            })
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExchangeId").field(&self.name).finish()
    }
}

impl CheckName {
    /// Every check, in the order in which they run: what the later ones need is tried first.
    pub const ALL: [Self; 5] = [Self::DnsTls, Self::PublicApi, Self::TimeSkew, Self::PrivateApi, Self::RateLimit];

    /// The name that flags and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::DnsTls => "dns_tls",
            Self::PublicApi => "public_api",
            Self::TimeSkew => "time_skew",
            Self::PrivateApi => "private_api",
            Self::RateLimit => "rate_limit",
        }
    }

    /// One line for `--list-checks`.
    pub fn description(self) -> &'static str {
        match self {
            Self::DnsTls => "the exchange's name resolves, TLS works, its certificate does not expire soon",
            Self::PublicApi => "the exchange answers with its markets, or with the price of --public-symbol",
            Self::TimeSkew => "this host's clock agrees with the exchange's",
            Self::PrivateApi => "the credentials work, and the account holds --private-min-balance of --private-asset",
            Self::RateLimit => "enough of the exchange's request limit is left",
        }
    }
}

impl FromStr for CheckName {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        Self::ALL.into_iter().find(|check| check.name() == text).ok_or_else(|| RequestError::UnknownCheck {
            given: text.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts: 3,
            base_delay: Duration::from_millis(250),
            max_delay: Duration::from_secs(2),
            max_retry_after: Duration::from_secs(10),
            attempt: Duration::from_secs(10),
            total: Duration::from_mins(1),
            slow_after: Duration::from_secs(2),
        }
    }
}

impl HealthRequest {
    /// Settles a check-up of `exchange`. `only` are the checks named by `--check`; none means all of them.
    ///
    /// `settings` are the flags completed by the credentials file: `flags.or(entry.settings)`.
    pub fn new(exchange: ExchangeId, only: &[CheckName], settings: HealthSettings) -> Result<Self, RequestError> {
        let HealthSettings {
            mode,
            network,
            public_symbol,
            private_asset,
            private_min_balance,
            skip_public,
            skip_private,
            base_url,
            ca_file,
        } = settings;
        let adapter = exchange.adapter();
        if let Some(mode) = mode.filter(|mode| *mode != adapter.mode()) {
            return Err(RequestError::UnsupportedMode { exchange: exchange.name, mode, supported: adapter.mode() });
        }
        if private_min_balance.is_some() && private_asset.is_none() {
            return Err(RequestError::MinimumOfNothing);
        }
        let asked = |check: &CheckName| only.is_empty() || only.contains(check);
        let skipped = |check: &CheckName| match check {
            CheckName::PublicApi => skip_public,
            CheckName::PrivateApi => skip_private,
            CheckName::DnsTls | CheckName::TimeSkew | CheckName::RateLimit => false,
        };
        let (left_out, checks): (Vec<_>, Vec<_>) = CheckName::ALL.into_iter().filter(asked).partition(skipped);
        if checks.is_empty() {
            return Err(RequestError::NothingToCheck);
        }
        let network = network.unwrap_or(Network::Live);
        Ok(Self {
            exchange,
            network,
            base_url: base_url.unwrap_or_else(|| adapter.base_url(network)),
            ca_file,
            checks,
            notes: left_out.into_iter().map(|check| format!("{} was skipped as asked", check.name())).collect(),
            public_symbol,
            private_asset,
            private_min_balance,
            limits: Limits::default(),
        })
    }

    /// The same check-up under other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same check-up with a remark for the reader of its report, for example about the credentials file.
    #[must_use]
    pub fn with_notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The exchange.
    pub fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// What is traded.
    pub fn mode(&self) -> Mode {
        self.exchange.adapter.mode()
    }

    /// Which network is asked.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Root of the API that is asked.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// The checks that run, in order.
    pub fn checks(&self) -> &[CheckName] {
        &self.checks
    }

    pub(super) fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn public_symbol(&self) -> Option<&Symbol> {
        self.public_symbol.as_ref()
    }

    pub(super) fn private_asset(&self) -> Option<&Asset> {
        self.private_asset.as_ref()
    }

    pub(super) fn private_min_balance(&self) -> Option<Amount> {
        self.private_min_balance
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(only: &[CheckName], settings: HealthSettings) -> Result<HealthRequest, RequestError> {
        HealthRequest::new("binance_spot".parse()?, only, settings)
    }

    #[test]
    fn unknown_exchanges_and_checks_name_the_known_ones() {
        let error = "kraken_spot".parse::<ExchangeId>().unwrap_err().to_string();
        assert_eq!(error, "exchange 'kraken_spot' is not supported yet: known are binance, binance_spot");
        let error = "balance".parse::<CheckName>().unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no check 'balance': there are dns_tls, public_api, time_skew, private_api, rate_limit"
        );
    }

    #[test]
    fn what_is_skipped_is_not_run_and_noted() {
        let settings = HealthSettings { skip_private: true, ..Default::default() };
        let settled = request(&[CheckName::PrivateApi, CheckName::TimeSkew], settings.clone()).unwrap();
        assert_eq!(settled.checks(), [CheckName::TimeSkew]);
        assert_eq!(settled.notes(), ["private_api was skipped as asked"]);
        assert_eq!(request(&[CheckName::PrivateApi], settings).unwrap_err(), RequestError::NothingToCheck);
    }

    #[test]
    fn another_mode_is_refused_rather_than_checked_as_spot() {
        let settings = HealthSettings { mode: Some(Mode::Futures), ..Default::default() };
        let error = request(&[], settings).unwrap_err().to_string();
        assert_eq!(error, "binance_spot is not supported yet in mode futures: it is in mode spot");
    }

    #[test]
    fn every_adapter_has_names_and_hosts() {
        for adapter in exchange::REGISTRY {
            for network in [Network::Live, Network::Testnet] {
                assert!(!adapter.base_url(network).host().is_empty());
            }
            for name in adapter.names() {
                assert_eq!(name.parse::<ExchangeId>().unwrap().name(), *name);
            }
        }
    }

    #[test]
    fn the_testnet_has_its_own_host() {
        let settings = HealthSettings { network: Some(Network::Testnet), ..Default::default() };
        assert_eq!(request(&[], settings).unwrap().base_url().to_string(), "https://testnet.binance.vision");
        assert_eq!(request(&[], HealthSettings::default()).unwrap().base_url().to_string(), "https://api.binance.com");
    }
}
