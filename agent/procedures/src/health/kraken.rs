//! Kraken spot (docs.kraken.com: spot REST authentication, errors).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, list, missing, text,
};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::{base64, from_base64, hmac_sha512, sha256};

/// The market asked about where none is configured.
const ANY_PAIR: &str = "XBTUSD";
/// What a key needs to move funds away, at once or later.
const WITHDRAWAL: [&str; 3] = ["withdraw-funds", "add-withdraw-address", "update-withdraw-address"];
/// Kraken's oldest assets carry a letter in front in balances.
const OLD_NAMES: [&str; 17] = [
    "XXBT", "XETH", "XLTC", "XXRP", "XXLM", "XXMR", "XZEC", "XETC", "XREP", "XMLN", "XXDG", "ZUSD", "ZEUR", "ZGBP",
    "ZJPY", "ZCAD", "ZAUD",
];

/// The adapter.
pub(super) struct Spot;

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["kraken", "kraken_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        (network == Network::Live).then_some("https://api.kraken.com")
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        // It compares nonces, not clocks.
        None
    }

    fn time(&self) -> Ask {
        Ask::open("/0/public/Time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let pair = symbol.map_or_else(|| ANY_PAIR.to_owned(), |symbol| of_kraken(&symbol.joined()));
        Ask::open("/0/public/Ticker", format!("pair={pair}"))
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/0/private/Balance", credentials, moment)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Untold
    }

    fn tells_rights(&self, _network: Network) -> bool {
        true
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/0/private/GetApiKeyInfo", credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_seconds(answer.json()?["result"]["unixtime"].as_i64())
    }

    fn read_public(&self, _symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        // The answer names the pair in its own way, which need not be the way it was asked for.
        let (pair, ticker) = json["result"].as_object().and_then(|pairs| pairs.iter().next()).ok_or_else(missing)?;
        Ok(format!("{} trades at {}", quote(pair), quote(&text(ticker, "/c/0")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let json = answer.json()?;
        let mut balances = Vec::new();
        for (asset, amount) in json["result"].as_object().ok_or_else(missing)? {
            let amount = amount.as_str().and_then(|amount| amount.parse().ok());
            let amount = amount.ok_or_else(|| Refusal::nonsense("a balance is not a number"))?;
            balances.push(Balance::read(usual_name(asset), amount)?);
        }
        Ok(balances)
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        let json = answer.json()?;
        let permissions = list(&json, "/result/permissions")?;
        let withdraws = |permission: &Value| permission.as_str().is_some_and(|name| WITHDRAWAL.contains(&name));
        Ok(if permissions.iter().any(withdraws) { Rights::Withdrawal } else { Rights::NoWithdrawal })
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        // Errors come with status 200.
        let body = answer.json().unwrap_or_default();
        match body["error"].as_array().and_then(|errors| errors.first()).and_then(Value::as_str) {
            Some(error) => Some(explain(answer, error)),
            None if answer.is_success() => None,
            None => Some(Refusal::of_status(answer.status, "").after(answer.retry_after())),
        }
    }
}

/// The signature: HMAC-SHA512 over path and SHA-256 of nonce and body, in Base64.
pub(super) fn sign(path: &str, nonce: &str, body: &str, key: &[u8]) -> String {
    let inner = sha256(&[nonce.as_bytes(), body.as_bytes()]);
    base64(&hmac_sha512(key, &[path.as_bytes(), &inner]))
}

/// The nonce is in milliseconds, as in most programs: a finer one would shut those out that share the key.
fn signed(path: &'static str, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
    let nonce = moment.nonce.to_string();
    let body = format!("nonce={nonce}");
    let signature = sign(path, &nonce, &body, &from_base64(credentials.secret())?);
    Ask::post(path, body)
        .header("content-type", "application/x-www-form-urlencoded")?
        .header("api-key", credentials.key_text())?
        .header("api-sign", &signature)
}

fn explain(answer: &Answer, error: &str) -> Refusal {
    let cause = match error {
        "EAPI:Invalid key" => Cause::Key,
        "EAPI:Invalid signature" => Cause::Signature,
        "EAPI:Invalid nonce" => Cause::Nonce,
        "EGeneral:Permission denied" => Cause::Permission,
        "EGeneral:Temporary lockout" => Cause::Lockout,
        "EAPI:Rate limit exceeded" => Cause::Rate,
        "EService:Unavailable" | "EService:Busy" | "EGeneral:Internal error" => Cause::Failing,
        "EQuery:Unknown asset pair" => Cause::Symbol,
        error if error.starts_with("EService:Market in ") => Cause::Maintenance,
        error if error.starts_with("EService:Throttled") => Cause::Rate,
        error => return Refusal::unknown(answer.status, quote(error), error),
    };
    Refusal::of(cause, quote(error)).after(throttled_until(error, answer.received_at).or(answer.retry_after()))
}

/// `EService:Throttled:<unix time>` says when to come back.
fn throttled_until(error: &str, now: Timestamp) -> Option<Duration> {
    let until = error.strip_prefix("EService:Throttled:")?.trim().parse().ok()?;
    let wait = Timestamp::from_second(until).ok()?.duration_since(now);
    Some(wait.try_into().unwrap_or_default())
}

/// Bitcoin is XBT there; `BTCUSDT` becomes `XBTUSDT`.
pub(super) fn of_kraken(joined: &str) -> String {
    match joined.strip_prefix("BTC") {
        Some(quote) => format!("XBT{quote}"),
        None => joined.to_owned(),
    }
}

/// The name that everybody else uses for an asset.
fn usual_name(asset: &str) -> &str {
    let bare = if OLD_NAMES.contains(&asset) { &asset[1..] } else { asset };
    match bare {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        bare => bare,
    }
}
