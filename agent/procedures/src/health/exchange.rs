//! What an exchange must be able to say for the checks, and which exchanges can.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::credentials::Credentials;
use super::refusal::{Refusal, Unusable};
use super::settings::{Amount, Mode, Network, Region, Symbol};
use super::{
    binance, binance_futures, bitstamp, bybit, coinbase_advanced, coinbase_exchange, kraken, kraken_futures, kucoin,
    okx,
};

/// Every exchange there is an adapter for.
pub(super) static REGISTRY: &[&dyn Exchange] = &[
    &binance::Spot,
    &binance_futures::Futures,
    &kraken::Spot,
    &kraken_futures::Futures,
    &coinbase_advanced::Advanced,
    &coinbase_exchange::Institutional,
    &bybit::Spot,
    &okx::Spot,
    &kucoin::Spot,
    &bitstamp::Spot,
];

/// Exchanges that have shut down: asking them would only look like an outage.
pub(super) static DISCONTINUED: &[&str] = &["zonda", "zonda_spot", "zondacrypto", "zondacrypto_spot", "bitbay"];

/// One exchange: builds the requests and reads the answers. It does no IO and keeps no state.
///
/// The readers are given answers that [`Exchange::refusal`] took for good ones, and return a [`Refusal`] for one that is
/// not what was asked for.
pub(super) trait Exchange: Sync {
    /// The names it answers to; the bare name of the exchange, if it is the adapter for that, first.
    fn names(&self) -> &'static [&'static str];
    /// What its requests are about.
    fn mode(&self) -> Mode;
    /// Root of its API; `None` where there is no such network.
    fn root(&self, network: Network) -> Option<&'static str>;
    /// Root of its API for a region; `None` where all regions share one.
    fn regional_root(&self, _region: Region) -> Option<&'static str> {
        None
    }
    /// What the reader of a report should know of it.
    fn note(&self, _network: Network) -> Option<&'static str> {
        None
    }
    /// How far the host's clock may be off before the exchange refuses signed requests; `None` if it does not compare.
    fn clock_tolerance(&self) -> Option<ClockTolerance>;

    /// Asks for the exchange's clock.
    fn time(&self) -> Ask;
    /// Asks for the price of a symbol, or for a market that is sure to exist.
    fn public(&self, symbol: Option<&Symbol>) -> Ask;
    /// Asks for the account's balances.
    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable>;
    /// Where the use of the request limit can be read.
    fn gauge(&self) -> Gauge;
    /// Whether the exchange tells what a key may do.
    fn tells_rights(&self, _network: Network) -> bool {
        false
    }
    /// Asks for what the key may do.
    fn rights(&self, _credentials: &Credentials, _moment: &Moment) -> Result<Ask, Unusable> {
        Err(Unusable {
            meaning: "the exchange does not tell what a key may do",
            remedy: "look into its API management",
        })
    }

    /// The exchange's clock.
    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal>;
    /// One sentence on what the public API showed.
    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal>;
    /// The account's assets.
    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal>;
    /// The use of the request limit, if the answer tells it.
    fn read_usage(&self, _answer: &Answer) -> Result<Option<Usage>, Refusal> {
        Ok(None)
    }
    /// What the key may do.
    fn read_rights(&self, _answer: &Answer) -> Result<Rights, Refusal> {
        Err(Refusal::nonsense("it tells what it does not tell"))
    }
    /// What an answer means that is none: another status than 2xx, or an error with status 200.
    fn refusal(&self, answer: &Answer) -> Option<Refusal>;
}

/// When a request is signed, and what is new in each.
pub(super) struct Moment {
    /// The time to sign, corrected by what is known of the host's clock.
    pub(super) now: Timestamp,
    /// Milliseconds since 1970, larger than in every request before.
    pub(super) nonce: i64,
    /// Different in every request.
    pub(super) random: [u8; 16],
    pub(super) network: Network,
}

/// A request. Not printable: its query may hold a signature and its headers a key.
pub(super) struct Ask {
    pub(super) method: Method,
    /// The root to ask instead of the exchange's own, unless the operator has set one.
    pub(super) elsewhere: Option<&'static str>,
    pub(super) path: Cow<'static, str>,
    /// As it goes over the wire, already percent-encoded.
    pub(super) query: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The server's certificate (DER).
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) received_at: Timestamp,
}

/// Where the use of the request limit can be read.
pub(super) enum Gauge {
    /// In the answer to this.
    Open(fn() -> Ask),
    /// In the answer to the request for the balances.
    Signed,
    /// Nowhere.
    Untold,
}

/// An exchange's clock: it shows `shown`, and is up to `step` further.
pub(super) struct Clock {
    pub(super) shown: Timestamp,
    pub(super) step: Duration,
}

/// What a key may do, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Move funds off the exchange.
    Withdrawal,
    /// Not that.
    NoWithdrawal,
}

/// Free amount of one asset.
pub(super) struct Balance {
    pub(super) asset: String,
    pub(super) free: Amount,
}

/// Use of the request limit in the current window.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) limit: u64,
    /// What is counted.
    pub(super) unit: &'static str,
}

/// How far the host's clock may be off, in milliseconds.
pub(super) struct ClockTolerance {
    /// Ahead of the exchange's.
    pub(super) ahead_ms: i64,
    /// Behind it.
    pub(super) behind_ms: i64,
}

impl Ask {
    /// A request that anyone may make.
    pub(super) fn open(path: impl Into<Cow<'static, str>>, query: impl Into<String>) -> Self {
        let (path, query) = (path.into(), query.into());
        Self { method: Method::GET, elsewhere: None, path, query, headers: Vec::new(), body: String::new() }
    }

    /// A POST, for the exchanges that have private questions put so.
    pub(super) fn post(path: &'static str, body: String) -> Self {
        Self { method: Method::POST, body, ..Self::open(path, "") }
    }

    /// The same request with a header that nothing prints. `name` is lower case.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Result<Self, Unusable> {
        let mut value = HeaderValue::from_str(value).map_err(|_| Unusable {
            meaning: "key_id or passphrase has characters that cannot be sent",
            remedy: "copy key_id and passphrase anew into the credentials file",
        })?;
        value.set_sensitive(true);
        self.headers.push((HeaderName::from_static(name), value));
        Ok(self)
    }
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, or the refusal to take it for an answer.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|_| Refusal::nonsense("its answer is not JSON"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that is a whole number.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// `Retry-After` in seconds. Its other form, a date, is used by none of the exchanges.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.count(RETRY_AFTER.as_str()).map(Duration::from_secs)
    }
}

impl Clock {
    /// A clock that shows milliseconds.
    pub(super) fn from_millis(millis: Option<i64>) -> Result<Self, Refusal> {
        Self::of(millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()), Duration::ZERO)
    }

    /// A clock that shows whole seconds.
    pub(super) fn from_seconds(seconds: Option<i64>) -> Result<Self, Refusal> {
        Self::of(seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()), Duration::from_secs(1))
    }

    pub(super) fn of(shown: Option<Timestamp>, step: Duration) -> Result<Self, Refusal> {
        let shown = shown.ok_or_else(|| Refusal::nonsense("its clock shows no possible time"))?;
        Ok(Self { shown, step })
    }
}

impl Balance {
    /// A free amount as exchanges write it. Debt is nothing to spend.
    pub(super) fn read(asset: &str, free: f64) -> Result<Self, Refusal> {
        let free = free.max(0.0).try_into().map_err(|_| Refusal::nonsense("a balance is not a number"))?;
        Ok(Self { asset: asset.to_ascii_uppercase(), free })
    }
}

impl Usage {
    /// From what is left.
    pub(super) fn from_remaining(limit: Option<u64>, remaining: Option<u64>, unit: &'static str) -> Option<Self> {
        let (limit, remaining) = (limit.filter(|limit| *limit > 0)?, remaining?);
        Some(Self { used: limit.saturating_sub(remaining), limit, unit })
    }
}

/// A text in an answer, numbers included, by its JSON pointer (RFC 6901).
pub(super) fn text(json: &Value, pointer: &str) -> Result<String, Refusal> {
    match json.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(missing()),
    }
}

/// A number in an answer, which most exchanges write as a text.
pub(super) fn number(json: &Value, pointer: &str) -> Result<f64, Refusal> {
    text(json, pointer)?.parse().map_err(|_| Refusal::nonsense("a balance is not a number"))
}

/// A list in an answer.
pub(super) fn list<'a>(json: &'a Value, pointer: &str) -> Result<&'a Vec<Value>, Refusal> {
    json.pointer(pointer).and_then(Value::as_array).ok_or_else(missing)
}

/// An answer without what the exchange's documentation promises.
pub(super) fn missing() -> Refusal {
    Refusal::nonsense("its answer lacks what its documentation promises")
}
