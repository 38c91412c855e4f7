//! The endpoints, as Binance spot answers them (binance-spot-api-docs, rest-api.md).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::accounts::{Account, Accounts, ExchangeId, parameter};
use crate::behaviour::{Behaviours, Mode, Order};
use crate::listener::SpentWeight;

/// `REQUEST_WEIGHT` of the sample in rest-api.md, a minute and address.
const WEIGHT_LIMIT: u32 = 6000;
const API_KEY: &str = "x-mbx-apikey";
const USED_WEIGHT: HeaderName = HeaderName::from_static("x-mbx-used-weight-1m");
/// What is traded here, and at which price.
const PRICES: [(&str, &str); 4] = [
    ("BTCUSDT", "64250.01000000"),
    ("ETHUSDT", "3120.55000000"),
    ("BTCEUR", "59110.00000000"),
    ("ETHBTC", "0.04857000"),
];

struct Exchange {
    accounts: Accounts,
    behaviours: Arc<Behaviours>,
}

pub(crate) fn router(accounts: &[Account], behaviours: Arc<Behaviours>) -> Router {
    let exchange = Arc::new(Exchange { accounts: Accounts::of(ExchangeId::BinanceSpot, accounts), behaviours });
    Router::new()
        .route("/api/v3/ping", get(ping))
        .route("/api/v3/time", get(time))
        .route("/api/v3/ticker/price", get(ticker))
        .route("/api/v3/exchangeInfo", get(exchange_info))
        .route("/api/v3/account", get(account))
        .route("/sapi/v1/account/apiRestrictions", get(api_restrictions))
        .route("/sapi/v1/system/status", get(system_status))
        .layer(middleware::from_fn_with_state(Arc::clone(&exchange), misbehave))
        // Behind the layer: the exchange obeys however badly it behaves.
        .route("/control", get(overview).post(control))
        .with_state(exchange)
}

/// Applies the mode in force and counts the request's weight. What the handlers need of the mode travels with the
/// request.
async fn misbehave(State(exchange): State<Arc<Exchange>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mode = exchange.behaviours.meet(&path, api_key(request.headers()));
    let spent = request.extensions().get::<SpentWeight>().cloned().unwrap_or_default();
    let weight = weight(&path);
    let used = spent.0.fetch_add(weight, Ordering::Relaxed).saturating_add(weight);
    tokio::time::sleep(mode.delay()).await;

    let mut response = match &mode {
        Mode::Fail => refuse(500, -1000, "An unknown error occurred while processing the request."),
        Mode::Throttle { retry_after_s } => {
            let words = "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. \
                         Please use WebSocket Streams for live updates to avoid polling the API.";
            let mut response = refuse(429, -1003, words);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
            response
        }
        Mode::Redirect { to } => Redirect::temporary(&format!("{to}{path}")).into_response(),
        Mode::Normal | Mode::Lag { .. } | Mode::Skew { .. } | Mode::BadBalance { .. } | Mode::Crowded { .. } => {
            request.extensions_mut().insert(mode.clone());
            next.run(request).await
        }
    };
    let shown = if let Mode::Crowded { used_weight } = mode { used_weight } else { used };
    response.headers_mut().insert(USED_WEIGHT, HeaderValue::from(shown));
    response
}

async fn ping() -> Json<Value> {
    Json(json!({}))
}

async fn time(Extension(mode): Extension<Mode>) -> Json<Value> {
    Json(json!({ "serverTime": clock_ms(&mode) }))
}

async fn ticker(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let entry = |(symbol, price): (&str, &str)| json!({ "symbol": symbol, "price": price });
    match parameter(&query, "symbol") {
        None => Json(PRICES.map(entry).to_vec()).into_response(),
        Some(wanted) => match PRICES.into_iter().find(|(symbol, _)| *symbol == wanted) {
            Some(price) => Json(entry(price)).into_response(),
            None => refuse(400, -1121, "Invalid symbol."),
        },
    }
}

async fn exchange_info(Extension(mode): Extension<Mode>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let wanted = parameter(&query, "symbol");
    let symbols: Vec<Value> = PRICES
        .iter()
        .filter(|(symbol, _)| wanted.is_none_or(|wanted| wanted == *symbol))
        .map(|(symbol, _)| json!({ "symbol": symbol, "status": "TRADING", "isSpotTradingAllowed": true }))
        .collect();
    if symbols.is_empty() {
        return refuse(400, -1121, "Invalid symbol.");
    }
    Json(json!({
        "timezone": "UTC",
        "serverTime": clock_ms(&mode),
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_LIMIT },
            { "rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100 },
            { "rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000 },
        ],
        "exchangeFilters": [],
        "symbols": symbols,
    }))
    .into_response()
}

async fn account(
    State(exchange): State<Arc<Exchange>>,
    Extension(mode): Extension<Mode>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let now = clock_ms(&mode);
    let account = match exchange.accounts.authorise(api_key(&headers), &query, now) {
        Ok(account) => account,
        Err(refusal) => {
            let (status, code, words) = refusal.as_binance();
            return refuse(status, code, words);
        }
    };
    let dust = parameter(&query, "omitZeroBalances") != Some("true");
    let balances: Vec<Value> = account
        .balances
        .iter()
        .map(|(asset, free)| (asset, if let Mode::BadBalance { free } = &mode { free } else { free }))
        .filter(|(_, free)| dust || free.bytes().any(|digit| (b'1'..=b'9').contains(&digit)))
        .map(|(asset, free)| json!({ "asset": asset, "free": free, "locked": "0.00000000" }))
        .collect();
    Json(json!({
        "makerCommission": 15, "takerCommission": 15, "buyerCommission": 0, "sellerCommission": 0,
        "canTrade": true, "canWithdraw": true, "canDeposit": true,
        "updateTime": now, "accountType": "SPOT", "balances": balances, "permissions": ["SPOT"], "uid": 354_937_868,
    }))
    .into_response()
}

async fn api_restrictions(
    State(exchange): State<Arc<Exchange>>,
    Extension(mode): Extension<Mode>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match exchange.accounts.authorise(api_key(&headers), &query.unwrap_or_default(), clock_ms(&mode)) {
        Ok(account) => Json(restrictions(account)).into_response(),
        Err(refusal) => {
            let (status, code, words) = refusal.as_binance();
            refuse(status, code, words)
        }
    }
}

async fn system_status() -> Json<Value> {
    Json(json!({ "status": 0, "msg": "normal" }))
}

/// What `/sapi/v1/account/apiRestrictions` says of a key (developers.binance.com, API key permission).
pub(crate) fn restrictions(account: &Account) -> Value {
    json!({
        "ipRestrict": false, "createTime": 1_698_645_219_000_i64, "enableReading": true,
        "enableWithdrawals": account.may_withdraw, "enableInternalTransfer": false, "enableMargin": false,
        "enableFutures": true, "permitsUniversalTransfer": false, "enableVanillaOptions": false,
        "enableSpotAndMarginTrading": true, "enablePortfolioMarginTrading": false,
    })
}

async fn overview(State(exchange): State<Arc<Exchange>>) -> Response {
    Json(exchange.behaviours.overview()).into_response()
}

async fn control(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Response {
    match serde_json::from_slice::<Order>(&body) {
        Ok(order) => {
            exchange.behaviours.obey(order);
            overview(State(exchange)).await
        }
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error.to_string() }))).into_response(),
    }
}

/// An error body of Binance: `{"code": -n, "msg": "…"}` (errors.md).
fn refuse(status: u16, code: i32, words: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(json!({ "code": code, "msg": words }))).into_response()
}

fn api_key(headers: &HeaderMap) -> Option<&str> {
    headers.get(API_KEY).and_then(|value| value.to_str().ok())
}

/// Weight of a request (rest-api.md).
fn weight(path: &str) -> u32 {
    match path {
        "/api/v3/account" | "/api/v3/exchangeInfo" => 20,
        "/api/v3/ticker/price" => 2,
        _ => 1,
    }
}

/// The exchange's clock in milliseconds since the epoch.
fn clock_ms(mode: &Mode) -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(mode.skew_ms())
}
