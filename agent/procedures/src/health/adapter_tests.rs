//! Each adapter on answers as the exchanges document them.

use std::time::Duration;

use flota_seal::secret::Secret;
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName};

use super::exchange::{Answer, Exchange, REGISTRY, Rights};
use super::retry::Setback;
use super::*;

fn adapter(name: &str) -> &'static dyn Exchange {
    name.parse::<ExchangeId>().unwrap().adapter()
}

fn answer(status: u16, body: &str) -> Answer {
    let received_at = Timestamp::from_second(1_700_000_000).unwrap();
    Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec(), certificate: None, received_at }
}

fn with_headers(body: &str, headers: &[(&'static str, &'static str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    Answer { headers: headers.collect(), ..answer(200, body) }
}

/// The amount of an asset, which the answer must not be refused for.
fn free(exchange: &str, asset: &str, body: &str) -> f64 {
    let (exchange, answer) = (adapter(exchange), answer(200, body));
    assert!(exchange.refusal(&answer).is_none());
    let balances = exchange.read_private(&answer).ok().unwrap();
    balances.iter().find(|balance| balance.asset == asset).unwrap().free.value()
}

#[test]
fn balances_are_the_free_ones_under_their_usual_names() {
    let cases = [
        ("binance", "USDT", r#"{"balances":[{"asset":"USDT","free":"1.5","locked":"9"}]}"#),
        ("binance_futures", "USDT", r#"[{"asset":"USDT","balance":"9","availableBalance":"1.5"}]"#),
        ("kraken", "BTC", r#"{"error":[],"result":{"ZUSD":"3","XXBT":"1.5"}}"#),
        ("kraken", "USD", r#"{"error":[],"result":{"ZUSD":"1.5","ZETA":"2"}}"#),
        (
            "kraken_futures",
            "BTC",
            r#"{"result":"success","accounts":{"flex":{"currencies":{"XBT":{"quantity":2,"available":1.5}}}}}"#,
        ),
        ("kraken_futures", "EUR", r#"{"result":"success","accounts":{"cash":{"balances":{"eur":1.5}}}}"#),
        (
            "coinbase",
            "BTC",
            r#"{"accounts":[{"currency":"BTC","available_balance":{"value":"1.5","currency":"BTC"}}]}"#,
        ),
        ("coinbase_exchange", "BTC", r#"[{"currency":"BTC","balance":"2","available":"1.5","hold":"0.5"}]"#),
        (
            "bybit",
            "BTC",
            r#"{"retCode":0,"result":{"list":[{"coin":[{"coin":"BTC","walletBalance":"2","locked":"0.5"}]}]}}"#,
        ),
        ("okx", "BTC", r#"{"code":"0","data":[{"details":[{"ccy":"BTC","availBal":"1.5","cashBal":"2"}]}]}"#),
        ("kucoin", "BTC", r#"{"code":"200000","data":[{"currency":"BTC","available":"1.5","holds":"0"}]}"#),
        ("bitstamp", "BTC", r#"[{"currency":"btc","total":"2","available":"1.5","reserved":"0.5"}]"#),
    ];
    for (exchange, asset, body) in cases {
        assert!((free(exchange, asset, body) - 1.5).abs() < f64::EPSILON, "{exchange}");
    }
}

#[test]
fn prices_and_clocks_are_read() {
    let cases = [
        ("binance_futures", r#"{"symbol":"BTCUSDT","price":"5"}"#, r#"{"serverTime":1700000000000}"#),
        ("kraken", r#"{"error":[],"result":{"XXBTZUSD":{"c":["5","1"]}}}"#, r#"{"result":{"unixtime":1700000000}}"#),
        (
            "kraken_futures",
            r#"{"result":"success","ticker":{"symbol":"PF_XBTUSD","last":5}}"#,
            r#"{"serverTime":"2023-11-14T22:13:20.000Z"}"#,
        ),
        ("coinbase", r#"{"product_id":"BTC-USD","price":"5"}"#, r#"{"epochMillis":"1700000000000"}"#),
        ("coinbase_exchange", r#"{"price":"5"}"#, r#"{"iso":"2023-11-14T22:13:20.000Z"}"#),
        ("bybit", r#"{"result":{"list":[{"symbol":"BTCUSDT","lastPrice":"5"}]}}"#, r#"{"time":1700000000000}"#),
        ("okx", r#"{"data":[{"instId":"BTC-USDT","last":"5"}]}"#, r#"{"data":[{"ts":"1700000000000"}]}"#),
        ("kucoin", r#"{"data":{"price":"5"}}"#, r#"{"data":1700000000000}"#),
    ];
    for (exchange, price, time) in cases {
        let exchange = adapter(exchange);
        assert!(exchange.read_public(None, &answer(200, price)).unwrap().ends_with("trades at 5"));
        let clock = exchange.read_time(&answer(200, time)).ok().unwrap();
        assert_eq!(clock.shown.as_second(), 1_700_000_000, "{:?}", exchange.names());
    }
    let ticker = with_headers(r#"{"last":"5"}"#, &[("date", "Tue, 14 Nov 2023 22:13:20 GMT")]);
    assert_eq!(adapter("bitstamp").read_time(&ticker).ok().unwrap().step, Duration::from_secs(1));
    assert_eq!(adapter("bitstamp").read_public(None, &ticker).unwrap(), "BTCUSD trades at 5");
}

#[test]
fn keys_that_may_withdraw_are_told_from_those_that_may_not() {
    let cases = [
        ("binance", r#"{"enableWithdrawals":true}"#, r#"{"enableWithdrawals":false}"#),
        (
            "kraken",
            r#"{"result":{"permissions":["query-funds","add-withdraw-address"]}}"#,
            r#"{"result":{"permissions":["query-funds"]}}"#,
        ),
        (
            "kraken_futures",
            r#"{"permissions":{"general":"READ_ONLY","transfer":"FULL_ACCESS"}}"#,
            r#"{"permissions":{"general":"FULL_ACCESS","transfer":"NO_ACCESS"}}"#,
        ),
        ("coinbase", r#"{"can_view":true,"can_transfer":true}"#, r#"{"can_view":true,"can_transfer":false}"#),
        (
            "bybit",
            r#"{"result":{"readOnly":0,"permissions":{"Wallet":["AccountTransfer","Withdraw"]}}}"#,
            r#"{"result":{"readOnly":0,"permissions":{"Wallet":["AccountTransfer"]}}}"#,
        ),
        ("okx", r#"{"data":[{"perm":"read_only,withdraw"}]}"#, r#"{"data":[{"perm":"read_only,trade"}]}"#),
        (
            "kucoin",
            r#"{"data":{"permission":"General,Transfer"}}"#,
            r#"{"data":{"permission":"General,InnerTransfer"}}"#,
        ),
    ];
    for (exchange, may, may_not) in cases {
        let exchange = adapter(exchange);
        assert!(exchange.tells_rights(Network::Live));
        assert_eq!(exchange.read_rights(&answer(200, may)).unwrap(), Rights::Withdrawal, "{:?}", exchange.names());
        assert_eq!(
            exchange.read_rights(&answer(200, may_not)).unwrap(),
            Rights::NoWithdrawal,
            "{:?}",
            exchange.names()
        );
        assert!(exchange.read_rights(&answer(200, "{}")).is_err(), "silence is not innocence");
    }
    for silent in ["coinbase_exchange", "bitstamp"] {
        assert!(!adapter(silent).tells_rights(Network::Live));
    }
    assert!(!adapter("binance").tells_rights(Network::Testnet));
}

#[test]
fn refusals_are_explained_whatever_their_http_status() {
    let cases = [
        ("kraken", 200, r#"{"error":["EAPI:Invalid key"]}"#, "does not know the key_id"),
        ("kraken", 200, r#"{"error":["EGeneral:Temporary lockout"]}"#, "locked"),
        ("kraken", 200, r#"{"error":["EAPI:Invalid nonce"]}"#, "nonce"),
        ("kraken", 520, "", "failing on its side"),
        ("kraken_futures", 200, r#"{"result":"error","error":"authenticationError"}"#, "does not say which"),
        ("kraken_futures", 401, r#"{"error":"Unauthorized","message":"x"}"#, "does not say which"),
        ("coinbase", 401, "Unauthorized\n", "does not say which"),
        ("coinbase", 403, r#"{"error":"PERMISSION_DENIED","message":"Missing required scopes"}"#, "may not read"),
        ("coinbase_exchange", 401, r#"{"message":"Invalid Passphrase"}"#, "passphrase"),
        ("coinbase_exchange", 400, r#"{"message":"request timestamp expired"}"#, "timestamp"),
        ("bybit", 200, r#"{"retCode":10004,"retMsg":"error sign!"}"#, "signature"),
        ("bybit", 401, r#"{"retCode":33004}"#, "expired"),
        ("okx", 200, r#"{"code":"50119","msg":"API key doesn't exist"}"#, "does not know the key_id"),
        (
            "okx",
            401,
            r#"{"code":"50101","msg":"APIKey does not match current environment."}"#,
            "another of the exchange's networks",
        ),
        ("kucoin", 400, r#"{"code":"400004","msg":"Invalid KC-API-PASSPHRASE"}"#, "passphrase"),
        ("kucoin", 503, "", "maintenance"),
        ("bitstamp", 403, r#"{"status":"error","reason":"Invalid signature","code":"API0005"}"#, "signature"),
        ("bitstamp", 200, r#"{"status":"error","reason":"IP address not allowed"}"#, "address"),
        ("binance_futures", 400, r#"{"code":-4109,"msg":"x"}"#, "not active"),
    ];
    for (exchange, status, body, said) in cases {
        let refusal = adapter(exchange).refusal(&answer(status, body)).expect(body);
        assert!(refusal.meaning.contains(said), "{exchange} {body}: {}", refusal.meaning);
    }
}

#[test]
fn throttling_is_waited_for_and_lockouts_are_left_alone() {
    let setback =
        |exchange: &str, status, body: &str| adapter(exchange).refusal(&answer(status, body)).unwrap().setback;
    let throttled = |seconds| Setback::Throttled { retry_after: Some(Duration::from_secs(seconds)) };
    assert_eq!(setback("kraken", 200, r#"{"error":["EService:Throttled:1700000004"]}"#), throttled(4));
    assert_eq!(setback("kraken", 200, r#"{"error":["EService:Throttled:1600000000"]}"#), throttled(0));
    assert_eq!(setback("kraken", 200, r#"{"error":["EGeneral:Temporary lockout"]}"#), Setback::Final);
    assert_eq!(setback("kraken", 200, r#"{"error":["EService:Busy"]}"#), Setback::Transient);
    let unknown_wait = Setback::Throttled { retry_after: None };
    assert_eq!(setback("bybit", 200, r#"{"retCode":10006}"#), unknown_wait);
    assert_eq!(setback("bybit", 403, ""), Setback::Final, "ten minutes, longer with every request");
    assert_eq!(setback("okx", 200, r#"{"code":"50011"}"#), unknown_wait);
    assert_eq!(setback("coinbase", 401, "Unauthorized"), Setback::Unsure);
    let mut limited = with_headers(r#"{"code":"429000"}"#, &[("gw-ratelimit-reset", "2000")]);
    limited.status = 429;
    assert_eq!(adapter("kucoin").refusal(&limited).unwrap().setback, throttled(2));
    for exchange in REGISTRY {
        let mut limited = with_headers("", &[("retry-after", "3")]);
        limited.status = 429;
        assert_eq!(exchange.refusal(&limited).unwrap().setback, throttled(3), "{:?}", exchange.names());
        assert!(exchange.refusal(&answer(302, "")).unwrap().meaning.contains("redirects"), "{:?}", exchange.names());
    }
}

#[test]
fn headroom_is_read_where_it_is_told() {
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("binance_futures", &[("x-mbx-used-weight-1m", "25")]),
        ("coinbase", &[("x-ratelimit-limit", "30"), ("x-ratelimit-remaining", "5")]),
        ("bybit", &[("x-bapi-limit", "50"), ("x-bapi-limit-status", "25")]),
        ("kucoin", &[("gw-ratelimit-limit", "2000"), ("gw-ratelimit-remaining", "1975")]),
    ];
    for (exchange, headers) in cases {
        let usage = adapter(exchange).read_usage(&with_headers("{}", headers)).unwrap().unwrap();
        assert_eq!(usage.used, 25, "{exchange}");
        assert!(adapter(exchange).read_usage(&answer(200, "{}")).unwrap().is_none(), "{exchange}");
    }
}

#[test]
fn keys_that_cannot_sign_are_found_before_anything_is_asked() {
    let moment = exchange::Moment { now: Timestamp::UNIX_EPOCH, nonce: 1, random: [0; 16], network: Network::Live };
    let cases = [
        ("kraken", "no-base64!", "not Base64"),
        ("kraken_futures", "no-base64!", "not Base64"),
        ("coinbase", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", "neither an Ed25519"),
        ("coinbase", "c2hvcnQ=", "neither an Ed25519"),
        ("coinbase_exchange", "c2VjcmV0", "passphrase"),
        ("okx", "secret", "passphrase"),
        ("kucoin", "secret", "passphrase"),
    ];
    for (exchange, secret, said) in cases {
        let credentials = Credentials::new("key", Secret::decode(secret, "test").unwrap()).unwrap();
        let unusable = adapter(exchange).private(&credentials, &moment).err().unwrap();
        assert!(unusable.meaning.contains(said), "{exchange}: {unusable}");
        assert!(!format!("{unusable:?}").contains(secret), "{exchange}");
    }
}

#[test]
fn symbols_are_put_as_each_exchange_writes_them() {
    let symbol: Symbol = "btc/usdt".parse().unwrap();
    let asked = |exchange: &str| {
        let ask = adapter(exchange).public(Some(&symbol));
        format!("{}?{}", ask.path, ask.query)
    };
    assert_eq!(asked("kraken"), "/0/public/Ticker?pair=XBTUSDT");
    assert_eq!(asked("kraken_futures"), "/derivatives/api/v3/tickers/PF_XBTUSDT?");
    assert_eq!(asked("coinbase"), "/api/v3/brokerage/market/products/BTC-USDT?");
    assert_eq!(asked("okx"), "/api/v5/market/ticker?instId=BTC-USDT");
    assert_eq!(asked("bitstamp"), "/api/v2/ticker/btcusdt/?");
    let contract: Symbol = "pi_xbtusd".parse().unwrap();
    assert_eq!(adapter("kraken_futures").public(Some(&contract)).path, "/derivatives/api/v3/tickers/PI_XBTUSD");
}
