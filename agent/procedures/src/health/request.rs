//! One check-up, settled: which exchange, which checks, which limits.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use super::custom::CustomCheck;
use super::names::{CheckName, ExchangeId, WantedCheck};
use super::settings::{Amount, Asset, BaseUrl, HealthSettings, Mode, Network, Symbol};

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
    /// Whether the operator set `base_url`: then everything is asked there.
    redirected: bool,
    ca_file: Option<PathBuf>,
    custom: Vec<CustomCheck>,
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
    /// The exchange has shut down.
    #[error(
        "{given} is discontinued: the exchange lost its licence and has been in liquidation since April 2026: remove it from the configuration"
    )]
    Discontinued {
        /// As it was given.
        given: String,
    },
    /// The exchange has no test network, or none any more.
    #[error("{exchange} has no test network: drop --testnet, or set base_url")]
    NoTestnet {
        /// The exchange.
        exchange: &'static str,
    },
    /// The exchange has one host for all regions.
    #[error("{exchange} has no regional hosts: drop region")]
    NoRegions {
        /// The exchange.
        exchange: &'static str,
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
        /// Every check's name, those of the operator's own included, comma separated.
        known: String,
    },
    /// Everything that was asked for was also skipped.
    #[error("no check is left to run: drop --skip-public, --skip-private or --check")]
    NothingToCheck,
    /// A minimum of nothing.
    #[error("a minimum balance needs an asset: add --private-asset")]
    MinimumOfNothing,
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
    /// `settings` are the flags completed by the credentials file: `flags.or(entry.settings)`. They say which checks of the
    /// operator's own there are; a name that is neither one of those nor built in is refused.
    pub fn new(exchange: ExchangeId, only: &[WantedCheck], settings: HealthSettings) -> Result<Self, RequestError> {
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
            region,
            custom,
        } = settings;
        let exchange = exchange.in_mode(mode)?;
        if private_min_balance.is_some() && private_asset.is_none() {
            return Err(RequestError::MinimumOfNothing);
        }
        refuse_unknown(only, &custom)?;
        let asked = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted.name() == name);
        let skipped = |check: &CheckName| match check {
            CheckName::PublicApi => skip_public,
            CheckName::PrivateApi | CheckName::Withdrawal => skip_private,
            CheckName::DnsTls | CheckName::TimeSkew | CheckName::RateLimit => false,
        };
        let built_in = CheckName::ALL.into_iter().filter(|check| asked(check.name()));
        let (left_out, checks): (Vec<_>, Vec<_>) = built_in.partition(skipped);
        let custom: Vec<_> = custom.into_iter().filter(|check| asked(check.name())).collect();
        if checks.is_empty() && custom.is_empty() {
            return Err(RequestError::NothingToCheck);
        }
        let network = network.unwrap_or(Network::Live);
        let skipped = left_out.into_iter().map(|check| format!("{} was skipped as asked", check.name()));
        let notes = exchange.adapter().note(network).map(str::to_owned).into_iter().chain(skipped).collect();
        let redirected = base_url.is_some();
        let base_url = match base_url {
            Some(base_url) => base_url,
            None => BaseUrl::known(exchange.root(network, region)?),
        };
        Ok(Self {
            exchange,
            network,
            base_url,
            redirected,
            ca_file,
            custom,
            checks,
            notes,
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
        self.exchange.adapter().mode()
    }

    /// Which network is asked.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Root of the API that is asked.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// The built-in checks that run, in order. The operator's own come after them.
    pub fn checks(&self) -> &[CheckName] {
        &self.checks
    }

    /// The root for a request that the exchange answers `elsewhere`.
    pub(super) fn root_for(&self, elsewhere: Option<&'static str>) -> BaseUrl {
        match elsewhere {
            Some(root) if !self.redirected => BaseUrl::known(root),
            _ => self.base_url.clone(),
        }
    }

    pub(super) fn custom(&self) -> &[CustomCheck] {
        &self.custom
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

/// Refuses a check that there is not, and says which there are.
fn refuse_unknown(only: &[WantedCheck], custom: &[CustomCheck]) -> Result<(), RequestError> {
    let built_in = CheckName::ALL.iter().map(|check| check.name());
    let known: Vec<_> = built_in.chain(custom.iter().map(CustomCheck::name)).collect();
    match only.iter().find(|wanted| !known.contains(&wanted.name())) {
        Some(unknown) => Err(RequestError::UnknownCheck { given: unknown.name().to_owned(), known: known.join(", ") }),
        None => Ok(()),
    }
}
