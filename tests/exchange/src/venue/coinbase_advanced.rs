//! Coinbase Advanced Trade (reference: coinbase/coinbase-advanced-py, jwt_generator.py). Every request carries its own
//! JSON Web Token; whatever is wrong with it, the answer is the bare word "Unauthorized".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{BTC_PRICE, Call, ETH_PRICE, Reply, Usage, Venue};
use crate::accounts::{Account, Accounts};
use crate::signature::{KeyKind, PublicKey};

/// The host in a token's `uri`.
const HOST: &str = "api.coinbase.com";
/// Longest life of a token, in seconds.
const LIFETIME_S: i64 = 120;
/// Requests a second of a key; the number is from secondary sources.
const LIMIT: u32 = 30;
const PRODUCTS: [(&str, &str); 4] =
    [("BTC-USD", BTC_PRICE), ("BTC-USDT", BTC_PRICE), ("BTC-USDC", BTC_PRICE), ("ETH-USD", ETH_PRICE)];

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    nonce: String,
    typ: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    nbf: i64,
    exp: i64,
    uri: String,
}

pub(super) struct CoinbaseAdvanced(Accounts);

impl CoinbaseAdvanced {
    pub(super) fn new(accounts: Accounts) -> Self {
        Self(accounts)
    }

    /// The account that signed the request's token, if everything about the token is right.
    fn authorise(&self, call: &Call) -> Option<&Account> {
        let (signed, signature) = token(call)?.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = part(header)?;
        let claims: Claims = part(claims)?;
        let account = self.0.find(&header.kid)?;
        let key = PublicKey::from_pem(account.public_key_pem.as_deref()?)?;
        let algorithm = match key.kind() {
            KeyKind::Ed25519 => "EdDSA",
            KeyKind::P256 => "ES256",
        };
        let now = call.now_ms.div_euclid(1000);
        let right = header.alg == algorithm
            && !header.nonce.is_empty()
            && header.typ.is_none_or(|typ| typ == "JWT")
            && claims.sub == header.kid
            && claims.iss == "cdp"
            && claims.nbf <= now
            && now < claims.exp
            && claims.exp.saturating_sub(claims.nbf) <= LIFETIME_S
            && claims.uri == format!("{} {HOST}{}", call.method, call.path)
            && key.verifies(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?);
        right.then_some(account)
    }

    fn private(&self, call: &Call, body: impl FnOnce(&Account) -> Value) -> Reply {
        match self.authorise(call) {
            Some(account) => Reply::ok(&body(account)),
            None => Reply::text(401, "Unauthorized"),
        }
    }
}

impl Venue for CoinbaseAdvanced {
    fn key(&self, call: &Call) -> Option<String> {
        Some(part::<Header>(token(call)?.split_once('.')?.0)?.kid)
    }

    fn answer(&self, call: &Call) -> Reply {
        let ("GET", Some(path)) = (call.method.as_str(), call.path.strip_prefix("/api/v3/brokerage")) else {
            return not_found();
        };
        match path {
            "/time" => Reply::ok(&json!({
                "iso": call.iso_now(),
                "epochSeconds": call.now_ms.div_euclid(1000).to_string(),
                "epochMillis": call.now_ms.to_string(),
            })),
            "/market/products" => {
                Reply::ok(&json!({ "products": PRODUCTS.map(product), "num_products": PRODUCTS.len() }))
            }
            "/accounts" => self.private(call, |account| {
                let accounts: Vec<Value> = call.balances(account).map(wallet).collect();
                json!({ "size": accounts.len(), "accounts": accounts, "has_next": false, "cursor": "" })
            }),
            "/key_permissions" => self.private(call, |account| {
                json!({
                    "can_view": true, "can_trade": true, "can_transfer": account.may_withdraw, "can_receive": false,
                    "portfolio_uuid": "00000000-0000-4000-8000-000000000001", "portfolio_type": "DEFAULT",
                })
            }),
            _ => market(path),
        }
    }

    fn fail(&self, _: &Call) -> Reply {
        let words = "Something went wrong";
        Reply::json(500, &json!({ "error": "INTERNAL", "code": 13, "message": words, "details": [] }))
    }

    fn throttle(&self, _: &Call, retry_after_s: u64) -> Reply {
        let body = json!({ "error": "RESOURCE_EXHAUSTED", "code": 8, "message": "Too many requests", "details": [] });
        Reply::json(429, &body).with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", retry_after_s.to_string())
    }

    fn headroom(&self, _: &Call, usage: Usage) -> Vec<(&'static str, String)> {
        vec![
            ("x-ratelimit-limit", LIMIT.to_string()),
            ("x-ratelimit-remaining", LIMIT.saturating_sub(usage.of_this_second()).to_string()),
            ("x-ratelimit-reset", "1".to_owned()),
        ]
    }
}

fn token(call: &Call) -> Option<&str> {
    call.header("authorization")?.strip_prefix("Bearer ")
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn wallet((asset, free): (&str, &str)) -> Value {
    json!({
        "uuid": format!("wallet-{asset}"), "name": format!("{asset} Wallet"), "currency": asset,
        "available_balance": { "value": free, "currency": asset }, "hold": { "value": "0", "currency": asset },
        "default": true, "active": true, "ready": true, "type": "ACCOUNT_TYPE_CRYPTO",
    })
}

fn product((id, price): (&str, &str)) -> Value {
    json!({ "product_id": id, "price": price, "status": "online", "trading_disabled": false, "is_disabled": false })
}

/// `/market/products/<id>` and `/market/products/<id>/ticker`.
fn market(path: &str) -> Reply {
    let Some(rest) = path.strip_prefix("/market/products/") else { return not_found() };
    let (wanted, ticker) = rest.strip_suffix("/ticker").map_or((rest, false), |wanted| (wanted, true));
    match PRODUCTS.into_iter().find(|(id, _)| *id == wanted) {
        Some((id, price)) if ticker => {
            let trade = json!({ "trade_id": "1", "product_id": id, "price": price, "size": "0.01", "side": "BUY" });
            Reply::ok(&json!({ "trades": [trade], "best_bid": price, "best_ask": price }))
        }
        Some(found) => Reply::ok(&product(found)),
        None => not_found(),
    }
}

fn not_found() -> Reply {
    Reply::json(404, &json!({ "error": "NOT_FOUND", "code": 5, "message": "not found", "details": [] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::{ED25519_SPKI, P256_SPKI};
    use crate::vectors::{Vector, spki_pem, vector};
    use crate::venue::tests::call;
    use base64::engine::general_purpose::STANDARD;

    const NOW_MS: i64 = 1_700_000_001_000;
    const PATH: &str = "/api/v3/brokerage/accounts";

    fn venue(vector: &Vector) -> CoinbaseAdvanced {
        let pem = match vector.input("public_key_sec1_hex") {
            Some(key) => spki_pem(&P256_SPKI, &hex::decode(key).unwrap()),
            None => spki_pem(&ED25519_SPKI, &STANDARD.decode(vector.text("secret")).unwrap()[32..]),
        };
        CoinbaseAdvanced::new(Accounts::new(vec![Account::new(vector.text("api_key"), "").with_public_key(pem)]))
    }

    fn ask(venue: &CoinbaseAdvanced, token: &str, path: &str, now_ms: i64) -> bool {
        let mut call = call("GET", path, &[("authorization", &format!("Bearer {token}"))]);
        call.now_ms = now_ms;
        venue.authorise(&call).is_some()
    }

    #[test]
    fn derived_tokens_are_accepted_for_what_and_when_they_are_meant() {
        for name in ["jwt-eddsa-accounts", "jwt-es256-accounts-rfc6979", "jwt-eddsa-accounts-official-sdk"] {
            let vector = vector("coinbase-advanced", name);
            let (venue, token) = (venue(&vector), vector.text("jwt"));
            assert!(ask(&venue, token, PATH, NOW_MS), "{name}");
            assert!(!ask(&venue, token, PATH, NOW_MS + 119_000), "{name}: expired");
            assert!(!ask(&venue, token, PATH, NOW_MS - 2000), "{name}: not yet valid");
            assert!(!ask(&venue, token, "/api/v3/brokerage/key_permissions", NOW_MS), "{name}: another endpoint");
            assert!(!ask(&venue, &token[..token.len() - 4], PATH, NOW_MS), "{name}: cut");
        }
    }

    #[test]
    fn the_other_s_is_right_as_well_and_der_is_not() {
        let vector = vector("coinbase-advanced", "jwt-es256-accounts-rfc6979");
        let venue = venue(&vector);
        let signed = vector.string_to_sign();
        assert!(ask(&venue, &format!("{signed}.{}", vector.text("alt_signature_other_s")), PATH, NOW_MS));
        let fixed = URL_SAFE_NO_PAD.decode(vector.signature()).unwrap();
        let integer = |half: &[u8]| {
            let sign = if half[0] >= 0x80 { &[0][..] } else { &[] };
            [&[0x02, u8::try_from(sign.len() + half.len()).unwrap()], sign, half].concat()
        };
        let both = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
        let der = [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat();
        assert!(!ask(&venue, &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(der)), PATH, NOW_MS));
    }

    #[test]
    fn a_token_of_the_other_kind_of_key_is_refused() {
        let [eddsa, es256] =
            ["jwt-eddsa-accounts", "jwt-es256-accounts-rfc6979"].map(|n| vector("coinbase-advanced", n));
        assert!(!ask(&venue(&eddsa), es256.text("jwt"), PATH, NOW_MS));
        assert!(!ask(&venue(&es256), eddsa.text("jwt"), PATH, NOW_MS));
    }
}
