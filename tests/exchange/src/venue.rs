//! What every exchange behind a prefix is: one [`Venue`], which is asked with a [`Call`] and answers with a [`Reply`].

mod binance_futures;
mod bitstamp;
mod bybit;
mod coinbase_advanced;
mod coinbase_exchange;
mod kraken_futures;
mod kraken_spot;
mod kucoin;
mod okx;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use jiff::Timestamp;
use serde_json::Value;

use crate::accounts::{Account, Accounts, ExchangeId};
use crate::behaviour::{Behaviours, Mode};
use crate::listener::SpentWeight;

/// Longest body of a request, in bytes: a signed form of a few fields.
const MAX_BODY: usize = 64 * 1024;
/// The bitcoin price of every exchange here, as text and as the number that some of them send.
const BTC_PRICE: &str = "64250.01";
/// The ether price.
const ETH_PRICE: &str = "3120.55";

/// One exchange: who asks, and what it answers. Errors come in the exchange's own form, HTTP status included.
trait Venue: Send + Sync + 'static {
    /// The API key that the request claims to be signed with, unverified.
    fn key(&self, call: &Call) -> Option<String>;
    /// The answer of an exchange that works.
    fn answer(&self, call: &Call) -> Reply;
    /// A fault of the exchange itself.
    fn fail(&self, call: &Call) -> Reply;
    /// Too many requests.
    fn throttle(&self, call: &Call, retry_after_s: u64) -> Reply;
    /// What a request to the path costs.
    fn weight(&self, _path: &str) -> u32 {
        1
    }
    /// The headers that tell a client its headroom; none where the exchange has no such header.
    fn headroom(&self, _call: &Call, _usage: Usage) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// How much of a rate limit is used.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// Weight of this request.
    weight: u32,
    /// Weight spent over this connection, this request included.
    spent: u32,
    /// What [`Mode::Crowded`] says is used.
    crowded: Option<u32>,
}

impl Usage {
    /// Used of a limit that is counted over minutes.
    fn of_the_connection(self) -> u32 {
        self.crowded.unwrap_or(self.spent)
    }

    /// Used of a limit that is counted by the second: a client of these tests asks less often than that.
    fn of_this_second(self) -> u32 {
        self.crowded.unwrap_or(self.weight)
    }
}

/// One request, as the exchange sees it.
#[derive(Debug)]
struct Call {
    method: Method,
    /// The exchange's own path, without the prefix.
    path: String,
    /// What stood after the `?`, as sent; empty without one.
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The exchange's clock, in milliseconds since the epoch.
    now_ms: i64,
    /// What every balance is said to be, if not what it is.
    bad_balance: Option<String>,
}

impl Call {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
    }

    fn header_bytes(&self, name: &str) -> &[u8] {
        self.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default()
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        crate::accounts::parameter(&self.query, name)
    }

    /// Path, and query with its `?`: what most signatures cover.
    fn path_and_query(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// Method and path, to match an endpoint by.
    fn endpoint(&self) -> (&str, &str) {
        (self.method.as_str(), &self.path)
    }

    /// The balances to show for an account.
    fn balances<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = (&'a str, &'a str)> {
        let shown = |free: &'a String| self.bad_balance.as_ref().unwrap_or(free).as_str();
        account.balances.iter().map(move |(asset, free)| (asset.as_str(), shown(free)))
    }

    /// The exchange's clock as ISO 8601 in UTC with milliseconds.
    fn iso_now(&self) -> String {
        iso(self.now_ms)
    }
}

/// One answer.
#[derive(Debug)]
struct Reply {
    status: u16,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, content_type: "application/json", headers: Vec::new(), body: body.to_string() }
    }

    fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    fn text(status: u16, body: &str) -> Self {
        let content_type = "text/plain; charset=utf-8";
        Self { status, content_type, headers: Vec::new(), body: body.to_owned() }
    }

    fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }
}

/// What a key has already used up: the growing nonces and the ones that must not come twice.
#[derive(Default)]
struct Nonces<T>(Mutex<HashMap<String, T>>);

impl<T> Nonces<T> {
    /// A panic elsewhere leaves at worst one nonce unused.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All exchanges but the one at the root.
pub(crate) fn router(accounts: &[Account], behaviours: &Arc<Behaviours>) -> Router {
    use ExchangeId as Id;
    let of = |id| Accounts::of(id, accounts);
    let venues: [(Id, Arc<dyn Venue>); 9] = [
        (Id::BinanceFutures, Arc::new(binance_futures::BinanceFutures::new(of(Id::BinanceFutures)))),
        (Id::KrakenSpot, Arc::new(kraken_spot::KrakenSpot::new(of(Id::KrakenSpot)))),
        (Id::KrakenFutures, Arc::new(kraken_futures::KrakenFutures::new(of(Id::KrakenFutures)))),
        (Id::CoinbaseAdvanced, Arc::new(coinbase_advanced::CoinbaseAdvanced::new(of(Id::CoinbaseAdvanced)))),
        (Id::CoinbaseExchange, Arc::new(coinbase_exchange::CoinbaseExchange::new(of(Id::CoinbaseExchange)))),
        (Id::Bybit, Arc::new(bybit::Bybit::new(of(Id::Bybit)))),
        (Id::Okx, Arc::new(okx::Okx::new(of(Id::Okx)))),
        (Id::Kucoin, Arc::new(kucoin::Kucoin::new(of(Id::Kucoin)))),
        (Id::Bitstamp, Arc::new(bitstamp::Bitstamp::new(of(Id::Bitstamp)))),
    ];
    venues.into_iter().fold(Router::new(), |router, (id, venue)| {
        let stand = Stand { prefix: id.prefix(), venue, behaviours: Arc::clone(behaviours) };
        router.merge(Router::new().route(&format!("{}/{{*path}}", id.prefix()), any(serve)).with_state(stand))
    })
}

/// An exchange in its place behind a prefix.
#[derive(Clone)]
struct Stand {
    prefix: &'static str,
    venue: Arc<dyn Venue>,
    behaviours: Arc<Behaviours>,
}

/// Answers one request in the mode in force.
async fn serve(State(stand): State<Stand>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let full_path = parts.uri.path();
    let path = full_path.strip_prefix(stand.prefix).unwrap_or(full_path);
    let mut call = Call {
        method: parts.method,
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: to_bytes(body, MAX_BODY).await.map(Vec::from).unwrap_or_default(),
        now_ms: 0,
        bad_balance: None,
    };
    let mode = stand.behaviours.meet(full_path, stand.venue.key(&call).as_deref());
    tokio::time::sleep(mode.delay()).await;
    call.now_ms = clock_ms().saturating_add(mode.skew_ms());

    let weight = stand.venue.weight(&call.path);
    let spent = parts.extensions.get::<SpentWeight>().cloned().unwrap_or_default();
    let spent = spent.0.fetch_add(weight, Ordering::Relaxed).saturating_add(weight);
    let mut usage = Usage { weight, spent, crowded: None };
    let reply = match mode {
        Mode::Fail => stand.venue.fail(&call),
        Mode::Throttle { retry_after_s } => stand.venue.throttle(&call, retry_after_s),
        Mode::Crowded { used_weight } => {
            usage.crowded = Some(used_weight);
            stand.venue.answer(&call)
        }
        Mode::Redirect { to } => Reply {
            status: StatusCode::TEMPORARY_REDIRECT.as_u16(),
            headers: vec![("location", format!("{to}{full_path}"))],
            ..stand.venue.fail(&call)
        },
        Mode::BadBalance { free } => {
            call.bad_balance = Some(free);
            stand.venue.answer(&call)
        }
        Mode::Normal | Mode::Lag { .. } | Mode::Skew { .. } => stand.venue.answer(&call),
    };
    respond(reply, stand.venue.headroom(&call, usage), call.now_ms)
}

/// The headers of the answer itself go before the ones on headroom: a throttled client has none left.
fn respond(reply: Reply, headroom: Vec<(&'static str, String)>, now_ms: i64) -> Response {
    let Reply { status, content_type, headers, body } = reply;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fixed = [(header::CONTENT_TYPE.as_str(), content_type.to_owned()), (header::DATE.as_str(), http_date(now_ms))];
    for (name, value) in fixed.into_iter().chain(headroom).chain(headers) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn http_date(ms: i64) -> String {
    Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A decimal number as a JSON number, for the exchanges that send amounts so.
fn number(text: &str) -> Value {
    serde_json::from_str::<serde_json::Number>(text).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests;
