//! Kraken futures (reference: docs.kraken.com, futures REST; krakenfx/api-go). Every answer carries `serverTime`.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{BTC_PRICE, Call, ETH_PRICE, Nonces, Reply, Venue, number};
use crate::accounts::{Account, Accounts};
use crate::signature::{decoded_secret, hmac_sha512_is};

/// Nonces remembered of each key. Older ones than these are below the threshold.
const REMEMBERED_NONCES: usize = 1000;
const CHECK_PATH: &str = "/api/auth/v1/api-keys/v3/check";
const MARKETS: [(&str, &str); 2] = [("PF_XBTUSD", BTC_PRICE), ("PF_ETHUSD", ETH_PRICE)];

pub(super) struct KrakenFutures {
    accounts: Accounts,
    nonces: Nonces<BTreeSet<u64>>,
}

impl KrakenFutures {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self { accounts, nonces: Nonces::default() }
    }

    /// The account that signed, or the name of the error. What is signed is the text as sent, and the path without
    /// `/derivatives`; the nonce is optional.
    fn authorise(&self, call: &Call) -> Result<&Account, &'static str> {
        const REFUSED: &str = "authenticationError";
        let account = call.header("apikey").and_then(|key| self.accounts.find(key)).ok_or(REFUSED)?;
        let path = call.path.strip_prefix("/derivatives").unwrap_or(&call.path);
        let digest = Sha256::new()
            .chain_update(call.query.as_bytes())
            .chain_update(&call.body)
            .chain_update(call.header_bytes("nonce"))
            .chain_update(path.as_bytes())
            .finalize();
        let signature = call.header("authent").and_then(|text| STANDARD.decode(text).ok()).ok_or(REFUSED)?;
        if !hmac_sha512_is(&decoded_secret(&account.secret), &[&digest], &signature) {
            return Err(REFUSED);
        }
        if let Some(nonce) = call.header("nonce") {
            self.use_up(&account.key_id, nonce.parse().map_err(|_| REFUSED)?)?;
        }
        Ok(account)
    }

    fn use_up(&self, key: &str, nonce: u64) -> Result<(), &'static str> {
        let mut nonces = self.nonces.lock();
        let used = nonces.entry(key.to_owned()).or_default();
        if used.len() >= REMEMBERED_NONCES && used.first().is_some_and(|oldest| nonce < *oldest) {
            return Err("nonceBelowThreshold");
        }
        if !used.insert(nonce) {
            return Err("nonceDuplicate");
        }
        if used.len() > REMEMBERED_NONCES {
            used.pop_first();
        }
        Ok(())
    }

    fn accounts(&self, call: &Call) -> Reply {
        let account = match self.authorise(call) {
            Ok(account) => account,
            Err(error) => return bad(200, call, error),
        };
        let name = |asset: &str| if asset == "BTC" { "XBT".to_owned() } else { asset.to_owned() };
        let cash: Map<String, Value> =
            call.balances(account).map(|(asset, free)| (name(asset).to_lowercase(), number(free))).collect();
        let flex: Map<String, Value> = call
            .balances(account)
            .map(|(asset, free)| (name(asset), json!({ "quantity": number(free), "available": number(free) })))
            .collect();
        good(
            call,
            &json!({
                "accounts": {
                    "cash": { "type": "cashAccount", "balances": cash },
                    "flex": { "type": "multiCollateralMarginAccount", "currencies": flex },
                },
            }),
        )
    }

    fn check(&self, call: &Call) -> Reply {
        let Ok(account) = self.authorise(call) else {
            let body = json!({ "error": "Unauthorized", "message": "Invalid API key or signature", "suberror": null });
            return Reply::json(401, &body);
        };
        let transfer = if account.may_withdraw { "FULL_ACCESS" } else { "NO_ACCESS" };
        Reply::ok(&json!({
            "permissions": { "general": "FULL_ACCESS", "transfer": transfer },
            "allowedCidrBlock": null, "allowedCidrBlocks": [], "iiban": "AA00 N84G 0000 0000",
            "createdAt": "2026-01-01T00:00:00.000Z",
        }))
    }
}

impl Venue for KrakenFutures {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("apikey").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        if call.endpoint() == ("GET", CHECK_PATH) {
            return self.check(call);
        }
        let ("GET", Some(path)) = (call.method.as_str(), call.path.strip_prefix("/derivatives/api/v3")) else {
            return bad(404, call, "notFound");
        };
        match path {
            "/tickers" => good(call, &json!({ "tickers": MARKETS.map(ticker) })),
            "/instruments" => {
                let instrument = |(symbol, _)| json!({ "symbol": symbol, "tradeable": true });
                good(call, &json!({ "instruments": MARKETS.map(instrument) }))
            }
            "/instruments/status" => {
                let status = |(symbol, _)| json!({ "tradeable": symbol, "experiencingDislocation": false });
                good(call, &json!({ "instrumentStatus": MARKETS.map(status) }))
            }
            "/accounts" => self.accounts(call),
            _ => match path.strip_prefix("/tickers/") {
                Some(wanted) => match MARKETS.into_iter().find(|(symbol, _)| symbol.eq_ignore_ascii_case(wanted)) {
                    Some(market) => good(call, &json!({ "ticker": ticker(market) })),
                    None => bad(404, call, "contractNotFound"),
                },
                None => bad(404, call, "notFound"),
            },
        }
    }

    fn fail(&self, call: &Call) -> Reply {
        bad(500, call, "Server Error")
    }

    fn throttle(&self, call: &Call, _: u64) -> Reply {
        bad(429, call, "apiLimitExceeded")
    }
}

fn ticker((symbol, price): (&str, &str)) -> Value {
    let price = number(price);
    json!({ "symbol": symbol, "last": price, "markPrice": price, "bid": price, "ask": price, "suspended": false })
}

fn good(call: &Call, fields: &Value) -> Reply {
    let mut body = json!({ "result": "success", "serverTime": call.iso_now() });
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields.clone());
    }
    Reply::ok(&body)
}

fn bad(status: u16, call: &Call, error: &str) -> Reply {
    Reply::json(status, &json!({ "result": "error", "error": error, "serverTime": call.iso_now() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;

    #[test]
    fn derived_signatures_are_accepted() {
        for name in ["orderbook-with-nonce", "orderbook-no-nonce", "accounts-no-nonce", "accounts-with-nonce"] {
            let vector = vector("kraken-futures", name);
            let venue = KrakenFutures::new(Accounts::new(vec![Account::new("k", vector.text("secret"))]));
            let nonce = vector.text("nonce");
            let path = format!("/derivatives{}", vector.text("path"));
            let mut call = call("GET", &path, &[("apikey", "k"), ("authent", vector.signature()), ("nonce", nonce)]);
            call.query = vector.text("post_data").to_owned();
            assert!(venue.authorise(&call).is_ok(), "{name}");
            let again = if nonce.is_empty() { None } else { Some("nonceDuplicate") };
            assert_eq!(venue.authorise(&call).err(), again, "{name}");
            call.query.push('x');
            assert_eq!(venue.authorise(&call).err(), Some("authenticationError"), "{name}");
        }
    }
}
