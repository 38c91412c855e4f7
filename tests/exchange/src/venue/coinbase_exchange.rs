//! Coinbase Exchange (reference: docs.cdp.coinbase.com/exchange, REST authentication). It has no endpoint that tells a
//! key's permissions and no header that tells its headroom.

use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Reply, Venue};
use crate::accounts::{Account, Accounts};
use crate::signature::{base64_hmac_sha256_is, decoded_secret, same};

/// How far a request's time may be from the exchange's, in milliseconds.
const WINDOW_MS: u64 = 30_000;
const PRODUCTS: [(&str, &str); 3] = [("BTC-USD", BTC_PRICE), ("BTC-USDT", BTC_PRICE), ("ETH-USD", ETH_PRICE)];

pub(super) struct CoinbaseExchange(Accounts);

impl CoinbaseExchange {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    /// The account that signed, or HTTP status and words of the refusal.
    fn authorise(&self, call: &Call) -> Result<&Account, (u16, &'static str)> {
        let key = call.header("cb-access-key").ok_or((401, "CB-ACCESS-KEY header is required"))?;
        let signature = call.header("cb-access-sign").ok_or((401, "CB-ACCESS-SIGN header is required"))?;
        let timestamp = call.header("cb-access-timestamp").ok_or((401, "CB-ACCESS-TIMESTAMP header is required"))?;
        let passphrase = call.header("cb-access-passphrase").ok_or((401, "CB-ACCESS-PASSPHRASE header is required"))?;

        let sent_ms = milliseconds(timestamp).ok_or((400, "invalid timestamp"))?;
        if sent_ms.abs_diff(call.now_ms) > WINDOW_MS {
            return Err((400, "request timestamp expired"));
        }
        let account = self.0.find(key).ok_or((401, "Invalid API Key"))?;
        if !account.passphrase.as_deref().is_some_and(|its| same(its, passphrase)) {
            return Err((401, "Invalid Passphrase"));
        }
        let target = call.path_and_query();
        let signed = [timestamp.as_bytes(), call.method.as_str().as_bytes(), target.as_bytes(), &call.body];
        if !base64_hmac_sha256_is(&decoded_secret(&account.secret), &signed, signature) {
            return Err((401, "invalid signature"));
        }
        Ok(account)
    }
}

impl Venue for CoinbaseExchange {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("cb-access-key").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/time") => {
                let epoch = format!("{}.{:03}", call.now_ms.div_euclid(1000), call.now_ms.rem_euclid(1000));
                Reply::ok(&json!({ "iso": call.iso_now(), "epoch": super::number(&epoch) }))
            }
            ("GET", "/products") => Reply::ok(&PRODUCTS.map(product).to_vec().into()),
            ("GET", "/accounts") => match self.authorise(call) {
                Ok(account) => Reply::ok(&call.balances(account).map(wallet).collect()),
                Err((status, words)) => message(status, words),
            },
            ("GET", path) => market(call, path),
            _ => message(404, "NotFound"),
        }
    }

    fn fail(&self, _: &Call) -> Reply {
        message(500, "Internal server error")
    }

    fn throttle(&self, call: &Call, _: u64) -> Reply {
        let private = call.header("cb-access-key").is_some();
        message(429, if private { "Private rate limit exceeded" } else { "Public rate limit exceeded" })
    }
}

/// Seconds with or without decimals, as milliseconds.
fn milliseconds(text: &str) -> Option<i64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths: i64 = format!("{decimals:0<3}").get(..3)?.parse().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(thousandths)
}

fn wallet((asset, free): (&str, &str)) -> Value {
    json!({
        "id": format!("wallet-{asset}"), "currency": asset, "balance": free, "hold": "0.0000000000000000",
        "available": free, "profile_id": "00000000-0000-4000-8000-000000000001", "trading_enabled": true,
    })
}

fn product((id, _): (&str, &str)) -> Value {
    json!({ "id": id, "status": "online", "trading_disabled": false, "cancel_only": false, "post_only": false })
}

/// `/products/<id>` and `/products/<id>/ticker`.
fn market(call: &Call, path: &str) -> Reply {
    let rest = path.strip_prefix("/products/").unwrap_or_default();
    let (wanted, ticker) = rest.strip_suffix("/ticker").map_or((rest, false), |wanted| (wanted, true));
    match PRODUCTS.into_iter().find(|(id, _)| *id == wanted) {
        Some((_, price)) if ticker => Reply::ok(&json!({
            "trade_id": 1, "price": price, "size": "0.01", "bid": price, "ask": price, "volume": "1.0",
            "time": call.iso_now(),
        })),
        Some(found) => Reply::ok(&product(found)),
        None => message(404, "NotFound"),
    }
}

fn message(status: u16, words: &str) -> Reply {
    Reply::json(status, &json!({ "message": words }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;

    #[test]
    fn the_derived_signature_is_accepted_and_every_defect_named() {
        let vector = vector("coinbase-exchange", "accounts");
        let account = Account::new("test-key", vector.text("secret")).with_passphrase(vector.text("passphrase"));
        let venue = CoinbaseExchange::new(Accounts::new(vec![account]));
        let ask = |change: (&str, &str), now_ms: i64| {
            let mut headers = vec![
                ("cb-access-key", "test-key"),
                ("cb-access-sign", vector.signature()),
                ("cb-access-timestamp", vector.text("timestamp")),
                ("cb-access-passphrase", "test-pass"),
            ];
            headers.iter_mut().filter(|(name, _)| *name == change.0).for_each(|header| header.1 = change.1);
            let mut call = call("GET", vector.text("path"), &headers);
            call.now_ms = now_ms;
            venue.authorise(&call).err().map(|(_, words)| words)
        };
        let now = 1_700_000_000_000;
        assert_eq!(ask(("", ""), now + 30_000), None);
        assert_eq!(ask(("", ""), now + 30_001), Some("request timestamp expired"));
        assert_eq!(ask(("", ""), now - 30_001), Some("request timestamp expired"));
        assert_eq!(ask(("cb-access-key", "other"), now), Some("Invalid API Key"));
        assert_eq!(ask(("cb-access-passphrase", "other"), now), Some("Invalid Passphrase"));
        assert_eq!(ask(("cb-access-timestamp", "1700000000.5"), now), Some("invalid signature"));
        assert_eq!(ask(("cb-access-timestamp", "soon"), now), Some("invalid timestamp"));
        assert_eq!(ask(("cb-access-passphrase", ""), now), Some("CB-ACCESS-PASSPHRASE header is required"));
    }
}
