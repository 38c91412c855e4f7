//! KuCoin (reference: Kucoin/kucoin-api-docs, Signing a Message; kucoin.com/docs-new/rate-limit). The HTTP status of its
//! 4000xx codes is not documented; it is 401 here.

use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Reply, Usage, Venue};
use crate::accounts::{Account, Accounts};
use crate::signature::{base64_hmac_sha256_is, same};

/// How far a request's time may be from the exchange's, in milliseconds.
const WINDOW_MS: u64 = 5000;
/// The pool for public calls and the one for calls about the account, in weight over 30 s (VIP0).
const POOL: u32 = 2000;
/// The length of a pool's window, in milliseconds.
const POOL_MS: u32 = 30_000;
const PRICES: [(&str, &str); 2] = [("BTC-USDT", BTC_PRICE), ("ETH-USDT", ETH_PRICE)];

pub(super) struct Kucoin(Accounts);

impl Kucoin {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    /// The account that signed, or code and words of the refusal.
    fn authorise(&self, call: &Call) -> Result<&Account, (&'static str, &'static str)> {
        let missing = "Please check the header of your request for KC-API-KEY, KC-API-SIGN, KC-API-TIMESTAMP, \
                       KC-API-PASSPHRASE";
        let named = |name| call.header(name).ok_or(("400001", missing));
        let key = named("kc-api-key")?;
        let signature = named("kc-api-sign")?;
        let timestamp = named("kc-api-timestamp")?;
        let passphrase = named("kc-api-passphrase")?;

        let sent: Option<i64> = timestamp.parse().ok();
        if sent.is_none_or(|sent| sent.abs_diff(call.now_ms) > WINDOW_MS) {
            return Err(("400002", "Invalid KC-API-TIMESTAMP"));
        }
        let account = self.0.find(key).ok_or(("400003", "KC-API-KEY not exists"))?;
        if !passphrase_is_right(account, passphrase, call.header("kc-api-key-version")) {
            return Err(("400004", "Invalid KC-API-PASSPHRASE"));
        }
        let target = call.path_and_query();
        let signed = [timestamp.as_bytes(), call.method.as_str().as_bytes(), target.as_bytes(), &call.body];
        if !base64_hmac_sha256_is(account.secret.as_bytes(), &signed, signature) {
            return Err(("400005", "Invalid KC-API-SIGN"));
        }
        Ok(account)
    }

    fn private(&self, call: &Call, data: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Ok(account) => good(&data(account)),
            Err((code, words)) => bad(401, code, words),
        }
    }
}

impl Venue for Kucoin {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("kc-api-key").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/api/v1/timestamp") => good(&json!(call.now_ms)),
            ("GET", "/api/v1/status") => good(&json!({ "status": "open", "msg": "" })),
            ("GET", "/api/v1/market/orderbook/level1") => {
                let wanted = call.parameter("symbol").unwrap_or_default();
                // An unknown symbol is a success without data.
                good(&PRICES.into_iter().find(|(symbol, _)| *symbol == wanted).map_or(Value::Null, |(_, price)| {
                    json!({ "time": call.now_ms, "price": price, "size": "0.01", "bestBid": price, "bestAsk": price })
                }))
            }
            ("GET", "/api/v2/symbols") => {
                good(&PRICES.map(|(symbol, _)| json!({ "symbol": symbol, "enableTrading": true })).to_vec().into())
            }
            ("GET", "/api/v1/accounts") => self.private(call, |account| {
                let kind = call.parameter("type").unwrap_or("trade");
                let wanted = call.parameter("currency");
                call.balances(account)
                    .filter(|(asset, _)| kind == "trade" && wanted.is_none_or(|wanted| wanted == *asset))
                    .map(|(asset, free)| {
                        let id = format!("wallet-{asset}");
                        json!({
                            "id": id, "currency": asset, "type": kind, "balance": free, "available": free, "holds": "0",
                        })
                    })
                    .collect()
            }),
            ("GET", "/api/v1/user/api-key") => self.private(call, |account| {
                let permission = if account.may_withdraw { "General,Spot,Transfer" } else { "General,Spot" };
                json!({
                    "remark": "flota", "apiKey": account.key_id, "apiVersion": 3, "permission": permission,
                    "ipWhitelist": "", "createdAt": 1_700_000_000_000_i64, "uid": 1, "isMaster": true,
                })
            }),
            _ => bad(404, "404", "Not Found"),
        }
    }

    fn fail(&self, _: &Call) -> Reply {
        bad(500, "500000", "Internal Server Error")
    }

    fn throttle(&self, _: &Call, retry_after_s: u64) -> Reply {
        bad(429, "429000", "Too many requests in a short period of time, please retry later")
            .with("gw-ratelimit-remaining", "0")
            .with("gw-ratelimit-reset", retry_after_s.saturating_mul(1000).to_string())
    }

    fn weight(&self, path: &str) -> u32 {
        match path {
            "/api/v1/accounts" => 5,
            "/api/v1/user/api-key" => 20,
            _ => 1,
        }
    }

    fn headroom(&self, _: &Call, usage: Usage) -> Vec<(&'static str, String)> {
        vec![
            ("gw-ratelimit-limit", POOL.to_string()),
            ("gw-ratelimit-remaining", POOL.saturating_sub(usage.of_the_connection()).to_string()),
            ("gw-ratelimit-reset", POOL_MS.to_string()),
        ]
    }
}

/// Keys of version 2 and 3 send the passphrase as an HMAC of itself, keys of version 1 as it is.
fn passphrase_is_right(account: &Account, sent: &str, version: Option<&str>) -> bool {
    let Some(passphrase) = &account.passphrase else { return false };
    match version {
        None | Some("1") => same(passphrase, sent),
        Some("2" | "3") => base64_hmac_sha256_is(account.secret.as_bytes(), &[passphrase.as_bytes()], sent),
        Some(_) => false,
    }
}

fn good(data: &Value) -> Reply {
    Reply::ok(&json!({ "code": "200000", "data": data }))
}

fn bad(status: u16, code: &str, words: &str) -> Reply {
    Reply::json(status, &json!({ "code": code, "msg": words }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_published_signature_is_accepted_and_every_defect_has_its_code() {
        let vector = vector("kucoin", "deposit-addresses-sign");
        let account = Account::new("k", vector.text("secret")).with_passphrase("p");
        let venue = Kucoin::new(Accounts::new(vec![account]));
        let ask = |change: (&str, &str), late_ms: i64| {
            let mut headers = vec![
                ("kc-api-key", "k"),
                ("kc-api-sign", vector.signature()),
                ("kc-api-timestamp", vector.text("timestamp")),
                ("kc-api-passphrase", "p"),
                ("kc-api-key-version", "1"),
            ];
            headers.iter_mut().filter(|(name, _)| *name == change.0).for_each(|header| header.1 = change.1);
            let mut call = call(vector.text("method"), vector.text("path"), &headers);
            call.body = vector.text("body").into();
            call.now_ms = vector.text("timestamp").parse::<i64>().unwrap() + late_ms;
            venue.authorise(&call).err().map(|(code, _)| code)
        };
        assert_eq!(ask(("", ""), 5000), None);
        assert_eq!(ask(("", ""), 5001), Some("400002"));
        assert_eq!(ask(("", ""), -5001), Some("400002"));
        assert_eq!(ask(("kc-api-key", ""), 0), Some("400001"));
        assert_eq!(ask(("kc-api-key", "other"), 0), Some("400003"));
        assert_eq!(ask(("kc-api-passphrase", "other"), 0), Some("400004"));
        assert_eq!(ask(("kc-api-key-version", "2"), 0), Some("400004"), "plain is for version 1");
        assert_eq!(ask(("kc-api-sign", "AAAA"), 0), Some("400005"));
        assert_eq!(ask(("kc-api-timestamp", "1547015186533"), 0), Some("400005"));
    }

    #[test]
    fn a_passphrase_of_version_two_is_an_hmac_of_itself() {
        let vector = vector("kucoin", "sdk-signer-primitive");
        let account = Account::new("k", vector.text("secret")).with_passphrase(vector.string_to_sign());
        for version in ["2", "3"] {
            assert!(passphrase_is_right(&account, vector.signature(), Some(version)));
            assert!(!passphrase_is_right(&account, vector.string_to_sign(), Some(version)));
        }
        // What is printed beside the published signature: plain base64, no HMAC.
        assert!(!passphrase_is_right(&account, &STANDARD.encode(vector.string_to_sign()), Some("2")));
    }
}
