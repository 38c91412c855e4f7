//! The accounts of the exchanges and the check of a signed request, by Binance's rules for HMAC and Ed25519 keys.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::signature::{self, KeyKind, PublicKey};

/// Window of a signed request that names none, in milliseconds (binance-spot-api-docs, rest-api.md, Timing security).
const DEFAULT_RECV_WINDOW_MS: i64 = 5000;
/// Longest window a request may name, in milliseconds (ibidem).
const MAX_RECV_WINDOW_MS: i64 = 60_000;
/// A request is refused when it is this far ahead of the exchange's clock, in milliseconds (ibidem).
const AHEAD_MS: i64 = 1000;

/// One account with its API key. `Debug` leaves the secret out: test output ends up in logs.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The API key, sent as `X-MBX-APIKEY` and its like.
    pub key_id: String,
    /// The key's secret as the exchange hands it out: text for most, base64 for Kraken and Coinbase Exchange. Empty
    /// where `public_key_pem` stands in its place; an empty secret signs nothing.
    #[serde(default)]
    pub secret: String,
    /// Free amount of each asset, as the exchange prints it (`"1000.00000000"`).
    #[serde(default)]
    pub balances: BTreeMap<String, String>,
    /// The passphrase, for the exchanges whose keys have one: Coinbase Exchange, OKX, KuCoin.
    #[serde(default)]
    pub passphrase: Option<String>,
    /// Public key as SPKI PEM: Ed25519 or P-256 on Coinbase Advanced, Ed25519 on Binance.
    #[serde(default)]
    pub public_key_pem: Option<String>,
    /// Whether the key may withdraw funds, where the exchange tells.
    #[serde(default)]
    pub may_withdraw: bool,
    /// The only exchange that knows this key; without it, all of them do.
    #[serde(default)]
    pub exchange: Option<ExchangeId>,
}

/// An exchange of this simulator. Its name in JSON is also its path prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeId {
    /// Binance spot; the one without a prefix.
    BinanceSpot,
    /// Binance USD-M futures.
    BinanceFutures,
    /// Kraken spot.
    KrakenSpot,
    /// Kraken futures.
    KrakenFutures,
    /// Coinbase Advanced Trade.
    CoinbaseAdvanced,
    /// Coinbase Exchange.
    CoinbaseExchange,
    /// Bybit v5.
    Bybit,
    /// OKX v5.
    Okx,
    /// KuCoin.
    Kucoin,
    /// Bitstamp.
    Bitstamp,
}

impl ExchangeId {
    /// What stands before the exchange's own paths here: `/kraken_spot`; nothing for Binance spot.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::BinanceSpot => "",
            Self::BinanceFutures => "/binance_futures",
            Self::KrakenSpot => "/kraken_spot",
            Self::KrakenFutures => "/kraken_futures",
            Self::CoinbaseAdvanced => "/coinbase_advanced",
            Self::CoinbaseExchange => "/coinbase_exchange",
            Self::Bybit => "/bybit",
            Self::Okx => "/okx",
            Self::Kucoin => "/kucoin",
            Self::Bitstamp => "/bitstamp",
        }
    }
}

/// Why a list of accounts is unusable. The text of the list is never part of it.
#[derive(Debug, thiserror::Error)]
#[error("the accounts must be a JSON list of {{\"key_id\", \"secret\", \"balances\"}}: line {line}, column {column}")]
pub struct AccountsError {
    line: usize,
    column: usize,
}

impl Account {
    /// An account that owns nothing yet.
    pub fn new(key_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            key_id: key_id.into(),
            secret: secret.into(),
            balances: BTreeMap::new(),
            passphrase: None,
            public_key_pem: None,
            may_withdraw: false,
            exchange: None,
        }
    }

    /// Gives the account a free amount of an asset.
    #[must_use]
    pub fn with_balance(mut self, asset: impl Into<String>, free: impl Into<String>) -> Self {
        self.balances.insert(asset.into(), free.into());
        self
    }

    /// Gives the key a passphrase.
    #[must_use]
    pub fn with_passphrase(mut self, passphrase: impl Into<String>) -> Self {
        self.passphrase = Some(passphrase.into());
        self
    }

    /// Lets the key sign with the private half of this public key (SPKI PEM).
    #[must_use]
    pub fn with_public_key(mut self, pem: impl Into<String>) -> Self {
        self.public_key_pem = Some(pem.into());
        self
    }

    /// Gives the key the permission to withdraw funds.
    #[must_use]
    pub fn that_may_withdraw(mut self) -> Self {
        self.may_withdraw = true;
        self
    }

    /// Makes the key known to one exchange only.
    #[must_use]
    pub fn on(mut self, exchange: ExchangeId) -> Self {
        self.exchange = Some(exchange);
        self
    }

    /// Reads a JSON list of accounts.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, AccountsError> {
        serde_json::from_str(json).map_err(|error| AccountsError { line: error.line(), column: error.column() })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_id, balances, .. } = self;
        f.debug_struct("Account").field("key_id", key_id).field("balances", balances).finish_non_exhaustive()
    }
}

/// Why a signed request is refused, as Binance tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoKey,
    UnknownKey,
    NoTimestamp,
    WindowTooLong,
    TooOld,
    FromTheFuture,
    BadSignature,
}

impl Refusal {
    /// HTTP status, Binance's error code and its words (errors.md). The documents do not state the HTTP status of
    /// -1021, -1022, -2014 and -2015, so a client must go by the code.
    pub(crate) fn as_binance(self) -> (u16, i32, &'static str) {
        match self {
            Self::NoKey => (401, -2014, "API-key format invalid."),
            Self::UnknownKey => (401, -2015, "Invalid API-key, IP, or permissions for action."),
            Self::NoTimestamp => {
                (400, -1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
            }
            Self::WindowTooLong => (400, -1131, "recvWindow must be less than 60000."),
            Self::TooOld => (400, -1021, "Timestamp for this request is outside of the recvWindow."),
            Self::FromTheFuture => (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
            Self::BadSignature => (400, -1022, "Signature for this request is not valid."),
        }
    }
}

pub(crate) struct Accounts(HashMap<String, Account>);

impl Accounts {
    #[cfg(test)]
    pub(crate) fn new(accounts: Vec<Account>) -> Self {
        Self(accounts.into_iter().map(|account| (account.key_id.clone(), account)).collect())
    }

    /// The accounts that this exchange knows.
    pub(crate) fn of(exchange: ExchangeId, accounts: &[Account]) -> Self {
        let known = accounts.iter().filter(|account| account.exchange.is_none_or(|its| its == exchange));
        Self(known.map(|account| (account.key_id.clone(), account.clone())).collect())
    }

    pub(crate) fn find(&self, key_id: &str) -> Option<&Account> {
        self.0.get(key_id)
    }

    /// The account that signed this request, if it did so rightly. `query` is what stood after the `?`, as sent;
    /// `now_ms` is the exchange's clock.
    pub(crate) fn authorise(&self, key_id: Option<&str>, query: &str, now_ms: i64) -> Result<&Account, Refusal> {
        let key_id = key_id.filter(|key| !key.is_empty()).ok_or(Refusal::NoKey)?;
        let account = self.0.get(key_id).ok_or(Refusal::UnknownKey)?;

        let timestamp = parameter(query, "timestamp").and_then(|value| value.parse().ok());
        let timestamp: i64 = timestamp.ok_or(Refusal::NoTimestamp)?;
        let window = match parameter(query, "recvWindow") {
            None => DEFAULT_RECV_WINDOW_MS,
            Some(text) => {
                text.parse().ok().filter(|ms| (0..=MAX_RECV_WINDOW_MS).contains(ms)).ok_or(Refusal::WindowTooLong)?
            }
        };
        if timestamp >= now_ms.saturating_add(AHEAD_MS) {
            return Err(Refusal::FromTheFuture);
        }
        if now_ms.saturating_sub(timestamp) > window {
            return Err(Refusal::TooOld);
        }

        // "signature" is the last parameter, and what stands before it was signed.
        let (signed, signature) = query.rsplit_once("&signature=").ok_or(Refusal::BadSignature)?;
        let right = match &account.public_key_pem {
            None => hex::decode(signature)
                .is_ok_and(|mac| signature::hmac_sha256_is(account.secret.as_bytes(), &[signed.as_bytes()], &mac)),
            Some(pem) => STANDARD.decode(percent_decoded(signature)).is_ok_and(|signature| {
                PublicKey::from_pem(pem)
                    .filter(|key| key.kind() == KeyKind::Ed25519)
                    .is_some_and(|key| key.verifies(signed.as_bytes(), &signature))
            }),
        };
        if !right {
            return Err(Refusal::BadSignature);
        }
        Ok(account)
    }
}

/// The value of a parameter as it stands in the query. The ones read here are numbers, which need no decoding.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// `%2B` becomes `+`; what is no escape stays as it is.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| first == b'%');
        let unescaped = escaped.and_then(|(digits, after)| Some((*hex::decode(digits).ok()?.first()?, after)));
        let (byte, after) = unescaped.unwrap_or((first, after));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{ed25519_pem, vector as golden};

    struct Vector {
        accounts: Accounts,
        key_id: String,
        query: String,
        now_ms: i64,
    }

    fn vector(name: &str) -> Vector {
        let vector = golden("binance-spot", name);
        let key_id = vector.input("api_key").or_else(|| vector.header("X-MBX-APIKEY")).unwrap_or("test-key").to_owned();
        Vector {
            accounts: Accounts::new(vec![Account::new(key_id.clone(), vector.text("secret"))]),
            query: format!("{}&signature={}", vector.string_to_sign(), vector.signature()),
            now_ms: vector.text("timestamp").parse().unwrap(),
            key_id,
        }
    }

    #[test]
    fn published_signatures_are_accepted() {
        for name in ["order-hmac-ascii", "order-hmac-non-ascii", "account-balance"] {
            let Vector { accounts, key_id, query, now_ms } = vector(name);
            assert!(accounts.authorise(Some(&key_id), &query, now_ms + 10).is_ok(), "{name}");
        }
    }

    #[test]
    fn an_ed25519_key_signs_in_place_of_a_secret() {
        let vector = golden("binance-spot", "account-balance-ed25519");
        let account = Account::new("k", "").with_public_key(ed25519_pem(vector.text("private_key_pem")));
        let accounts = Accounts::new(vec![account]);
        let now = vector.text("timestamp").parse().unwrap();
        let escaped = vector.signature().replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
        let ask = |signed: &str| accounts.authorise(Some("k"), &format!("{signed}&signature={escaped}"), now).err();
        assert_eq!(ask(vector.string_to_sign()), None);
        assert_eq!(ask(&format!("a=b&{}", vector.string_to_sign())), Some(Refusal::BadSignature));
    }

    #[test]
    fn an_account_belongs_to_the_exchange_it_names() {
        let list = r#"[{"key_id":"a","secret":"s","exchange":"okx","passphrase":"p","may_withdraw":true},
                       {"key_id":"b","public_key_pem":"-"}]"#;
        let list = Account::parse_list(list).unwrap();
        assert!(Accounts::of(ExchangeId::Okx, &list).find("a").unwrap().may_withdraw);
        assert!(Accounts::of(ExchangeId::Kucoin, &list).find("a").is_none());
        assert!(Accounts::of(ExchangeId::Kucoin, &list).find("b").is_some());
        assert!(Account::parse_list(r#"[{"key_id":"a","secret":"s","exchange":"okcoin"}]"#).is_err());
    }

    #[test]
    fn every_defect_is_refused_in_its_own_words() {
        let Vector { accounts, key_id, query, now_ms } = vector("account-balance");
        let ask = |key: Option<&str>, query: &str, now| accounts.authorise(key, query, now).err();
        let key = Some(key_id.as_str());
        assert_eq!(ask(None, &query, now_ms), Some(Refusal::NoKey));
        assert_eq!(ask(Some("somebody"), &query, now_ms), Some(Refusal::UnknownKey));
        assert_eq!(ask(key, "recvWindow=5000&signature=00", now_ms), Some(Refusal::NoTimestamp));
        assert_eq!(ask(key, &query.replace("5000", "60001"), now_ms), Some(Refusal::WindowTooLong));
        assert_eq!(ask(key, &query.replace("5000", "6000"), now_ms), Some(Refusal::BadSignature));
        assert_eq!(ask(key, &query.replace("e804", "f804"), now_ms), Some(Refusal::BadSignature));
        assert_eq!(ask(key, query.split_once("&sig").unwrap().0, now_ms), Some(Refusal::BadSignature));
    }

    #[test]
    fn the_window_is_open_at_its_old_end_and_closed_ahead() {
        let Vector { accounts, key_id, query, now_ms } = vector("account-balance");
        let ask = |now| accounts.authorise(Some(&key_id), &query, now).err();
        assert_eq!(ask(now_ms + 5000), None);
        assert_eq!(ask(now_ms + 5001), Some(Refusal::TooOld));
        assert_eq!(ask(now_ms - 999), None);
        assert_eq!(ask(now_ms - 1000), Some(Refusal::FromTheFuture));
    }
}
