//! An exchange's no: what it means, what to do, whether to ask again.

use std::time::Duration;

use super::retry::Setback;

/// Longest excerpt of an exchange's own words in a report, in characters.
const MAX_QUOTE: usize = 160;

/// An exchange's no, in words an operator can act on.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The exchange's own error code.
    pub(super) code: Option<String>,
    /// What it means; lower case, no full stop.
    pub(super) meaning: String,
    /// What to do.
    pub(super) remedy: Option<&'static str>,
    /// Whether another attempt may help.
    pub(super) setback: Setback,
}

/// A key that no request can be signed with. Says nothing of the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{meaning}")]
pub(super) struct Unusable {
    /// What is wrong; lower case, no full stop.
    pub(super) meaning: &'static str,
    /// What to do.
    pub(super) remedy: &'static str,
}

/// What the exchanges' many codes come down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The request's timestamp is outside the exchange's window.
    Clock,
    /// The nonce did not grow, or was used before.
    Nonce,
    /// The key does not exist there.
    Key,
    /// The key has ended.
    KeyExpired,
    /// The secret does not belong to the key.
    Signature,
    /// The passphrase does not belong to the key.
    Passphrase,
    /// Key, signature or time: the exchange does not say which.
    Authentication,
    /// The key may not do this.
    Permission,
    /// The key is not allowed from here.
    Address,
    /// A key of the live network on the test network, or the reverse.
    Environment,
    /// The exchange does not serve this country.
    Region,
    /// The account is frozen or inactive.
    Account,
    /// Too many requests.
    Rate,
    /// Shut out for a while after repeated failures; asking prolongs it.
    Lockout,
    /// The exchange stumbles.
    Failing,
    /// The exchange is being maintained.
    Maintenance,
    /// There is no such market.
    Symbol,
}

impl Cause {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Clock => (
                "it refused the timestamp of the signed request: this host's clock and the exchange's disagree",
                "synchronise this host's clock (timedatectl, chronyc) and see the time_skew check",
            ),
            Self::Nonce => (
                "it refused the nonce: another program uses this key with larger ones",
                "make a key for the health check alone",
            ),
            Self::Key => (
                "it does not know the key_id",
                "copy the API key anew as key_id, and check that it is one of this network (see testnet)",
            ),
            Self::KeyExpired => ("the key has expired", "make a new key and put it into the credentials file"),
            Self::Signature => (
                "it refused the signature: the secret does not belong to the key_id",
                "put the secret that was issued together with this key_id into the credentials file",
            ),
            Self::Passphrase => (
                "it refused the passphrase",
                "put the passphrase that was chosen with this key into the credentials file",
            ),
            Self::Authentication => (
                "it refused the key, its signature or its time, and does not say which",
                "check that key_id and secret belong together, that the key still exists, and the time_skew check",
            ),
            Self::Permission => ("the key may not read this account", "give the key the reading permission"),
            Self::Address => (
                "the key is not allowed from this host's address",
                "add this host's address to the key's list in the exchange's API management",
            ),
            Self::Environment => (
                "the key belongs to another of the exchange's networks",
                "set testnet as the key needs it, or put a key of this network into the credentials file",
            ),
            Self::Region => (
                "it does not serve this account's or this host's region",
                "set region or base_url to the exchange's host for the account's region",
            ),
            Self::Account => ("the account is frozen or inactive", "ask the exchange's support"),
            Self::Rate => (
                "it throttles this host: too many requests",
                "find out which program asks so often from this address, and run the check again later",
            ),
            Self::Lockout => (
                "it has locked this host or key out for repeated failures; further requests lengthen that",
                "stop every program that uses this key, wait at least 15 minutes, then correct the key",
            ),
            Self::Failing => ("it is failing on its side", "look at the exchange's status page and wait"),
            Self::Maintenance => ("it is under maintenance", "look at the exchange's status page and wait"),
            Self::Symbol => ("it does not know the symbol", "correct public_symbol, for example BTC/USDT"),
        }
    }

    fn setback(self) -> Setback {
        match self {
            Self::Rate => Setback::Throttled { retry_after: None },
            Self::Failing => Setback::Transient,
            _ => Setback::Final,
        }
    }
}

impl Refusal {
    /// A refusal of a known cause.
    pub(super) fn of(cause: Cause, code: impl Into<String>) -> Self {
        let (meaning, remedy) = cause.words();
        let setback = cause.setback();
        Self { code: Some(code.into()), meaning: meaning.to_owned(), remedy: Some(remedy), setback }
    }

    /// A refusal whose code we do not know: what the HTTP status says, and else the exchange's own words.
    pub(super) fn unknown(status: u16, code: impl Into<String>, words: &str) -> Self {
        let mut refusal = Self::of_status(status, words);
        refusal.code = Some(code.into()).filter(|code| !code.is_empty());
        refusal
    }

    /// What the HTTP status alone says; the exchange's own words where it says little.
    pub(super) fn of_status(status: u16, words: &str) -> Self {
        let (meaning, remedy) = match status {
            418 => (
                "it has banned this host's address for asking too often; further requests lengthen the ban",
                "stop every program that asks from this address and wait as long as Retry-After says",
            ),
            429 => Cause::Rate.words(),
            401 => Cause::Authentication.words(),
            403 => (
                "its firewall refused the request",
                "check whether this host's country and address may use the exchange",
            ),
            300..=399 => ("it redirects to another address", "set base_url to the address that the exchange uses now"),
            500.. => Cause::Failing.words(),
            _ => {
                let meaning = "it refused the request";
                // Where we know better, the exchange's own words only lengthen the line.
                let meaning =
                    if words.is_empty() { meaning.to_owned() } else { format!("{meaning}: {}", quote(words)) };
                return Self { code: None, meaning, remedy: None, setback: Setback::of_status(status) };
            }
        };
        let setback = Setback::of_status(status);
        Self { code: None, meaning: meaning.to_owned(), remedy: Some(remedy), setback }
    }

    /// An answer that the exchange would not give: something else answers in its place.
    pub(super) fn nonsense(meaning: &str) -> Self {
        Self {
            code: None,
            meaning: meaning.to_owned(),
            remedy: Some("check base_url, and whether a proxy or captive portal answers in the exchange's place"),
            setback: Setback::Final,
        }
    }

    /// The same, to be asked again after this time.
    #[must_use]
    pub(super) fn after(mut self, wait: Option<Duration>) -> Self {
        if let (Setback::Throttled { retry_after }, Some(wait)) = (&mut self.setback, wait) {
            *retry_after = Some(wait);
        }
        self
    }

    /// The same, to be confirmed by one more attempt before anyone is alarmed.
    #[must_use]
    pub(super) fn unsure(mut self) -> Self {
        self.setback = Setback::Unsure;
        self
    }
}

/// An exchange's own words, made fit for a terminal and a log: bounded, and without control characters.
pub(super) fn quote(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_QUOTE).collect()
}
