//! Binance USD-M futures (reference: developers.binance.com, general-info). Signed as spot is.

use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Reply, Usage, Venue};
use crate::accounts::{Account, Accounts, Refusal};
use crate::binance::restrictions;

/// `REQUEST_WEIGHT` a minute and address, as read from the live exchange.
const WEIGHT_LIMIT: u32 = 2400;
const PRICES: [(&str, &str); 2] = [("BTCUSDT", BTC_PRICE), ("ETHUSDT", ETH_PRICE)];

pub(super) struct BinanceFutures(Accounts);

impl BinanceFutures {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    /// What is signed is the query and then the body, with nothing between; this exchange's reads have no body.
    fn authorise(&self, call: &Call) -> Result<&Account, Refusal> {
        let query = [call.query.as_bytes(), &call.body].concat();
        self.0.authorise(call.header("x-mbx-apikey"), &String::from_utf8_lossy(&query), call.now_ms)
    }

    fn private(&self, call: &Call, body: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Ok(account) => Reply::ok(&body(account)),
            Err(refusal) => {
                let (status, code, words) = refusal.as_binance();
                refuse(status, code, words)
            }
        }
    }
}

impl Venue for BinanceFutures {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("x-mbx-apikey").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/fapi/v1/ping") => Reply::ok(&json!({})),
            ("GET", "/fapi/v1/time") => Reply::ok(&json!({ "serverTime": call.now_ms })),
            ("GET", "/fapi/v1/ticker/price" | "/fapi/v2/ticker/price") => ticker(call),
            ("GET", "/fapi/v1/exchangeInfo") => Reply::ok(&exchange_info(call)),
            ("GET", "/fapi/v2/balance" | "/fapi/v3/balance") => self.private(call, |account| {
                call.balances(account)
                    .map(|(asset, free)| {
                        json!({
                            "accountAlias": "SgsR", "asset": asset, "balance": free, "crossWalletBalance": free,
                            "crossUnPnl": "0.00000000", "availableBalance": free, "maxWithdrawAmount": free,
                            "marginAvailable": true, "updateTime": call.now_ms,
                        })
                    })
                    .collect()
            }),
            ("GET", "/fapi/v2/account" | "/fapi/v3/account") => self.private(call, |account| {
                let assets: Vec<Value> = call
                    .balances(account)
                    .map(|(asset, free)| json!({ "asset": asset, "walletBalance": free, "availableBalance": free }))
                    .collect();
                json!({ "assets": assets, "positions": [] })
            }),
            // About the account, not about the key: a client that reads it as the key's permission is wrong.
            ("GET", "/fapi/v1/accountConfig") => self.private(
                call,
                |_| json!({ "feeTier": 0, "canTrade": true, "canDeposit": true, "canWithdraw": true, "updateTime": 0 }),
            ),
            ("GET", "/sapi/v1/account/apiRestrictions") => self.private(call, restrictions),
            ("GET", "/sapi/v1/system/status") => Reply::ok(&json!({ "status": 0, "msg": "normal" })),
            _ => refuse(404, -5000, "Path is invalid."),
        }
    }

    /// The meaning "failed" of the three that 503 has here.
    fn fail(&self, _: &Call) -> Reply {
        refuse(503, -1000, "Service Unavailable.")
    }

    /// Without `Retry-After`, which is not promised here.
    fn throttle(&self, _: &Call, _: u64) -> Reply {
        refuse(429, -1003, "Too many requests; current limit of IP is 2400 requests per minute.")
    }

    fn weight(&self, path: &str) -> u32 {
        match path {
            "/fapi/v2/balance" | "/fapi/v3/balance" | "/fapi/v2/account" | "/fapi/v3/account" => 5,
            _ => 1,
        }
    }

    fn headroom(&self, _: &Call, usage: Usage) -> Vec<(&'static str, String)> {
        vec![("x-mbx-used-weight-1m", usage.of_the_connection().to_string())]
    }
}

fn ticker(call: &Call) -> Reply {
    let entry = |(symbol, price): (&str, &str)| json!({ "symbol": symbol, "price": price, "time": call.now_ms });
    match call.parameter("symbol") {
        None => Reply::ok(&PRICES.map(entry).to_vec().into()),
        Some(wanted) => match PRICES.into_iter().find(|(symbol, _)| *symbol == wanted) {
            Some(price) => Reply::ok(&entry(price)),
            None => refuse(400, -1121, "Invalid symbol."),
        },
    }
}

fn exchange_info(call: &Call) -> Value {
    json!({
        "timezone": "UTC",
        "serverTime": call.now_ms,
        "rateLimits": [
            { "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_LIMIT },
            { "rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200 },
        ],
        "exchangeFilters": [],
        "symbols": PRICES.map(|(symbol, _)| {
            json!({ "symbol": symbol, "status": "TRADING", "contractType": "PERPETUAL" })
        }),
    })
}

fn refuse(status: u16, code: i32, words: &str) -> Reply {
    Reply::json(status, &json!({ "code": code, "msg": words }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;

    #[test]
    fn published_signatures_are_accepted() {
        for (name, signed_in_the_body) in [("order-hmac", true), ("order-hmac", false), ("balance-v3", false)] {
            let vector = vector("binance-usdm", name);
            let key = vector.text("api_key");
            let venue = BinanceFutures::new(Accounts::new(vec![Account::new(key, vector.text("secret"))]));
            let signed = format!("{}&signature={}", vector.string_to_sign(), vector.signature());
            let mut call = call(vector.text("method"), vector.text("path"), &[("x-mbx-apikey", key)]);
            call.now_ms = vector.text("timestamp").parse().unwrap();
            if signed_in_the_body {
                call.body = signed.into_bytes();
            } else {
                call.query = signed;
            }
            assert!(venue.authorise(&call).is_ok(), "{name}");
            call.now_ms += 5001;
            assert_eq!(venue.authorise(&call).err(), Some(Refusal::TooOld), "{name}");
        }
    }
}
