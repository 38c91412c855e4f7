//! What an exchange must be able to say for the checks, and which exchanges can.

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::binance;
use super::credentials::Credentials;
use super::settings::{Amount, BaseUrl, Mode, Network, Symbol};

/// Every exchange there is an adapter for.
pub(super) static REGISTRY: &[&dyn Exchange] = &[&binance::Spot];

/// Longest excerpt of an exchange's own words in a report, in characters.
const MAX_QUOTE: usize = 160;

/// One exchange: builds the requests and reads the answers. It does no IO and keeps no state.
///
/// The readers are given answers of status 2xx only, and return a [`Refusal`] for one that is not what was asked for:
/// on some exchanges errors come with status 200.
pub(super) trait Exchange: Sync {
    /// The names it answers to, the exchange's own first.
    fn names(&self) -> &'static [&'static str];
    /// What its requests are about.
    fn mode(&self) -> Mode;
    /// Root of its API.
    fn base_url(&self, network: Network) -> BaseUrl;
    /// How far the host's clock may be off before the exchange refuses signed requests.
    fn clock_tolerance(&self) -> ClockTolerance;

    /// Asks for the exchange's clock.
    fn time(&self) -> Ask;
    /// Asks for the price of a symbol, or for the markets.
    fn public(&self, symbol: Option<&Symbol>) -> Ask;
    /// Asks for the account's balances, signed at `now`.
    fn private(&self, credentials: &Credentials, now: Timestamp) -> Ask;
    /// Asks for the request limits and what is used of them.
    fn usage(&self) -> Ask;

    /// The exchange's clock.
    fn read_time(&self, answer: &Answer) -> Result<Timestamp, Refusal>;
    /// One sentence on what the public API showed.
    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal>;
    /// The account's assets.
    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal>;
    /// The use of the request limit.
    fn read_usage(&self, answer: &Answer) -> Result<Usage, Refusal>;
    /// What an answer of another status than 2xx means.
    fn read_refusal(&self, answer: &Answer) -> Refusal;
}

/// A GET request. Not printable: its query may hold a signature and its headers a key.
pub(super) struct Ask {
    pub(super) path: &'static str,
    /// As it goes over the wire, already percent-encoded.
    pub(super) query: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The server's certificate (DER).
    pub(super) certificate: Option<Vec<u8>>,
}

/// An exchange's no, in words an operator can act on.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The exchange's own error code.
    pub(super) code: Option<i64>,
    /// What it means; lower case, no full stop.
    pub(super) meaning: String,
    /// What to do.
    pub(super) remedy: Option<&'static str>,
}

/// Free amount of one asset.
pub(super) struct Balance {
    pub(super) asset: String,
    pub(super) free: Amount,
}

/// Use of the request limit in the current window.
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) limit: u64,
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
    pub(super) fn open(path: &'static str, query: String) -> Self {
        Self { path, query, headers: Vec::new() }
    }
}

impl Answer {
    /// The body as JSON, or the refusal to take it for an answer.
    pub(super) fn json(&self) -> Result<serde_json::Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|_| Refusal::nonsense("its answer is not JSON"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Refusal {
    /// An answer that the exchange would not give: something else answers in its place.
    pub(super) fn nonsense(meaning: &str) -> Self {
        Self {
            code: None,
            meaning: meaning.to_owned(),
            remedy: Some("check base_url, and whether a proxy or captive portal answers in the exchange's place"),
        }
    }
}

/// An exchange's own words, made fit for a terminal and a log: bounded, and without control characters.
pub(super) fn quote(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_QUOTE).collect()
}
