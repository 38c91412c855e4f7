//! OKX v5 (reference: OKX docs, overview and error codes). Codes are text; some come with HTTP 200.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Reply, Venue};
use crate::accounts::{Account, Accounts};
use crate::signature::{base64_hmac_sha256_is, same};

/// How far a request's time may be from the exchange's, in milliseconds.
const WINDOW_MS: u64 = 30_000;
/// Length of `2020-12-08T09:08:57.715Z`.
const TIMESTAMP_LENGTH: usize = 24;
const PRICES: [(&str, &str); 3] = [("BTC-USDT", BTC_PRICE), ("BTC-USDT-SWAP", BTC_PRICE), ("ETH-USDT", ETH_PRICE)];

/// HTTP status, code and words of a refusal.
type Refused = (u16, &'static str, &'static str);

pub(super) struct Okx(Accounts);

impl Okx {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    fn authorise(&self, call: &Call) -> Result<&Account, Refused> {
        let key = call.header("ok-access-key");
        let key = key.ok_or((401, "50103", "Request header OK-ACCESS-KEY cannot be empty."))?;
        let passphrase = call.header("ok-access-passphrase");
        let passphrase = passphrase.ok_or((401, "50104", "Request header OK-ACCESS-PASSPHRASE cannot be empty."))?;
        let signature = call.header("ok-access-sign");
        let signature = signature.ok_or((401, "50106", "Request header OK-ACCESS-SIGN cannot be empty."))?;
        let timestamp = call.header("ok-access-timestamp");
        let timestamp = timestamp.ok_or((401, "50107", "Request header OK-ACCESS-TIMESTAMP cannot be empty."))?;

        let sent_ms = milliseconds(timestamp).ok_or((401, "50112", "Invalid OK-ACCESS-TIMESTAMP"))?;
        if sent_ms.abs_diff(call.now_ms) > WINDOW_MS {
            return Err((401, "50102", "Timestamp request expired"));
        }
        let account = self.0.find(key).ok_or((200, "50119", "API key doesn't exist"))?;
        if !account.passphrase.as_deref().is_some_and(|its| same(its, passphrase)) {
            return Err((401, "50105", "Request header OK-ACCESS-PASSPHRASE incorrect."));
        }
        let target = call.path_and_query();
        let signed = [timestamp.as_bytes(), call.method.as_str().as_bytes(), target.as_bytes(), &call.body];
        if !base64_hmac_sha256_is(account.secret.as_bytes(), &signed, signature) {
            return Err((401, "50113", "Invalid Sign"));
        }
        Ok(account)
    }

    fn private(&self, call: &Call, data: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Ok(account) => good(&data(account)),
            Err((status, code, words)) => bad(status, code, words),
        }
    }
}

impl Venue for Okx {
    fn key(&self, call: &Call) -> Option<String> {
        call.header("ok-access-key").map(str::to_owned)
    }

    fn answer(&self, call: &Call) -> Reply {
        match call.endpoint() {
            ("GET", "/api/v5/public/time") => good(&json!([{ "ts": call.now_ms.to_string() }])),
            ("GET", "/api/v5/market/ticker") => {
                let wanted = call.parameter("instId").unwrap_or_default();
                match PRICES.into_iter().find(|(symbol, _)| *symbol == wanted) {
                    Some((symbol, price)) => good(&json!([{
                        "instId": symbol, "last": price, "bidPx": price, "askPx": price, "ts": call.now_ms.to_string(),
                    }])),
                    None => bad(200, "51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist."),
                }
            }
            ("GET", "/api/v5/public/instruments") => {
                let kind = call.parameter("instType").unwrap_or_default();
                let of_kind = |symbol: &str| symbol.ends_with("-SWAP") == (kind == "SWAP");
                let found = PRICES.into_iter().filter(|(symbol, _)| of_kind(symbol));
                let found = found.map(|(symbol, _)| json!({ "instId": symbol, "instType": kind, "state": "live" }));
                good(&found.collect())
            }
            ("GET", "/api/v5/system/status") => good(&json!([])),
            ("GET", "/api/v5/account/balance") => self.private(call, |account| balance(call, account)),
            ("GET", "/api/v5/account/config") => self.private(call, |account| {
                let perm = if account.may_withdraw { "read_only,withdraw,trade" } else { "read_only,trade" };
                json!([{ "uid": "1", "mainUid": "1", "acctLv": "1", "perm": perm, "ip": "", "label": "flota" }])
            }),
            _ => bad(404, "404", "Not Found"),
        }
    }

    fn fail(&self, _: &Call) -> Reply {
        bad(500, "50026", "System error. Try again later")
    }

    fn throttle(&self, _: &Call, _: u64) -> Reply {
        bad(429, "50011", "Too Many Requests")
    }
}

/// The one form the exchange takes: ISO 8601 in UTC with milliseconds and a `Z`.
fn milliseconds(text: &str) -> Option<i64> {
    let well_formed = text.len() == TIMESTAMP_LENGTH && text.ends_with('Z') && text.get(19..20) == Some(".");
    text.parse::<Timestamp>().ok().filter(|_| well_formed).map(Timestamp::as_millisecond)
}

fn balance(call: &Call, account: &Account) -> Value {
    let details: Vec<Value> = call
        .balances(account)
        .filter(|(asset, _)| call.parameter("ccy").is_none_or(|wanted| wanted.split(',').any(|ccy| ccy == *asset)))
        .map(|(asset, free)| {
            json!({ "ccy": asset, "availBal": free, "cashBal": free, "eq": free, "availEq": "", "frozenBal": "0" })
        })
        .collect();
    json!([{ "uTime": call.now_ms.to_string(), "totalEq": "", "details": details }])
}

fn good(data: &Value) -> Reply {
    Reply::ok(&json!({ "code": "0", "msg": "", "data": data }))
}

fn bad(status: u16, code: &str, words: &str) -> Reply {
    Reply::json(status, &json!({ "code": code, "msg": words, "data": [] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::vector;
    use crate::venue::tests::call;

    #[test]
    fn derived_signatures_are_accepted_and_every_defect_has_its_code() {
        for name in ["account-balance-ccy-btc", "post-order-third-party"] {
            let vector = vector("okx-v5", name);
            let account = Account::new("k", vector.text("secret")).with_passphrase("p");
            let venue = Okx::new(Accounts::new(vec![account]));
            let sent = milliseconds(vector.text("timestamp")).unwrap();
            let ask = |change: (&str, &str), now_ms: i64| {
                let mut headers = vec![
                    ("ok-access-key", "k"),
                    ("ok-access-sign", vector.signature()),
                    ("ok-access-timestamp", vector.text("timestamp")),
                    ("ok-access-passphrase", "p"),
                ];
                headers.iter_mut().filter(|(name, _)| *name == change.0).for_each(|header| header.1 = change.1);
                let (path, query) =
                    vector.text("request_path").split_once('?').unwrap_or((vector.text("request_path"), ""));
                let mut call = call(vector.text("method"), path, &headers);
                call.query = query.to_owned();
                call.body = vector.text("body").into();
                call.now_ms = now_ms;
                venue.authorise(&call).err().map(|(_, code, _)| code)
            };
            assert_eq!(ask(("", ""), sent + 30_000), None, "{name}");
            assert_eq!(ask(("", ""), sent + 30_001), Some("50102"), "{name}");
            assert_eq!(ask(("ok-access-key", "other"), sent), Some("50119"), "{name}");
            assert_eq!(ask(("ok-access-passphrase", "other"), sent), Some("50105"), "{name}");
            assert_eq!(ask(("ok-access-passphrase", ""), sent), Some("50104"), "{name}");
            assert_eq!(ask(("ok-access-timestamp", "1607418537715"), sent), Some("50112"), "{name}");
            assert_eq!(ask(("ok-access-timestamp", "2020-12-08T09:08:57.716Z"), sent), Some("50113"), "{name}");
        }
    }
}
