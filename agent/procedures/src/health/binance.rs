//! Binance spot (binance-spot-api-docs: rest-api.md, errors.md).

use flota_seal::secret::Secret;
use jiff::Timestamp;
use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, Usage, list, missing, number, text,
};
use super::refusal::{Refusal, Unusable, quote};
use super::retry::Setback;
use super::settings::{Mode, Network, Symbol};
use super::signing::{self, PrivateKey};

/// Root of the live API, which alone has the endpoints of the wallet (`/sapi`).
pub(super) const LIVE: &str = "https://api.binance.com";
/// How long a signed request stays valid, in milliseconds; Binance's own default (rest-api.md, Timing security).
const RECV_WINDOW_MS: u16 = 5000;
/// The market asked about where none is configured. The whole list is megabytes, and one market proves as much.
pub(super) const ANY_SYMBOL: &str = "BTCUSDT";
pub(super) const USED_WEIGHT: &str = "x-mbx-used-weight-1m";
pub(super) const WEIGHT: &str = "request weight a minute";

/// The adapter.
pub(super) struct Spot;

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["binance", "binance_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        Some(match network {
            Network::Live => LIVE,
            Network::Testnet => "https://testnet.binance.vision",
        })
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        Some(TOLERANCE)
    }

    fn time(&self) -> Ask {
        Ask::open("/api/v3/time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        match symbol {
            Some(symbol) => Ask::open("/api/v3/ticker/price", format!("symbol={}", symbol.joined())),
            None => info(),
        }
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/v3/account", credentials, moment.now)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Open(info)
    }

    fn tells_rights(&self, network: Network) -> bool {
        network == Network::Live
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        rights(credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_millis(answer.json()?["serverTime"].as_i64())
    }

    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        if symbol.is_some() {
            let (symbol, price) = (text(&json, "/symbol")?, text(&json, "/price")?);
            return Ok(format!("{} trades at {}", quote(&symbol), quote(&price)));
        }
        let (symbol, status) = (text(&json, "/symbols/0/symbol")?, text(&json, "/symbols/0/status")?);
        Ok(format!("market {} is {}", quote(&symbol), quote(&status)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance = |entry: &Value| Balance::read(&text(entry, "/asset")?, number(entry, "/free")?);
        list(&answer.json()?, "/balances")?.iter().map(balance).collect()
    }

    fn read_usage(&self, answer: &Answer) -> Result<Option<Usage>, Refusal> {
        let used = answer.count(USED_WEIGHT);
        let used = used.ok_or_else(|| Refusal::nonsense("it does not say how much request weight was used"))?;
        let json = answer.json()?;
        let per_minute = |limit: &&Value| {
            limit["rateLimitType"] == "REQUEST_WEIGHT" && limit["interval"] == "MINUTE" && limit["intervalNum"] == 1
        };
        let limit = list(&json, "/rateLimits")?.iter().find(per_minute).and_then(|limit| limit["limit"].as_u64());
        let limit = limit.filter(|limit| *limit > 0);
        let limit = limit.ok_or_else(|| Refusal::nonsense("it names no request weight limit a minute"))?;
        Ok(Some(Usage { used, limit, unit: WEIGHT }))
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        read_rights(answer)
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        refusal(answer)
    }
}

/// "timestamp < serverTime + 1000 && serverTime - timestamp <= recvWindow" (rest-api.md, Timing security).
pub(super) const TOLERANCE: ClockTolerance = ClockTolerance { ahead_ms: 1000, behind_ms: RECV_WINDOW_MS as i64 };

fn info() -> Ask {
    Ask::open("/api/v3/exchangeInfo", format!("symbol={ANY_SYMBOL}"))
}

/// A signed GET without parameters of its own.
pub(super) fn signed(path: &'static str, credentials: &Credentials, now: Timestamp) -> Result<Ask, Unusable> {
    let query = format!("recvWindow={RECV_WINDOW_MS}&timestamp={}", now.as_millisecond());
    let signature = sign(&query, credentials.secret())?;
    Ask::open(path, format!("{query}&signature={signature}")).header("x-mbx-apikey", credentials.key_text())
}

/// Asks what the key may do. `canWithdraw` of the account is about the account, not the key. The test networks do not have
/// this endpoint.
pub(super) fn rights(credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
    let ask = signed("/sapi/v1/account/apiRestrictions", credentials, moment.now)?;
    Ok(Ask { elsewhere: Some(LIVE), ..ask })
}

pub(super) fn read_rights(answer: &Answer) -> Result<Rights, Refusal> {
    match answer.json()?["enableWithdrawals"].as_bool() {
        Some(true) => Ok(Rights::Withdrawal),
        Some(false) => Ok(Rights::NoWithdrawal),
        None => Err(missing()),
    }
}

/// The signature of a query: HMAC-SHA256 under the secret's text, in hex; or Ed25519 in percent-encoded Base64 if the
/// secret is such a key in PEM.
pub(super) fn sign(query: &str, secret: &Secret) -> Result<String, Unusable> {
    if PrivateKey::is_pem(secret) {
        let signature = signing::base64(&PrivateKey::read(secret)?.sign(query.as_bytes())?);
        return Ok(signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D"));
    }
    Ok(hex::encode(signing::hmac_sha256(secret.expose(), &[query.as_bytes()])))
}

pub(super) fn refusal(answer: &Answer) -> Option<Refusal> {
    if answer.is_success() {
        return None;
    }
    let body = answer.json().unwrap_or_default();
    Some(
        explain(answer.status, body["code"].as_i64(), body["msg"].as_str().unwrap_or_default())
            .after(answer.retry_after()),
    )
}

/// Puts an error code into words. The code goes before the HTTP status, which the documents do not promise for the codes
/// that matter most.
fn explain(status: u16, code: Option<i64>, msg: &str) -> Refusal {
    let (meaning, remedy) = match code {
        Some(-1021) => (
            "it refused the timestamp of the signed request: this host's clock and the exchange's disagree",
            "synchronise this host's clock (timedatectl, chronyc) and see the time_skew check",
        ),
        Some(-1022) => (
            "it refused the signature: the secret does not belong to the key_id",
            "put the HMAC secret that was issued together with this key_id into the credentials file",
        ),
        Some(-2014 | -2008) => (
            "it does not take the key_id for an API key",
            "copy the API key anew, without spaces or quotation marks, as key_id into the credentials file",
        ),
        Some(-2015) => (
            "it refused the key: unknown on this network, not allowed from this address, or without reading permission",
            "check in the exchange's API management that the key exists, lists this host's address and may read",
        ),
        Some(-1002) => ("the key may not read this account", "give the key the reading permission"),
        Some(-4109) => ("the account is not active", "move funds to it once, or ask the exchange's support"),
        Some(-1121) => ("it does not know the symbol", "correct public_symbol, for example BTCUSDT"),
        _ => return Refusal::unknown(status, code.map(|code| code.to_string()).unwrap_or_default(), msg),
    };
    let code = code.map(|code| code.to_string());
    Refusal { code, meaning: meaning.to_owned(), remedy: Some(remedy), setback: Setback::of_status(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_is_quoted_only_where_we_do_not_know_better_and_never_raw() {
        let unknown = explain(400, Some(-9999), "odd\u{1b}[31m thing");
        assert_eq!(unknown.meaning, "it refused the request: odd [31m thing");
        assert_eq!(explain(400, Some(-1022), "x").meaning.find('x'), None);
        let banned = explain(418, Some(-1003), "banned until 1");
        assert!(banned.meaning.contains("banned"));
        assert_eq!(banned.setback, Setback::Final, "asking again lengthens a ban");
    }
}
