//! Kraken futures (docs.kraken.com: futures REST; krakenfx/api-go). Deprecated there, see [`DEPRECATED`].

use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, missing, text};
use super::kraken::of_kraken;
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::{base64, from_base64, hmac_sha512, sha256};

const DEPRECATED: &str = "Kraken has announced to switch off the REST API of its futures on 1 March 2027: plan the bot's \
                          move to its unified WebSocket or FIX";
/// The market asked about where none is configured, and for the clock, which has no endpoint of its own.
const ANY_TICKER: &str = "/derivatives/api/v3/tickers/PF_XBTUSD";
/// What stands before the path on the wire and not in the signature.
const UNSIGNED: &str = "/derivatives";

/// The adapter.
pub(super) struct Futures;

impl Exchange for Futures {
    fn names(&self) -> &'static [&'static str] {
        &["kraken_futures"]
    }

    fn mode(&self) -> Mode {
        Mode::Futures
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        // The demo was retired on 14 July 2026.
        (network == Network::Live).then_some("https://futures.kraken.com")
    }

    fn note(&self, _network: Network) -> Option<&'static str> {
        Some(DEPRECATED)
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        // Requests are signed without a time.
        None
    }

    fn time(&self) -> Ask {
        Ask::open(ANY_TICKER, "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        match symbol {
            Some(symbol) => Ask::open(format!("/derivatives/api/v3/tickers/{}", contract(symbol)), ""),
            None => self.time(),
        }
    }

    fn private(&self, credentials: &Credentials, _moment: &Moment) -> Result<Ask, Unusable> {
        signed("/derivatives/api/v3/accounts", credentials)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Untold
    }

    fn tells_rights(&self, _network: Network) -> bool {
        true
    }

    fn rights(&self, credentials: &Credentials, _moment: &Moment) -> Result<Ask, Unusable> {
        signed("/api/auth/v1/api-keys/v3/check", credentials)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        let shown = answer.json()?["serverTime"].as_str().and_then(|time| time.parse().ok());
        Clock::of(shown, std::time::Duration::ZERO)
    }

    fn read_public(&self, _symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        let (symbol, price) = (text(&json, "/ticker/symbol")?, text(&json, "/ticker/last")?);
        Ok(format!("{} trades at {}", quote(&symbol), quote(&price)))
    }

    /// The multi-collateral wallet's available amounts and the cash wallet's balances.
    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let json = answer.json()?;
        let accounts = json["accounts"].as_object().ok_or_else(missing)?;
        let amount = |value: &Value| value.as_f64().ok_or_else(|| Refusal::nonsense("a balance is not a number"));
        let mut balances = Vec::new();
        let currencies = accounts.get("flex").and_then(|flex| flex["currencies"].as_object());
        for (asset, currency) in currencies.into_iter().flatten() {
            balances.push(Balance::read(usual_name(asset), amount(&currency["available"])?)?);
        }
        let cash = accounts.get("cash").and_then(|cash| cash["balances"].as_object());
        for (asset, held) in cash.into_iter().flatten() {
            balances.push(Balance::read(usual_name(asset), amount(held)?)?);
        }
        Ok(balances)
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        match text(&answer.json()?, "/permissions/transfer")?.as_str() {
            "FULL_ACCESS" => Ok(Rights::Withdrawal),
            "NO_ACCESS" | "READ_ONLY" => Ok(Rights::NoWithdrawal),
            _ => Err(missing()),
        }
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        let body = answer.json().unwrap_or_default();
        let error = body["error"].as_str();
        match error {
            Some(error) if body["result"] == "error" || !answer.is_success() => {
                Some(explain(answer.status, error).after(answer.retry_after()))
            }
            _ if body["result"] == "error" => Some(Refusal::of_status(answer.status, "")),
            _ if answer.is_success() => None,
            _ => Some(Refusal::of_status(answer.status, "").after(answer.retry_after())),
        }
    }
}

/// The signature: HMAC-SHA512 over the SHA-256 of parameters, nonce (may be empty) and path, in Base64.
pub(super) fn sign(parameters: &str, nonce: &str, path: &str, key: &[u8]) -> String {
    base64(&hmac_sha512(key, &[&sha256(&[parameters.as_bytes(), nonce.as_bytes(), path.as_bytes()])]))
}

/// Without the optional nonce: one would have to grow across every program that uses the key.
fn signed(path: &'static str, credentials: &Credentials) -> Result<Ask, Unusable> {
    let signed_path = path.strip_prefix(UNSIGNED).unwrap_or(path);
    let signature = sign("", "", signed_path, &from_base64(credentials.secret())?);
    Ask::open(path, "").header("apikey", credentials.key_text())?.header("authent", &signature)
}

fn explain(status: u16, error: &str) -> Refusal {
    let cause = match error {
        "authenticationError" => Cause::Authentication,
        "insufficientPrivileges" => Cause::Permission,
        "apiLimitExceeded" => Cause::Rate,
        "nonceBelowThreshold" | "nonceDuplicate" => Cause::Nonce,
        "accountInactive" => Cause::Account,
        "marketUnavailable" => Cause::Maintenance,
        "unavailable" | "Unavailable" | "Server Error" => Cause::Failing,
        error => return Refusal::unknown(status, quote(error), error),
    };
    Refusal::of(cause, quote(error))
}

/// A contract as given (`PF_XBTUSD`, `pi_xbtusd`), or the linear perpetual of a pair.
fn contract(symbol: &Symbol) -> String {
    let given = symbol.as_str().to_ascii_uppercase();
    if given.len() > 3 && given.as_bytes()[2] == b'_' && given.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return given;
    }
    format!("PF_{}", of_kraken(&symbol.joined()))
}

fn usual_name(asset: &str) -> &str {
    if asset.eq_ignore_ascii_case("xbt") { "BTC" } else { asset }
}
