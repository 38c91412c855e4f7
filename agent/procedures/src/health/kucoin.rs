//! KuCoin spot (kucoin-universal-sdk; kucoin-api-docs: signing a message; docs-new: rate limits).

use flota_seal::secret::Secret;
use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, Usage, list, number, text,
};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::{base64, hmac_sha256};

/// Keys of version 2 and 3 want the passphrase as an HMAC; version 1 is gone.
const KEY_VERSION: &str = "2";
const SUCCESS: &str = "200000";
const ANY_SYMBOL: &str = "BTC-USDT";
/// Permissions with which a key can move funds away; the sources differ in the name. `InnerTransfer` and
/// `FlexTransfers` stay within the exchange.
const WITHDRAWAL: [&str; 3] = ["transfer", "withdrawal", "withdraw"];

/// The adapter.
pub(super) struct Spot;

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["kucoin", "kucoin_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        // The sandbox was retired.
        (network == Network::Live).then_some("https://api.kucoin.com")
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        Some(ClockTolerance { ahead_ms: 5000, behind_ms: 5000 })
    }

    fn time(&self) -> Ask {
        Ask::open("/api/v1/timestamp", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let symbol = symbol.map_or_else(|| ANY_SYMBOL.to_owned(), Symbol::dashed);
        Ask::open("/api/v1/market/orderbook/level1", format!("symbol={symbol}"))
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/v1/accounts", "type=trade", credentials, moment)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Open(|| Spot.time())
    }

    fn tells_rights(&self, _network: Network) -> bool {
        true
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/v1/user/api-key", "", credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_millis(answer.json()?["data"].as_i64())
    }

    fn read_public(&self, symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        let symbol = symbol.map_or_else(|| ANY_SYMBOL.to_owned(), Symbol::dashed);
        if json["data"].is_null() {
            // An unknown market is no error there, but nothing.
            return Err(Refusal::of(Cause::Symbol, SUCCESS));
        }
        Ok(format!("{symbol} trades at {}", quote(&text(&json, "/data/price")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance = |entry: &Value| Balance::read(&text(entry, "/currency")?, number(entry, "/available")?);
        list(&answer.json()?, "/data")?.iter().map(balance).collect()
    }

    fn read_usage(&self, answer: &Answer) -> Result<Option<Usage>, Refusal> {
        let (limit, left) = (answer.count("gw-ratelimit-limit"), answer.count("gw-ratelimit-remaining"));
        Ok(Usage::from_remaining(limit, left, "public request weight per 30 s"))
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        let permissions = text(&answer.json()?, "/data/permission")?;
        let withdraws = |name: &str| WITHDRAWAL.contains(&name.trim().to_ascii_lowercase().as_str());
        Ok(if permissions.split(',').any(withdraws) { Rights::Withdrawal } else { Rights::NoWithdrawal })
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        let body = answer.json().unwrap_or_default();
        let refusal = match body["code"].as_str() {
            Some(SUCCESS) | None if answer.is_success() => return None,
            Some(code) if code != SUCCESS => explain(answer.status, code, body["msg"].as_str().unwrap_or_default()),
            _ if answer.status == 503 => Refusal::of(Cause::Maintenance, "503"),
            _ => Refusal::of_status(answer.status, ""),
        };
        // Its header counts milliseconds until the limit is fresh.
        let reset = answer.count("gw-ratelimit-reset").map(std::time::Duration::from_millis);
        Some(refusal.after(answer.retry_after().or(reset)))
    }
}

/// The signature: HMAC-SHA256 over the text, in Base64.
pub(super) fn sign(text: &str, secret: &Secret) -> String {
    base64(&hmac_sha256(secret.expose(), &[text.as_bytes()]))
}

fn signed(path: &'static str, query: &str, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
    let (time, secret) = (moment.now.as_millisecond().to_string(), credentials.secret());
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    Ask::open(path, query)
        .header("kc-api-key", credentials.key_text())?
        .header("kc-api-sign", &sign(&format!("{time}GET{target}"), secret))?
        .header("kc-api-timestamp", &time)?
        .header("kc-api-passphrase", &sign(credentials.passphrase_text()?, secret))?
        .header("kc-api-key-version", KEY_VERSION)
}

fn explain(status: u16, code: &str, message: &str) -> Refusal {
    let cause = match code {
        "400001" => Cause::Authentication,
        "400002" => Cause::Clock,
        "400003" => Cause::Key,
        "400004" => Cause::Passphrase,
        "400005" => Cause::Signature,
        "400006" => Cause::Address,
        "400007" => Cause::Permission,
        "411100" => Cause::Account,
        "429000" | "200002" | "1015" => Cause::Rate,
        "500000" => Cause::Failing,
        code => return Refusal::unknown(status, quote(code), message),
    };
    let refusal = Refusal::of(cause, quote(code));
    match cause {
        // The passphrase goes out signed with the secret, and is looked at before the request's signature.
        Cause::Passphrase => Refusal {
            remedy: Some(
                "put the passphrase and the secret of this key into the credentials file: either may be wrong",
            ),
            ..refusal
        },
        _ => refusal,
    }
}
