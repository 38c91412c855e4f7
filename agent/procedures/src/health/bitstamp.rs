//! Bitstamp (signature v2). Its own documentation was not at hand: the facts are those that ccxt and gocryptotrader share.

use std::time::Duration;

use jiff::fmt::rfc2822;
use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, list, number, text};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::hmac_sha256;

const ANY_PAIR: &str = "btcusd";
const VERSION: &str = "v2";

/// The adapter.
pub(super) struct Spot;

/// What a signature covers.
pub(super) struct Signed<'a> {
    pub(super) key_id: &'a str,
    /// The exchange's own: part of what is signed, a proxy in between does not change it.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// Empty without a body; the header is then left out too.
    pub(super) content_type: &'a str,
    pub(super) nonce: &'a str,
    pub(super) time: &'a str,
    pub(super) body: &'a str,
}

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["bitstamp", "bitstamp_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        Some(match network {
            Network::Live => "https://www.bitstamp.net",
            Network::Testnet => "https://sandbox.bitstamp.net",
        })
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        Some(ClockTolerance { ahead_ms: 150_000, behind_ms: 150_000 })
    }

    fn time(&self) -> Ask {
        self.public(None)
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let pair = symbol.map_or_else(|| ANY_PAIR.to_owned(), |symbol| symbol.joined().to_ascii_lowercase());
        Ask::open(format!("/api/v2/ticker/{pair}/"), "")
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        let path = "/api/v2/account_balances/";
        let (time, nonce) = (moment.now.as_millisecond().to_string(), uuid_v4(moment.random));
        let host = match moment.network {
            Network::Live => "www.bitstamp.net",
            Network::Testnet => "sandbox.bitstamp.net",
        };
        let key_id = credentials.key_text();
        let signed = Signed { key_id, host, path, content_type: "", nonce: &nonce, time: &time, body: "" };
        let signature = sign(&signed, credentials.secret().expose());
        Ask::post(path, String::new())
            .header("x-auth", &format!("BITSTAMP {key_id}"))?
            .header("x-auth-signature", &signature)?
            .header("x-auth-nonce", &nonce)?
            .header("x-auth-timestamp", &time)?
            .header("x-auth-version", VERSION)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Untold
    }

    /// There is no clock to ask for; the `Date` header (RFC 9110 section 6.6.1) counts seconds.
    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        let date = answer.header("date").and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        Clock::of(date, Duration::from_secs(1))
    }

    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let pair = symbol.map_or_else(|| ANY_PAIR.to_ascii_uppercase(), Symbol::joined);
        Ok(format!("{pair} trades at {}", quote(&text(&answer.json()?, "/last")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance = |entry: &Value| Balance::read(&text(entry, "/currency")?, number(entry, "/available")?);
        list(&answer.json()?, "")?.iter().map(balance).collect()
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        let body = answer.json().unwrap_or_default();
        if answer.is_success() && body["status"] != "error" {
            return None;
        }
        let (code, reason) = (text(&body, "/code").unwrap_or_default(), text(&body, "/reason").unwrap_or_default());
        let says = |words: &str| reason.contains(words);
        let cause = match code.as_str() {
            "API0005" => Cause::Signature,
            "API0004" => Cause::Nonce,
            "400.002" => Cause::Rate,
            _ if says("API key not found") => Cause::Key,
            _ if says("IP address not allowed") => Cause::Address,
            _ if says("No permission found") => Cause::Permission,
            _ if says("Authentication failed") => Cause::Authentication,
            _ if says("maintenance") => Cause::Maintenance,
            _ if answer.status == 404 => Cause::Symbol,
            _ => return Some(Refusal::unknown(answer.status, quote(&code), &reason).after(answer.retry_after())),
        };
        Some(Refusal::of(cause, quote(&code)).after(answer.retry_after()))
    }
}

/// The signature of a POST without a query: HMAC-SHA256, in hex.
pub(super) fn sign(signed: &Signed<'_>, secret: &[u8]) -> String {
    let Signed { key_id, host, path, content_type, nonce, time, body } = signed;
    let parts = ["BITSTAMP ", key_id, "POST", host, path, content_type, nonce, time, VERSION, body];
    hex::encode(hmac_sha256(secret, &parts.map(str::as_bytes)))
}

/// A UUID of version 4 (RFC 9562 section 5.4), in lower case.
fn uuid_v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_uuids_of_version_4() {
        assert_eq!(uuid_v4([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn the_date_header_is_a_clock() {
        let parsed: jiff::Timestamp =
            rfc2822::DateTimeParser::new().parse_timestamp("Tue, 14 Nov 2023 22:13:20 GMT").unwrap();
        assert_eq!(parsed.as_second(), 1_700_000_000);
    }
}
