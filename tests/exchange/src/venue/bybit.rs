//! Bybit v5 (reference: bybit-exchange/docs, guide.mdx and error.mdx). Errors come with HTTP 200.

use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Reply, Usage, Venue};
use crate::accounts::{Account, Accounts};
use crate::signature::{hmac_sha256_hex, same};

/// Window of a request that names none, in milliseconds.
const DEFAULT_RECV_WINDOW_MS: i64 = 5000;
/// A request is refused when it is this far ahead of the exchange's clock, in milliseconds.
const AHEAD_MS: i64 = 1000;
/// Requests a second of `/v5/account/wallet-balance`, and of `/v5/user/query-api`.
const LIMITS: (u32, u32) = (50, 10);
const PRICES: [(&str, &str); 2] = [("BTCUSDT", BTC_PRICE), ("ETHUSDT", ETH_PRICE)];

pub(super) struct Bybit(Accounts);

impl Bybit {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    /// The account that signed, or code and words of the refusal. The query is signed as sent.
    fn authorise(&self, call: &Call) -> Result<&Account, (i32, String)> {
        let refused = |code, words: &str| (code, words.to_owned());
        let key = call.header("x-bapi-api-key").ok_or(refused(10001, "empty value: apiKey[] apiTimestamp[]"))?;
        let account = self.0.find(key).ok_or(refused(10003, "API key is invalid."))?;
        let timestamp = call.header("x-bapi-timestamp").unwrap_or_default();
        let window = call.header("x-bapi-recv-window").unwrap_or_default();
        let sent: i64 = timestamp.parse().map_err(|_| refused(10001, "invalid timestamp"))?;
        let window_ms = if window.is_empty() { Some(DEFAULT_RECV_WINDOW_MS) } else { window.parse().ok() };
        let window_ms = window_ms.ok_or(refused(10001, "invalid recv_window"))?;
        if sent < call.now_ms.saturating_sub(window_ms) || sent >= call.now_ms.saturating_add(AHEAD_MS) {
            let words = "invalid request, please check your server timestamp or recv_window param. req_timestamp";
            return Err((10002, format!("{words}[{sent}],server_timestamp[{}],recv_window[{window_ms}]", call.now_ms)));
        }
        // Lower-case hex is what the guide asks for, so the texts are compared, not the bytes.
        let payload = if call.method == "GET" { call.query.as_bytes() } else { &call.body };
        let signed = [timestamp.as_bytes(), key.as_bytes(), window.as_bytes(), payload];
        let expected = hmac_sha256_hex(account.secret.as_bytes(), &signed);
        let sent = call.header("x-bapi-sign").unwrap_or_default();
        if account.secret.is_empty() || !same(&expected, sent) {
            return Err(refused(10004, "error sign! please check your signature generation algorithm."));
        }
        Ok(account)
    }

    fn private(&self, call: &Call, result: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Ok(account) => good(call, &result(account)),
            Err((code, words)) => bad(call, code, &words),
        }
    }
}

impl Venue for Bybit {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("x-bapi-api-key").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/v5/market/time") => good(
                call,
                &json!({
                    "timeSecond": call.now_ms.div_euclid(1000).to_string(),
                    "timeNano": format!("{}000000", call.now_ms),
                }),
            ),
            ("GET", "/v5/market/tickers") => list(
                call,
                |(symbol, price)| json!({ "symbol": symbol, "lastPrice": price, "bid1Price": price, "ask1Price": price }),
            ),
            ("GET", "/v5/market/instruments-info") => {
                list(call, |(symbol, _)| json!({ "symbol": symbol, "status": "Trading" }))
            }
            ("GET", "/v5/system/status") => good(call, &json!({ "list": [] })),
            ("GET", "/v5/account/wallet-balance") => match call.parameter("accountType") {
                Some("UNIFIED") => self.private(call, |account| wallet(call, account)),
                _ => bad(call, 10001, "accountType only support UNIFIED."),
            },
            ("GET", "/v5/user/query-api") => self.private(call, |account| {
                let wallet: &[&str] =
                    if account.may_withdraw { &["AccountTransfer", "Withdraw"] } else { &["AccountTransfer"] };
                json!({
                    "id": "1", "apiKey": account.key_id, "readOnly": 0, "isMaster": true, "ips": ["*"],
                    "permissions": { "Spot": ["SpotTrade"], "Wallet": wallet, "ContractTrade": [] },
                    "deadlineDay": 83, "expiredAt": "2027-02-15T00:00:00Z", "type": 1,
                })
            }),
            _ => Reply::text(404, "404 page not found"),
        }
    }

    fn fail(&self, call: &Call) -> Reply {
        bad(call, 10016, "Server error.")
    }

    fn throttle(&self, call: &Call, retry_after_s: u64) -> Reply {
        let reset = call.now_ms.saturating_add_unsigned(retry_after_s.saturating_mul(1000));
        bad(call, 10006, "Too many visits. Exceeded the API Rate Limit.")
            .with("x-bapi-limit-status", "0")
            .with("x-bapi-limit-reset-timestamp", reset.to_string())
    }

    fn headroom(&self, call: &Call, usage: Usage) -> Vec<(&'static str, String)> {
        let limit = match call.path.as_str() {
            "/v5/account/wallet-balance" => LIMITS.0,
            "/v5/user/query-api" => LIMITS.1,
            _ => return Vec::new(),
        };
        vec![
            ("x-bapi-limit", limit.to_string()),
            ("x-bapi-limit-status", limit.saturating_sub(usage.of_this_second()).to_string()),
            ("x-bapi-limit-reset-timestamp", call.now_ms.to_string()),
        ]
    }
}

fn wallet(call: &Call, account: &Account) -> Value {
    let coins: Vec<Value> = call
        .balances(account)
        .filter(|(asset, _)| call.parameter("coin").is_none_or(|wanted| wanted.split(',').any(|coin| coin == *asset)))
        .map(|(asset, free)| json!({ "coin": asset, "equity": free, "walletBalance": free, "locked": "0" }))
        .collect();
    json!({ "list": [{ "accountType": "UNIFIED", "totalEquity": "", "coin": coins }] })
}

fn list(call: &Call, entry: impl Fn((&str, &str)) -> Value) -> Reply {
    let Some(category @ ("spot" | "linear")) = call.parameter("category") else {
        return bad(call, 10001, "Illegal category");
    };
    let wanted = call.parameter("symbol");
    let list: Vec<Value> =
        PRICES.into_iter().filter(|(symbol, _)| wanted.is_none_or(|wanted| wanted == *symbol)).map(entry).collect();
    if list.is_empty() {
        return bad(call, 10001, "Not supported symbols");
    }
    good(call, &json!({ "category": category, "list": list, "nextPageCursor": "" }))
}

fn good(call: &Call, result: &Value) -> Reply {
    let now = call.now_ms;
    Reply::ok(&json!({ "retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now }))
}

fn bad(call: &Call, code: i32, words: &str) -> Reply {
    let now = call.now_ms;
    Reply::ok(&json!({ "retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": now }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::{Vector, vector};
    use crate::venue::tests::call;

    fn ask(vector: &Vector, secret: &str, now_ms: i64, signature: &str) -> Option<i32> {
        let venue = Bybit::new(Accounts::new(vec![Account::new(vector.text("api_key"), secret)]));
        let headers = [
            ("x-bapi-api-key", vector.text("api_key")),
            ("x-bapi-timestamp", vector.text("timestamp")),
            ("x-bapi-recv-window", vector.text("recv_window")),
            ("x-bapi-sign", signature),
        ];
        let mut call = call(vector.text("method"), "/v5/x", &headers);
        call.query = vector.input("query").unwrap_or_default().to_owned();
        call.body = vector.input("body").unwrap_or_default().into();
        call.now_ms = now_ms;
        venue.authorise(&call).err().map(|(code, _)| code)
    }

    #[test]
    fn the_derived_signature_is_accepted_in_its_window() {
        let vector = vector("bybit-v5", "wallet-balance");
        let (secret, signature, now) = (vector.text("secret"), vector.signature(), 1_700_000_000_000);
        assert_eq!(ask(&vector, secret, now + 5000, signature), None);
        assert_eq!(ask(&vector, secret, now + 5001, signature), Some(10002));
        assert_eq!(ask(&vector, secret, now - 999, signature), None);
        assert_eq!(ask(&vector, secret, now - 1000, signature), Some(10002));
        assert_eq!(ask(&vector, secret, now, &signature.to_uppercase()), Some(10004));
        assert_eq!(ask(&vector, "other", now, signature), Some(10004));
    }

    #[test]
    fn the_documented_strings_are_what_is_signed() {
        // Their secrets are not published, so the guide's own string is signed with another one.
        for name in ["get-realtime-docs", "post-docs"] {
            let vector = vector("bybit-v5", name);
            let signature = hmac_sha256_hex(b"other", &[vector.string_to_sign().as_bytes()]);
            assert_eq!(ask(&vector, "other", vector.text("timestamp").parse().unwrap(), &signature), None, "{name}");
        }
    }
}
