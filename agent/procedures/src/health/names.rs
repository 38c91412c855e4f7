//! The names that flags use: of exchanges and of checks.

use std::fmt;
use std::str::FromStr;

use super::exchange::{self, Exchange};
use super::request::RequestError;
use super::settings::{Mode, Network, Region};

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
    /// Whether the key may withdraw funds, which a trading bot's must not.
    Withdrawal,
    /// How much of the exchange's request limit is left to this host's address.
    RateLimit,
}

/// A check as `--check` names it: built in, or one of the operator's own. Whether there is one, [`super::HealthRequest::new`]
/// says, which knows theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedCheck(String);

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

    /// The same exchange in this mode. A bare name (`binance`) stands for any mode that there is an adapter for.
    pub(super) fn in_mode(self, mode: Option<Mode>) -> Result<Self, RequestError> {
        let Some(mode) = mode.filter(|mode| *mode != self.adapter.mode()) else {
            return Ok(self);
        };
        let named = format!("{}_{mode}", self.name);
        let bare = self.adapter.names().first() == Some(&self.name);
        let sibling = named.parse().ok().filter(|sibling: &Self| bare && sibling.mode() == mode);
        let supported = self.mode();
        sibling.ok_or(RequestError::UnsupportedMode { exchange: self.name, mode, supported })
    }

    pub(super) fn root(self, network: Network, region: Option<Region>) -> Result<&'static str, RequestError> {
        match region {
            Some(region) => self.adapter.regional_root(region).ok_or(RequestError::NoRegions { exchange: self.name }),
            None => self.adapter.root(network).ok_or(RequestError::NoTestnet { exchange: self.name }),
        }
    }

    fn mode(self) -> Mode {
        self.adapter.mode()
    }
}

impl FromStr for ExchangeId {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        if exchange::DISCONTINUED.iter().any(|name| name.eq_ignore_ascii_case(text)) {
            return Err(RequestError::Discontinued { given: text.to_owned() });
        }
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
    pub const ALL: [Self; 6] =
        [Self::DnsTls, Self::PublicApi, Self::TimeSkew, Self::PrivateApi, Self::Withdrawal, Self::RateLimit];

    /// The name that flags and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::DnsTls => "dns_tls",
            Self::PublicApi => "public_api",
            Self::TimeSkew => "time_skew",
            Self::PrivateApi => "private_api",
            Self::Withdrawal => "withdrawal",
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
            Self::Withdrawal => "the key cannot withdraw funds, where the exchange tells what a key may do",
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

impl WantedCheck {
    /// The name as it was given.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl From<CheckName> for WantedCheck {
    fn from(check: CheckName) -> Self {
        Self(check.name().to_owned())
    }
}

impl From<&str> for WantedCheck {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}
