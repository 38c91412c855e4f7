//! Every vector of `tests/golden/exchanges.json` that can be recomputed, and the requests that the adapters make of them.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flota_seal::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use super::exchange::{Ask, Moment};
use super::signing::{PrivateKey, base64, base64url, from_base64, hmac_sha256};
use super::*;

const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/exchanges.json"));
const NETWORK: Network = Network::Live;

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

fn vector(exchange: &str, name: &str) -> Value {
    vectors().into_iter().find(|v| v["exchange"] == exchange && v["name"] == name).expect(name)
}

fn input<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector["inputs"][name].as_str().unwrap_or_default()
}

fn secret(vector: &Value) -> Secret {
    let text = ["secret", "secret_pem", "private_key_pem"].map(|name| input(vector, name)).concat();
    Secret::decode(&text, "vector").unwrap()
}

fn expected(vector: &Value) -> &str {
    vector["expected_signature"].as_str().unwrap()
}

fn signed_text(vector: &Value) -> &str {
    vector["string_to_sign"].as_str().unwrap()
}

fn moment() -> Moment {
    let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
    let random = std::array::from_fn(|index| u8::try_from(index).unwrap());
    Moment { now, nonce: 1_700_000_000_000, random, network: NETWORK }
}

fn private(exchange: &str, vector: &Value) -> Ask {
    let passphrase = Some(input(vector, "passphrase")).filter(|text| !text.is_empty()).unwrap_or("test-passphrase");
    let credentials = Credentials::new(input(vector, "api_key"), secret(vector)).unwrap();
    let credentials = credentials.with_passphrase(Some(Secret::decode(passphrase, "vector").unwrap()));
    exchange.parse::<ExchangeId>().unwrap().adapter().private(&credentials, &moment()).ok().unwrap()
}

fn header<'a>(ask: &'a Ask, name: &str) -> &'a str {
    let (_, value) = ask.headers.iter().find(|(header, _)| header == name).expect(name);
    assert!(value.is_sensitive(), "{name}");
    value.to_str().unwrap()
}

#[test]
fn binance() {
    let ours = |v: &Value| v["exchange"].as_str().unwrap().starts_with("binance-") && v["reproduced"] == true;
    let mut checked = 0;
    for v in vectors().into_iter().filter(ours) {
        let signature = binance::sign(signed_text(&v), &secret(&v)).unwrap();
        let plain = signature.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        assert_eq!(plain, expected(&v), "{}", v["name"]);
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
    let v = vector("binance-spot", "account-balance");
    let ask = private("binance", &v);
    let url = BaseUrl::known(binance::LIVE).endpoint(&ask.path, &ask.query);
    assert_eq!(url.as_str(), input(&v, "url"));
    assert_eq!(header(&ask, "x-mbx-apikey"), "test-key");
    let v = vector("binance-usdm", "balance-v3");
    let ask = private("binance_futures", &v);
    assert_eq!(ask.path, input(&v, "path"));
    assert_eq!(ask.query, format!("{}&signature={}", input(&v, "query"), expected(&v)));
}

#[test]
fn kraken_spot() {
    for v in vectors().into_iter().filter(|v| v["exchange"] == "kraken-spot") {
        let key = from_base64(&secret(&v)).unwrap();
        let signature = kraken::sign(input(&v, "path"), input(&v, "nonce"), input(&v, "body"), &key);
        assert_eq!(signature, expected(&v), "{}", v["name"]);
    }
    let v = vector("kraken-spot", "addorder");
    let mut asked = v.clone();
    asked["inputs"]["api_key"] = "test-key".into();
    let ask = private("kraken", &asked);
    assert_eq!((&*ask.body, header(&ask, "api-key")), ("nonce=1700000000000", "test-key"));
}

#[test]
fn kraken_futures() {
    let mut checked = 0;
    for v in vectors().into_iter().filter(|v| v["exchange"] == "kraken-futures") {
        let key = from_base64(&secret(&v)).unwrap();
        let signature = kraken_futures::sign(input(&v, "post_data"), input(&v, "nonce"), input(&v, "path"), &key);
        assert_eq!(signature, expected(&v), "{}", v["name"]);
        checked += 1;
    }
    assert!(checked >= 4);
    let v = vector("kraken-futures", "accounts-no-nonce");
    let ask = private("kraken_futures", &v);
    assert_eq!(ask.path, "/derivatives/api/v3/accounts");
    assert_eq!((header(&ask, "apikey"), header(&ask, "authent")), ("test-key", expected(&v)));
}

#[test]
fn coinbase_advanced() {
    for v in vectors().into_iter().filter(|v| v["exchange"] == "coinbase-advanced") {
        let key = PrivateKey::read(&secret(&v)).ok().unwrap();
        let signature = key.sign(signed_text(&v).as_bytes()).unwrap();
        if let Some(point) = v["inputs"]["public_key_sec1_hex"].as_str() {
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, hex::decode(point).unwrap());
            let published = URL_SAFE_NO_PAD.decode(expected(&v)).unwrap();
            for signature in [signature, published] {
                public.verify(signed_text(&v).as_bytes(), &signature).unwrap();
            }
        } else {
            assert_eq!(base64url(signature), expected(&v), "{}", v["name"]);
        }
    }
    let v = vector("coinbase-advanced", "jwt-eddsa-accounts-official-sdk");
    let ask = private("coinbase", &v);
    assert_eq!(ask.path, "/api/v3/brokerage/accounts");
    assert_eq!(
        header(&ask, "authorization"),
        format!("Bearer {}", input(&v, "jwt")),
        "byte for byte the official SDK's"
    );
}

#[test]
fn coinbase_exchange() {
    let v = vector("coinbase-exchange", "accounts");
    let ask = private("coinbase_exchange", &v);
    assert_eq!(header(&ask, "cb-access-sign"), expected(&v));
    assert_eq!(
        (header(&ask, "cb-access-timestamp"), header(&ask, "cb-access-passphrase")),
        ("1700000000", "test-pass")
    );
}

#[test]
fn bybit() {
    let ours = |v: &Value| v["exchange"] == "bybit-v5" && v["reproduced"] == true;
    for v in vectors().into_iter().filter(ours) {
        let key = secret(&v);
        let signature = bybit::sign(input(&v, "timestamp"), input(&v, "api_key"), input(&v, "query"), key.expose());
        assert_eq!(signature, expected(&v), "{}", v["name"]);
    }
    let v = vector("bybit-v5", "wallet-balance");
    let ask = private("bybit", &v);
    assert_eq!((&*ask.path, &*ask.query), (input(&v, "path"), input(&v, "query")));
    assert_eq!((header(&ask, "x-bapi-sign"), header(&ask, "x-bapi-recv-window")), (expected(&v), "5000"));
}

#[test]
fn okx() {
    for v in vectors().into_iter().filter(|v| v["exchange"] == "okx-v5") {
        let path = if input(&v, "request_path").is_empty() { input(&v, "path") } else { input(&v, "request_path") };
        let signature = okx::sign(input(&v, "timestamp"), input(&v, "method"), path, input(&v, "body"), &secret(&v));
        assert_eq!(signature, expected(&v), "{}", v["name"]);
    }
    assert_eq!(okx::time_text("2020-12-08T09:08:57.715Z".parse().unwrap()), "2020-12-08T09:08:57.715Z");
    assert_eq!(okx::time_text("2020-12-08T09:08:57Z".parse().unwrap()), "2020-12-08T09:08:57.000Z");
}

#[test]
fn kucoin() {
    for v in vectors().into_iter().filter(|v| v["exchange"] == "kucoin" && v["reproduced"] == true) {
        assert_eq!(kucoin::sign(signed_text(&v), &secret(&v)), expected(&v), "{}", v["name"]);
    }
    let v = vector("kucoin", "deposit-addresses-sign");
    let ask = private("kucoin", &v);
    let signature = kucoin::sign("1700000000000GET/api/v1/accounts?type=trade", &secret(&v));
    assert_eq!((header(&ask, "kc-api-sign"), header(&ask, "kc-api-key-version")), (signature.as_str(), "2"));
    assert_eq!(header(&ask, "kc-api-passphrase"), kucoin::sign("test-passphrase", &secret(&v)));
}

#[test]
fn bitstamp() {
    for v in vectors().into_iter().filter(|v| v["exchange"] == "bitstamp" && v["inputs"]["path"].is_string()) {
        let signed = bitstamp::Signed {
            key_id: input(&v, "api_key"),
            host: input(&v, "host"),
            path: input(&v, "path"),
            content_type: input(&v, "content_type"),
            nonce: input(&v, "nonce"),
            time: input(&v, "timestamp"),
            body: input(&v, "body"),
        };
        assert_eq!(bitstamp::sign(&signed, secret(&v).expose()), expected(&v), "{}", v["name"]);
    }
    let v = vector("bitstamp", "response-server-auth");
    let mac = hmac_sha256(secret(&v).expose(), &[signed_text(&v).as_bytes()]);
    assert_eq!(hex::encode(mac), expected(&v));
    let ask = private("bitstamp", &vector("bitstamp", "account-balances-empty-body"));
    assert_eq!(header(&ask, "x-auth-nonce"), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    assert!(ask.headers.iter().all(|(name, _)| name != "content-type"), "the exchange refuses one without a body");
}

#[test]
fn strings_to_sign_whose_secrets_are_unpublished_are_put_together_alike() {
    let v = vector("bybit-v5", "get-realtime-docs");
    let ours = bybit::sign(input(&v, "timestamp"), input(&v, "api_key"), input(&v, "query"), b"any");
    assert_eq!(ours, hex::encode(hmac_sha256(b"any", &[signed_text(&v).as_bytes()])));
    let v = vector("bybit-v5", "post-docs");
    let ours = bybit::sign(input(&v, "timestamp"), input(&v, "api_key"), input(&v, "body"), b"any");
    assert_eq!(ours, hex::encode(hmac_sha256(b"any", &[signed_text(&v).as_bytes()])));
    assert_eq!(base64(&[0xff]), "/w==");
}
