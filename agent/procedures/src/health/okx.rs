//! OKX v5 (OKX API guide: REST authentication, error codes). The host depends on the account's region.

use flota_seal::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, list, number, text,
};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Region, Symbol};
use super::signing::{base64, hmac_sha256};

const ANY_INSTRUMENT: &str = "BTC-USDT";

/// The adapter.
pub(super) struct Spot;

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["okx", "okx_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, _network: Network) -> Option<&'static str> {
        // Demo trading has the same host and a header of its own.
        self.regional_root(Region::Global)
    }

    fn regional_root(&self, region: Region) -> Option<&'static str> {
        Some(match region {
            Region::Global => "https://openapi.okx.com",
            Region::Eea => "https://eea.okx.com",
            Region::Us | Region::Au => "https://us.okx.com",
        })
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        Some(ClockTolerance { ahead_ms: 30_000, behind_ms: 30_000 })
    }

    fn time(&self) -> Ask {
        Ask::open("/api/v5/public/time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let instrument = symbol.map_or_else(|| ANY_INSTRUMENT.to_owned(), Symbol::dashed);
        Ask::open("/api/v5/market/ticker", format!("instId={instrument}"))
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/v5/account/balance", credentials, moment)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Untold
    }

    fn tells_rights(&self, _network: Network) -> bool {
        true
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/v5/account/config", credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_millis(text(&answer.json()?, "/data/0/ts")?.parse().ok())
    }

    fn read_public(&self, _symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        Ok(format!("{} trades at {}", quote(&text(&json, "/data/0/instId")?), quote(&text(&json, "/data/0/last")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance = |detail: &Value| Balance::read(&text(detail, "/ccy")?, number(detail, "/availBal")?);
        list(&answer.json()?, "/data/0/details")?.iter().map(balance).collect()
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        let permissions = text(&answer.json()?, "/data/0/perm")?;
        let withdraws = permissions.split(',').any(|permission| permission.trim() == "withdraw");
        Ok(if withdraws { Rights::Withdrawal } else { Rights::NoWithdrawal })
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        // Some errors come with status 200.
        let body = answer.json().unwrap_or_default();
        let refusal = match body["code"].as_str() {
            Some("0") | None if answer.is_success() => return None,
            Some(code) if code != "0" => explain(answer.status, code, body["msg"].as_str().unwrap_or_default()),
            _ => Refusal::of_status(answer.status, ""),
        };
        Some(refusal.after(answer.retry_after()))
    }
}

/// The signature: HMAC-SHA256 over time, method, path with query, and body, in Base64.
pub(super) fn sign(time: &str, method: &str, path: &str, body: &str, secret: &Secret) -> String {
    let parts = [time, method, path, body].map(str::as_bytes);
    base64(&hmac_sha256(secret.expose(), &parts))
}

/// ISO 8601 in UTC with milliseconds, as it is signed and sent.
pub(super) fn time_text(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

fn signed(path: &'static str, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
    let time = time_text(moment.now);
    let ask = Ask::open(path, "")
        .header("ok-access-key", credentials.key_text())?
        .header("ok-access-sign", &sign(&time, "GET", path, "", credentials.secret()))?
        .header("ok-access-timestamp", &time)?
        .header("ok-access-passphrase", credentials.passphrase_text()?)?;
    match moment.network {
        Network::Live => Ok(ask),
        Network::Testnet => ask.header("x-simulated-trading", "1"),
    }
}

fn explain(status: u16, code: &str, message: &str) -> Refusal {
    let cause = match code {
        "50102" | "50112" => Cause::Clock,
        "50111" | "50119" => Cause::Key,
        "50113" => Cause::Signature,
        "50105" => Cause::Passphrase,
        "50101" => Cause::Environment,
        "50110" => Cause::Address,
        "50114" => Cause::Authentication,
        "50120" => Cause::Permission,
        "50011" => Cause::Rate,
        "50013" | "50001" | "50026" | "50004" => Cause::Failing,
        "51001" => Cause::Symbol,
        code => return Refusal::unknown(status, quote(code), message),
    };
    Refusal::of(cause, quote(code))
}
