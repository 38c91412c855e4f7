//! A traded pair, and how exchanges write it.

use std::str::FromStr;

use super::settings::{MAX_NAME, ValueError};

/// What pairs are quoted in, for symbols without a separator; the longer of two that end alike first.
const QUOTES: [&str; 14] =
    ["FDUSD", "USDT", "USDC", "TUSD", "USD", "EUR", "GBP", "PLN", "JPY", "TRY", "BRL", "BTC", "ETH", "BNB"];

/// A traded pair, in any of the usual notations: `BTCUSDT`, `BTC/USDT`, `btc-usdt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol(String);

impl Symbol {
    /// The symbol as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its letters and digits alone, in upper case: `BTCUSDT` for every notation of it.
    pub(super) fn joined(&self) -> String {
        self.0.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    }

    /// Its parts with dashes between: `BTC-USDT` for every notation of it. Where the notation has no separator, the
    /// pair is cut before a well-known quote.
    pub(super) fn dashed(&self) -> String {
        let parts: Vec<_> =
            self.0.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
        if parts.len() > 1 {
            return parts.join("-").to_ascii_uppercase();
        }
        let joined = self.joined();
        let cut = QUOTES
            .iter()
            .find_map(|quote| joined.strip_suffix(quote).filter(|base| !base.is_empty()).zip(Some(*quote)));
        cut.map_or_else(|| joined.clone(), |(base, quote)| format!("{base}-{quote}"))
    }
}

impl FromStr for Symbol {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "/-_:.".contains(c);
        let some = text.chars().any(|c| c.is_ascii_alphanumeric());
        if some && text.len() <= MAX_NAME && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::Name)
        }
    }
}
