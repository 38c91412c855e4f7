//! The accounts of the exchange and the check of a signed request, by Binance's rules for HMAC keys.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

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
    /// The API key, sent as `X-MBX-APIKEY`.
    pub key_id: String,
    /// The key's secret; its UTF-8 bytes are the HMAC key.
    pub secret: String,
    /// Free amount of each asset, as the exchange prints it (`"1000.00000000"`).
    #[serde(default)]
    pub balances: BTreeMap<String, String>,
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
        Self { key_id: key_id.into(), secret: secret.into(), balances: BTreeMap::new() }
    }

    /// Gives the account a free amount of an asset.
    #[must_use]
    pub fn with_balance(mut self, asset: impl Into<String>, free: impl Into<String>) -> Self {
        self.balances.insert(asset.into(), free.into());
        self
    }

    /// Reads a JSON list of accounts.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, AccountsError> {
        serde_json::from_str(json).map_err(|error| AccountsError { line: error.line(), column: error.column() })
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_id, secret: _, balances } = self;
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
    pub(crate) fn new(accounts: Vec<Account>) -> Self {
        Self(accounts.into_iter().map(|account| (account.key_id.clone(), account)).collect())
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
        let signature = hex::decode(signature).map_err(|_| Refusal::BadSignature)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(account.secret.as_bytes()).map_err(|_| Refusal::BadSignature)?;
        mac.update(signed.as_bytes());
        mac.verify_slice(&signature).map_err(|_| Refusal::BadSignature)?;
        Ok(account)
    }
}

/// The value of a parameter as it stands in the query. The ones read here are numbers, which need no decoding.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/exchanges.json"));

    struct Vector {
        accounts: Accounts,
        key_id: String,
        query: String,
        now_ms: i64,
    }

    fn vector(name: &str) -> Vector {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let vector = vectors.as_array().unwrap().iter().find(|vector| vector["name"] == name).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let inputs = &vector["inputs"];
        let key_id = inputs.get("api_key").map_or_else(|| text(&inputs["headers"]["X-MBX-APIKEY"]), text);
        Vector {
            accounts: Accounts::new(vec![Account::new(key_id.clone(), text(&inputs["secret"]))]),
            query: format!("{}&signature={}", text(&vector["string_to_sign"]), text(&vector["expected_signature"])),
            now_ms: text(&inputs["timestamp"]).parse().unwrap(),
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
