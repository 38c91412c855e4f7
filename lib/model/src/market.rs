//! Markets: when they trade, so that hosts are updated while they do, or while they do not.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::window::Window;

/// Most rules of one rollout.
pub const MAX_MARKET_RULES: usize = 8;
/// Longest name of a market, in bytes.
const MAX_NAME: usize = 32;

/// When a market trades.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    /// Its sessions, in its own time.
    pub sessions: Vec<Window>,
    /// Days on which no session begins, as `2026-12-25` in the session's own time.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holidays: BTreeSet<String>,
}

/// What was asked for: `xnys=closed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MarketWish {
    /// The market's name in the controller's settings.
    pub market: String,
    /// While it does that, hosts may be started.
    pub during: Trading,
}

/// Whether a market trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trading {
    /// In a session.
    Open,
    /// Between sessions.
    Closed,
}

/// A rule of a rollout, with the calendar as it was when the rollout was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketRule {
    /// What was asked for.
    pub wish: MarketWish,
    /// The calendar.
    pub market: Market,
}

/// Text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a market rule: expected MARKET=open or MARKET=closed, as in xnys=closed")]
pub struct InvalidMarketWish(String);

impl FromStr for MarketWish {
    type Err = InvalidMarketWish;

    fn from_str(text: &str) -> Result<Self, InvalidMarketWish> {
        let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let parsed = || {
            let (market, during) = text.split_once('=')?;
            let during = match during {
                "open" => Trading::Open,
                "closed" => Trading::Closed,
                _ => return None,
            };
            let fits = (1..=MAX_NAME).contains(&market.len()) && plain(market);
            fits.then(|| Self { market: market.to_owned(), during })
        };
        parsed().ok_or_else(|| InvalidMarketWish(text.chars().take(80).collect()))
    }
}

impl fmt::Display for MarketWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { market, during } = self;
        write!(f, "{market}={during}")
    }
}

impl fmt::Display for Trading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
        })
    }
}

impl TryFrom<String> for MarketWish {
    type Error = InvalidMarketWish;

    fn try_from(text: String) -> Result<Self, InvalidMarketWish> {
        text.parse()
    }
}

impl From<MarketWish> for String {
    fn from(wish: MarketWish) -> Self {
        wish.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_people_write_them() {
        let wish: MarketWish = "xnys=closed".parse().unwrap();
        assert_eq!((wish.during, wish.to_string().as_str()), (Trading::Closed, "xnys=closed"));
        for text in ["", "xnys", "xnys=", "=open", "xnys=shut", "x nys=open"] {
            assert!(text.parse::<MarketWish>().is_err(), "{text}");
        }
    }
}
