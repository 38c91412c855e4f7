//! Bitstamp (reference: ccxt and gocryptotrader; no official documentation was at hand). It has no time and no permission
//! endpoint; its clock is the `Date` header. Answers to signed requests are signed as well.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Nonces, Reply, Venue};
use crate::accounts::{Account, Accounts};
use crate::signature::{hmac_sha256_hex, hmac_sha256_is};

/// How far a request's time may be from the exchange's, and how long a nonce must not come again, in milliseconds.
const WINDOW_MS: u64 = 150_000;
/// The hosts that may be signed: live, and the sandbox.
const HOSTS: [&str; 2] = ["www.bitstamp.net", "sandbox.bitstamp.net"];
/// Name in a path, name in the list, price.
const MARKETS: [(&str, &str, &str); 3] =
    [("btcusd", "BTC/USD", BTC_PRICE), ("btcusdt", "BTC/USDT", BTC_PRICE), ("ethusd", "ETH/USD", ETH_PRICE)];

/// Code and words of a refusal; its HTTP status is 403.
type Refused = (&'static str, &'static str);

pub(super) struct Bitstamp {
    accounts: Accounts,
    /// The nonces of each key, with the time each was used, in milliseconds.
    nonces: Nonces<BTreeMap<String, i64>>,
}

impl Bitstamp {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self { accounts, nonces: Nonces::default() }
    }

    fn authorise(&self, call: &Call) -> Result<&Account, Refused> {
        let auth = call.header("x-auth").unwrap_or_default();
        let key = auth.strip_prefix("BITSTAMP ").ok_or(("API0001", "API key not found"))?;
        let account = self.accounts.find(key).ok_or(("API0001", "API key not found"))?;
        if call.header("x-auth-version") != Some("v2") {
            return Err(("API0006", "X-Auth-Version header is missing or has invalid value"));
        }
        let content_type = call.header("content-type").unwrap_or_default();
        if call.body.is_empty() != content_type.is_empty() {
            return Err(("API0020", "Content-Type header should only be present with a body"));
        }
        let timestamp = call.header("x-auth-timestamp").unwrap_or_default();
        let sent =
            timestamp.parse::<i64>().map_err(|_| ("API0017", "X-Auth-Timestamp header is missing or invalid"))?;
        if sent.abs_diff(call.now_ms) > WINDOW_MS {
            return Err(("API0017", "X-Auth-Timestamp header is not within 150 seconds of the server's time"));
        }
        let nonce = call.header("x-auth-nonce").filter(|nonce| is_uuid_v4(nonce));
        let nonce = nonce.ok_or(("API0004", "Invalid nonce"))?;

        let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
        let signature = call.header("x-auth-signature").and_then(|text| hex::decode(text).ok()).unwrap_or_default();
        let right = HOSTS.into_iter().any(|host| {
            let parts: [&[u8]; 10] = [
                auth.as_bytes(),
                call.method.as_str().as_bytes(),
                host.as_bytes(),
                call.path.as_bytes(),
                query.as_bytes(),
                content_type.as_bytes(),
                nonce.as_bytes(),
                timestamp.as_bytes(),
                b"v2",
                &call.body,
            ];
            hmac_sha256_is(account.secret.as_bytes(), &parts, &signature)
        });
        if !right {
            return Err(("API0005", "Invalid signature"));
        }
        self.use_up(key, nonce, call.now_ms)?;
        Ok(account)
    }

    fn use_up(&self, key: &str, nonce: &str, now_ms: i64) -> Result<(), Refused> {
        let mut nonces = self.nonces.lock();
        let used = nonces.entry(key.to_owned()).or_default();
        used.retain(|_, when| when.abs_diff(now_ms) <= WINDOW_MS);
        match used.insert(nonce.to_owned(), now_ms) {
            None => Ok(()),
            Some(_) => Err(("API0004", "Invalid nonce")),
        }
    }
}

impl Venue for Bitstamp {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("x-auth")?.strip_prefix("BITSTAMP ").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/api/v2/markets/" | "/api/v2/trading-pairs-info/") => {
                let market = |(symbol, name, _): (&str, &str, &str)| json!({ "market_symbol": symbol, "name": name, "url_symbol": symbol, "trading": "Enabled" });
                Reply::ok(&MARKETS.map(market).to_vec().into())
            }
            ("POST", "/api/v2/account_balances/") => self.private(call, |account| {
                call.balances(account)
                    .map(|(asset, free)| {
                        let currency = asset.to_lowercase();
                        json!({ "currency": currency, "total": free, "available": free, "reserved": "0.00000000" })
                    })
                    .collect()
            }),
            ("POST", "/api/v2/balance/") => self.private(call, |account| {
                let fields = call.balances(account).flat_map(|(asset, free)| {
                    let asset = asset.to_lowercase();
                    [(format!("{asset}_available"), free.into()), (format!("{asset}_balance"), free.into())]
                });
                Value::Object(fields.collect())
            }),
            ("GET", path) => ticker(call, path),
            _ => refuse(404, "404", "Not found"),
        }
    }

    fn fail(&self, _: &Call) -> Reply {
        refuse(503, "503", "Bitstamp is under scheduled maintenance")
    }

    fn throttle(&self, _: &Call, _: u64) -> Reply {
        refuse(400, "400.002", "Request rate limit exceeded")
    }
}

impl Bitstamp {
    fn private(&self, call: &Call, body: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Ok(account) => signed(call, account, Reply::ok(&body(account))),
            Err((code, words)) => refuse(403, code, words),
        }
    }
}

/// The answer with its `X-Server-Auth-Signature`.
fn signed(call: &Call, account: &Account, reply: Reply) -> Reply {
    let parts: [&[u8]; 4] = [
        call.header_bytes("x-auth-nonce"),
        call.header_bytes("x-auth-timestamp"),
        reply.content_type.as_bytes(),
        reply.body.as_bytes(),
    ];
    let signature = hmac_sha256_hex(account.secret.as_bytes(), &parts);
    reply.with("x-server-auth-signature", signature)
}

/// 36 characters in lower case, version 4 (RFC 9562 §5.4).
fn is_uuid_v4(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            14 => *byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

fn ticker(call: &Call, path: &str) -> Reply {
    let wanted = path.strip_prefix("/api/v2/ticker/").and_then(|rest| rest.strip_suffix('/'));
    match MARKETS.into_iter().find(|(symbol, ..)| Some(*symbol) == wanted) {
        Some((_, _, price)) => Reply::ok(&json!({
            "last": price, "bid": price, "ask": price, "open": price, "high": price, "low": price, "vwap": price,
            "volume": "1.0", "timestamp": call.now_ms.div_euclid(1000).to_string(),
        })),
        None => refuse(404, "404", "Not found"),
    }
}

fn refuse(status: u16, code: &str, words: &str) -> Reply {
    Reply::json(status, &json!({ "status": "error", "reason": words, "code": code }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;

    fn request(name: &str) -> (Bitstamp, Call) {
        let vector = vector("bitstamp", name);
        let venue = Bitstamp::new(Accounts::new(vec![Account::new("test-key", vector.text("secret"))]));
        let headers = [
            ("x-auth", "BITSTAMP test-key"),
            ("x-auth-signature", vector.signature()),
            ("x-auth-nonce", vector.text("nonce")),
            ("x-auth-timestamp", vector.text("timestamp")),
            ("x-auth-version", "v2"),
            ("content-type", vector.text("content_type")),
        ];
        let mut call = call(vector.text("method"), vector.text("path"), &headers);
        call.body = vector.text("body").into();
        call.now_ms = 1_700_000_000_000;
        (venue, call)
    }

    #[test]
    fn derived_signatures_are_accepted_once() {
        for name in ["account-balances-dummy-body", "account-balances-empty-body"] {
            let (venue, mut call) = request(name);
            let code = |call: &Call| venue.authorise(call).err().map(|(code, _)| code);
            call.now_ms += 150_001;
            assert_eq!(code(&call), Some("API0017"), "{name}");
            call.now_ms -= 1;
            assert_eq!(code(&call), None, "{name}");
            assert_eq!(code(&call), Some("API0004"), "{name}: a nonce comes once");
            call.path = "/api/v2/balance/".to_owned();
            assert_eq!(code(&call), Some("API0005"), "{name}");
        }
    }

    #[test]
    fn a_content_type_without_a_body_is_refused() {
        let (venue, mut call) = request("account-balances-dummy-body");
        call.body.clear();
        assert_eq!(venue.authorise(&call).err().map(|(code, _)| code), Some("API0020"));
    }

    #[test]
    fn answers_are_signed() {
        let vector = vector("bitstamp", "response-server-auth");
        let call = call(
            "POST",
            "/",
            &[("x-auth-nonce", vector.text("nonce")), ("x-auth-timestamp", vector.text("timestamp"))],
        );
        let account = Account::new("k", vector.text("secret"));
        let mut reply = Reply::ok(&json!({ "status": "ok" }));
        assert_eq!((reply.content_type, reply.body.as_str()), ("application/json", vector.text("response_body")));
        reply = signed(&call, &account, reply);
        assert_eq!(reply.headers, [("x-server-auth-signature", vector.signature().to_owned())]);
    }

    #[test]
    fn a_nonce_is_a_lower_case_uuid_of_version_four() {
        assert!(is_uuid_v4("f93c979d-b00d-43a9-9b9c-fd4cd9547fa6"));
        for bad in ["F93C979D-b00d-43a9-9b9c-fd4cd9547fa6", "f93c979d-b00d-13a9-9b9c-fd4cd9547fa6", "1", ""] {
            assert!(!is_uuid_v4(bad), "{bad}");
        }
    }
}
