//! What all exchanges have in common, asked through the router.

use axum::http::Request as HttpRequest;
use axum::response::Response;
use tower::ServiceExt;

use super::*;
use crate::behaviour::Order;
use crate::signature::hmac_sha256_hex;
use crate::vectors::vector;

/// A request as an exchange sees it; a header with no value is left out.
pub(super) fn call(method: &str, path: &str, headers: &[(&str, &str)]) -> Call {
    let headers = headers.iter().filter(|(_, value)| !value.is_empty());
    let headers =
        headers.map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()));
    Call {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        query: String::new(),
        headers: headers.collect(),
        body: Vec::new(),
        now_ms: 0,
        bad_balance: None,
    }
}

/// A public and a private endpoint of every exchange, and where the refusal of the unsigned private one is told.
const ENDPOINTS: [(&str, &str, &str, u16, &str); 9] = [
    ("/binance_futures/fapi/v1/ticker/price?symbol=BTCUSDT", "GET", "/binance_futures/fapi/v3/balance", 401, "-2014"),
    ("/kraken_spot/0/public/Ticker?pair=XBTUSD", "POST", "/kraken_spot/0/private/Balance", 200, "EAPI:Invalid key"),
    (
        "/kraken_futures/derivatives/api/v3/tickers/PF_XBTUSD",
        "GET",
        "/kraken_futures/derivatives/api/v3/accounts",
        200,
        "authenticationError",
    ),
    (
        "/coinbase_advanced/api/v3/brokerage/market/products/BTC-USD",
        "GET",
        "/coinbase_advanced/api/v3/brokerage/accounts",
        401,
        "Unauthorized",
    ),
    ("/coinbase_exchange/products/BTC-USD/ticker", "GET", "/coinbase_exchange/accounts", 401, "CB-ACCESS-KEY"),
    (
        "/bybit/v5/market/tickers?category=spot&symbol=BTCUSDT",
        "GET",
        "/bybit/v5/account/wallet-balance?accountType=UNIFIED",
        200,
        "10001",
    ),
    ("/okx/api/v5/market/ticker?instId=BTC-USDT", "GET", "/okx/api/v5/account/balance", 401, "50103"),
    ("/kucoin/api/v1/market/orderbook/level1?symbol=BTC-USDT", "GET", "/kucoin/api/v1/accounts", 401, "400001"),
    ("/bitstamp/api/v2/ticker/btcusd/", "POST", "/bitstamp/api/v2/account_balances/", 403, "API0001"),
];

async fn ask(behaviours: &Arc<Behaviours>, method: &str, target: &str) -> (Response<()>, String) {
    let request = HttpRequest::builder().method(method).uri(target).body(Body::empty()).unwrap();
    send(router(&[], behaviours), request).await
}

async fn send(router: Router, request: HttpRequest<Body>) -> (Response<()>, String) {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap();
    (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_exchange_has_a_price_and_refuses_who_does_not_sign() {
    let behaviours = Arc::default();
    for (public, method, private, status, words) in ENDPOINTS {
        let (response, body) = ask(&behaviours, "GET", public).await;
        assert!(response.status() == 200 && body.contains(BTC_PRICE), "{public}: {body}");
        let (response, body) = ask(&behaviours, method, private).await;
        assert!(response.status() == status && body.contains(words), "{private}: {} {body}", response.status());
    }
    assert_eq!(behaviours.served("/bitstamp/api/v2/ticker/btcusd/"), 1);
}

#[tokio::test]
async fn a_signed_request_is_answered_behind_the_prefix_that_it_does_not_sign() {
    let vector = vector("kraken-futures", "accounts-no-nonce");
    let account = Account::new("test-key", vector.text("secret")).with_balance("BTC", "1.25");
    for (known_to, expected) in [(ExchangeId::KrakenFutures, "1.25"), (ExchangeId::Okx, "authenticationError")] {
        let request = HttpRequest::get("/kraken_futures/derivatives/api/v3/accounts")
            .header("APIKey", "test-key")
            .header("Authent", vector.signature())
            .body(Body::empty())
            .unwrap();
        let (_, body) = send(router(&[account.clone().on(known_to)], &Arc::default()), request).await;
        assert!(body.contains(expected), "{body}");
    }
}

#[tokio::test]
async fn a_key_that_may_withdraw_is_told_apart() {
    let now = clock_ms().to_string();
    let signature = hmac_sha256_hex(b"s", &[now.as_bytes(), b"k", b"5000"]);
    let careful = Account::new("k", "s");
    for (account, told) in [(careful.clone(), false), (careful.that_may_withdraw(), true)] {
        let request = HttpRequest::get("/bybit/v5/user/query-api")
            .header("X-BAPI-API-KEY", "k")
            .header("X-BAPI-TIMESTAMP", &now)
            .header("X-BAPI-RECV-WINDOW", "5000")
            .header("X-BAPI-SIGN", &signature)
            .body(Body::empty())
            .unwrap();
        let (_, body) = send(router(&[account], &Arc::default()), request).await;
        assert!(body.contains("\"retCode\":0") && body.contains("\"Withdraw\"") == told, "{body}");
    }
}

#[tokio::test]
async fn every_exchange_fails_and_throttles_in_its_own_words() {
    let said = [
        ("503 Service Unavailable.", "429 -1003"),
        ("200 EService:Unavailable", "200 EService:Throttled:"),
        ("500 Server Error", "429 apiLimitExceeded"),
        ("500 INTERNAL", "429 RESOURCE_EXHAUSTED"),
        ("500 Internal server error", "429 Public rate limit exceeded"),
        ("200 10016", "200 10006"),
        ("500 50026", "429 50011"),
        ("500 500000", "429 429000"),
        ("503 maintenance", "400 400.002"),
    ];
    for ((public, ..), (fault, throttled)) in ENDPOINTS.into_iter().zip(said) {
        for (mode, expected) in [(Mode::Fail, fault), (Mode::Throttle { retry_after_s: 3 }, throttled)] {
            let behaviours = Arc::new(Behaviours::default());
            behaviours.obey(Order::everyone(mode).times(1));
            let (status, words) = expected.split_once(' ').unwrap();
            let (response, body) = ask(&behaviours, "GET", public).await;
            assert_eq!(response.status().as_str(), status, "{public}: {body}");
            assert!(body.contains(words), "{public}: {body}");
            assert_eq!(ask(&behaviours, "GET", public).await.0.status(), 200, "{public}: once only");
        }
    }
}

#[tokio::test]
async fn headroom_shrinks_in_a_crowd_and_is_gone_when_throttled() {
    let behaviours = Arc::new(Behaviours::default());
    let target = "/kucoin/api/v1/timestamp";
    let header = |response: &Response<()>, name: &str| response.headers()[name].to_str().unwrap().to_owned();
    behaviours.obey(Order::everyone(Mode::Crowded { used_weight: 1990 }));
    let (response, _) = ask(&behaviours, "GET", target).await;
    assert_eq!(header(&response, "gw-ratelimit-remaining"), "10");
    behaviours.obey(Order::everyone(Mode::Throttle { retry_after_s: 2 }));
    let (response, _) = ask(&behaviours, "GET", target).await;
    assert_eq!(header(&response, "gw-ratelimit-remaining"), "0");
    assert_eq!(header(&response, "gw-ratelimit-reset"), "2000");
}

#[tokio::test]
async fn a_wrong_clock_shows_in_the_date() {
    let behaviours = Arc::new(Behaviours::default());
    behaviours.obey(Order::everyone(Mode::Skew { skew_ms: -86_400_000_000 }));
    let (response, body) = ask(&behaviours, "GET", "/bybit/v5/market/time").await;
    let year = iso(clock_ms() - 86_400_000_000)[..4].to_owned();
    assert!(response.headers()["date"].to_str().unwrap().contains(&year), "{body}");
}

#[test]
fn a_bad_balance_replaces_every_amount() {
    let account = Account::new("k", "s").with_balance("BTC", "1.5").with_balance("USDT", "2");
    let mut call = call("GET", "/", &[]);
    assert_eq!(call.balances(&account).collect::<Vec<_>>(), [("BTC", "1.5"), ("USDT", "2")]);
    call.bad_balance = Some("0".to_owned());
    assert_eq!(call.balances(&account).collect::<Vec<_>>(), [("BTC", "0"), ("USDT", "0")]);
}

#[test]
fn times_are_written_as_the_exchanges_write_them() {
    assert_eq!(iso(1_607_418_537_715), "2020-12-08T09:08:57.715Z");
    assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
}
