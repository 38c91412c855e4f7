//! Coinbase Exchange, the institutional one (docs.cdp.coinbase.com/exchange: REST authentication, rate limits).

use std::time::Duration;

use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, list, number, text};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::{base64, from_base64, hmac_sha256};

const ANY_PRODUCT: &str = "BTC-USD";

/// The adapter.
pub(super) struct Institutional;

impl Exchange for Institutional {
    fn names(&self) -> &'static [&'static str] {
        &["coinbase_exchange"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        Some(match network {
            Network::Live => "https://api.exchange.coinbase.com",
            Network::Testnet => "https://api-public.sandbox.exchange.coinbase.com",
        })
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        Some(ClockTolerance { ahead_ms: 30_000, behind_ms: 30_000 })
    }

    fn time(&self) -> Ask {
        Ask::open("/time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let product = symbol.map_or_else(|| ANY_PRODUCT.to_owned(), Symbol::dashed);
        Ask::open(format!("/products/{product}/ticker"), "")
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        let (path, time) = ("/accounts", moment.now.as_second().to_string());
        let signature = sign(&time, "GET", path, "", &from_base64(credentials.secret())?);
        Ask::open(path, "")
            .header("cb-access-key", credentials.key_text())?
            .header("cb-access-sign", &signature)?
            .header("cb-access-timestamp", &time)?
            .header("cb-access-passphrase", credentials.passphrase_text()?)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Untold
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        let shown = answer.json()?["iso"].as_str().and_then(|time| time.parse().ok());
        Clock::of(shown, Duration::ZERO)
    }

    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let product = symbol.map_or_else(|| ANY_PRODUCT.to_owned(), Symbol::dashed);
        Ok(format!("{product} trades at {}", quote(&text(&answer.json()?, "/price")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance = |entry: &Value| Balance::read(&text(entry, "/currency")?, number(entry, "/available")?);
        list(&answer.json()?, "")?.iter().map(balance).collect()
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        if answer.is_success() {
            return None;
        }
        let body = answer.json().unwrap_or_default();
        let message = body["message"].as_str().unwrap_or_default();
        let says = |words: &str| message.to_ascii_lowercase().contains(words);
        let cause = if says("invalid api key") {
            Cause::Key
        } else if says("invalid signature") {
            Cause::Signature
        } else if says("invalid passphrase") {
            Cause::Passphrase
        } else if says("timestamp expired") {
            Cause::Clock
        } else if says("rate limit") || answer.status == 429 {
            Cause::Rate
        } else if says("maintenance") || says("cancel only") {
            Cause::Maintenance
        } else if answer.status == 403 {
            Cause::Permission
        } else if answer.status == 404 {
            Cause::Symbol
        } else {
            return Some(Refusal::of_status(answer.status, message).after(answer.retry_after()));
        };
        Some(Refusal::of(cause, quote(message)).after(answer.retry_after()))
    }
}

/// The signature: HMAC-SHA256 over time, method, path with query, and body, in Base64.
pub(super) fn sign(time: &str, method: &str, path: &str, body: &str, key: &[u8]) -> String {
    base64(&hmac_sha256(key, &[time.as_bytes(), method.as_bytes(), path.as_bytes(), body.as_bytes()]))
}
