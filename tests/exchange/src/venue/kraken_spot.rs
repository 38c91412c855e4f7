//! Kraken spot (reference: docs.kraken.com, spot REST authentication). Errors come with HTTP 200.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{BTC_PRICE, Call, ETH_PRICE, Nonces, Reply, Venue};
use crate::accounts::{Account, Accounts, parameter};
use crate::signature::{decoded_secret, hmac_sha512_is};

/// Name in a request (altname), name in the answer, wsname, price. The older pairs are answered by a longer name.
const PAIRS: [(&str, &str, &str, &str); 4] = [
    ("XBTUSDT", "XBTUSDT", "XBT/USDT", BTC_PRICE),
    ("XBTUSD", "XXBTZUSD", "XBT/USD", BTC_PRICE),
    ("ETHUSDT", "ETHUSDT", "ETH/USDT", ETH_PRICE),
    ("ETHUSD", "XETHZUSD", "ETH/USD", ETH_PRICE),
];

pub(super) struct KrakenSpot {
    accounts: Accounts,
    /// The last nonce of each key.
    nonces: Nonces<u64>,
}

impl KrakenSpot {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self { accounts, nonces: Nonces::default() }
    }

    /// The account that signed, or the words of the refusal. Only a rightly signed nonce is used up.
    fn authorise(&self, call: &Call) -> Result<&Account, &'static str> {
        let account = call.header("api-key").and_then(|key| self.accounts.find(key)).ok_or("EAPI:Invalid key")?;
        let nonce = nonce(&call.body).ok_or("EAPI:Invalid nonce")?;
        let digest = Sha256::new().chain_update(nonce.as_bytes()).chain_update(&call.body).finalize();
        let signature = call.header("api-sign").and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.ok_or("EAPI:Invalid signature")?;
        if !hmac_sha512_is(&decoded_secret(&account.secret), &[call.path.as_bytes(), &digest], &signature) {
            return Err("EAPI:Invalid signature");
        }

        let nonce: u64 = nonce.parse().map_err(|_| "EAPI:Invalid nonce")?;
        let mut nonces = self.nonces.lock();
        if nonces.get(&account.key_id).is_some_and(|last| nonce <= *last) {
            return Err("EAPI:Invalid nonce");
        }
        nonces.insert(account.key_id.clone(), nonce);
        Ok(account)
    }

    fn private(&self, call: &Call, result: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Ok(account) => good(&result(account)),
            Err(words) => bad(words),
        }
    }
}

impl Venue for KrakenSpot {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("api-key").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/0/public/Time") => {
                good(&json!({ "unixtime": call.now_ms.div_euclid(1000), "rfc1123": super::http_date(call.now_ms) }))
            }
            ("GET", "/0/public/SystemStatus") => good(&json!({ "status": "online", "timestamp": call.iso_now() })),
            ("GET", "/0/public/Ticker") => pairs(call, |price| {
                json!({
                    "a": [price, "1", "1.000"], "b": [price, "1", "1.000"], "c": [price, "0.01000000"],
                    "v": ["1.0", "2.0"], "p": [price, price], "t": [1, 2], "l": [price, price], "h": [price, price],
                    "o": price,
                })
            }),
            ("GET", "/0/public/AssetPairs") => {
                let pairs = PAIRS.map(|(altname, name, wsname, _)| {
                    (name.to_owned(), json!({ "altname": altname, "wsname": wsname, "status": "online" }))
                });
                good(&Value::Object(pairs.into_iter().collect()))
            }
            ("POST", "/0/private/Balance") => self.private(call, |account| {
                call.balances(account).map(|(asset, free)| (kraken_name(asset).to_owned(), Value::from(free))).collect()
            }),
            ("POST", "/0/private/BalanceEx") => self.private(call, |account| {
                let balances = call.balances(account).map(|(asset, free)| {
                    (kraken_name(asset).to_owned(), json!({ "balance": free, "hold_trade": "0.0000000000" }))
                });
                Value::Object(balances.collect())
            }),
            ("POST", "/0/private/GetApiKeyInfo") => self.private(call, key_info),
            _ => bad("EGeneral:Unknown method"),
        }
    }

    fn fail(&self, _: &Call) -> Reply {
        bad("EService:Unavailable")
    }

    /// With a time to wait it is the service that throttles, without one the key's own counter.
    fn throttle(&self, call: &Call, retry_after_s: u64) -> Reply {
        if retry_after_s == 0 {
            return bad("EAPI:Rate limit exceeded");
        }
        let until = call.now_ms.div_euclid(1000).saturating_add_unsigned(retry_after_s);
        bad(&format!("EService:Throttled:{until}"))
    }
}

/// The text of the nonce in a form or in a JSON body, as it was signed.
fn nonce(body: &[u8]) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    if !body.trim_start().starts_with('{') {
        return parameter(body, "nonce").map(str::to_owned);
    }
    match serde_json::from_str::<Map<String, Value>>(body).ok()?.remove("nonce")? {
        Value::String(nonce) => Some(nonce),
        Value::Number(nonce) => Some(nonce.to_string()),
        _ => None,
    }
}

fn key_info(account: &Account) -> Value {
    let mut permissions = vec!["query-funds", "query-open-trades", "query-closed-trades", "modify-trades"];
    if account.may_withdraw {
        permissions.push("withdraw-funds");
    }
    json!({
        "apiKeyName": "flota", "apiKey": account.key_id, "nonceWindow": "0", "permissions": permissions,
        "ipAllowlist": [], "validUntil": "0", "lastUsed": "0",
    })
}

fn pairs(call: &Call, of_price: impl Fn(&str) -> Value) -> Reply {
    let Some(wanted) = call.parameter("pair") else {
        return good(&PAIRS.iter().map(|(_, name, _, price)| ((*name).to_owned(), of_price(price))).collect());
    };
    match PAIRS.iter().find(|(altname, name, ..)| [*altname, *name].contains(&wanted)) {
        Some((_, name, _, price)) => good(&json!({ *name: of_price(price) })),
        None => bad("EQuery:Unknown asset pair"),
    }
}

/// Kraken's own names: X before the older coins, Z before money.
fn kraken_name(asset: &str) -> &str {
    match asset {
        "BTC" | "XBT" => "XXBT",
        "ETH" => "XETH",
        "USD" => "ZUSD",
        "EUR" => "ZEUR",
        _ => asset,
    }
}

fn good(result: &Value) -> Reply {
    Reply::ok(&json!({ "error": [], "result": result }))
}

fn bad(words: &str) -> Reply {
    Reply::ok(&json!({ "error": [words] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;

    #[test]
    fn the_published_signature_is_accepted_once() {
        let vector = vector("kraken-spot", "addorder");
        let venue = KrakenSpot::new(Accounts::new(vec![Account::new("k", vector.text("secret"))]));
        let mut call = call("POST", vector.text("path"), &[("api-key", "k"), ("api-sign", vector.signature())]);
        call.body = vector.text("body").into();
        assert!(venue.authorise(&call).is_ok());
        assert_eq!(venue.authorise(&call).err(), Some("EAPI:Invalid nonce"), "a nonce must grow");

        call.body = vector.text("body").replace("37500", "37501").into();
        assert_eq!(venue.authorise(&call).err(), Some("EAPI:Invalid signature"));
        call.body = vector.text("body").replace("nonce", "once").into();
        assert_eq!(venue.authorise(&call).err(), Some("EAPI:Invalid nonce"));
        call.path = format!("/kraken_spot{}", call.path);
        call.body = vector.text("body").into();
        assert_eq!(venue.authorise(&call).err(), Some("EAPI:Invalid signature"), "the prefix is not signed");
    }

    #[test]
    fn the_nonce_may_stand_in_json() {
        assert_eq!(nonce(br#"{"nonce": 1616492376594, "a": 1}"#).as_deref(), Some("1616492376594"));
        assert_eq!(nonce(br#"{"nonce": "7"}"#).as_deref(), Some("7"));
        assert_eq!(nonce(b"a=b"), None);
    }
}
