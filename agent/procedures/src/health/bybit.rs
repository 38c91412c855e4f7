//! Bybit v5, unified account (bybit-exchange/docs: v5 guide, errors, rate limits).

use serde_json::Value;

use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, Usage, list, missing, number, text,
};
use super::refusal::{Cause, Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};
use super::signing::hmac_sha256;

/// How long a signed request stays valid, in milliseconds; Bybit's own default.
const RECV_WINDOW: &str = "5000";
const ANY_SYMBOL: &str = "BTCUSDT";

/// The adapter.
pub(super) struct Spot;

impl Exchange for Spot {
    fn names(&self) -> &'static [&'static str] {
        &["bybit", "bybit_spot"]
    }

    fn mode(&self) -> Mode {
        Mode::Spot
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        Some(match network {
            Network::Live => "https://api.bybit.com",
            Network::Testnet => "https://api-testnet.bybit.com",
        })
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        // "server_time - recv_window <= timestamp < server_time + 1000" (guide, Parameters for authenticated endpoints).
        Some(ClockTolerance { ahead_ms: 1000, behind_ms: 5000 })
    }

    fn time(&self) -> Ask {
        Ask::open("/v5/market/time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let symbol = symbol.map_or_else(|| ANY_SYMBOL.to_owned(), Symbol::joined);
        Ask::open("/v5/market/tickers", format!("category=spot&symbol={symbol}"))
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/v5/account/wallet-balance", "accountType=UNIFIED", credentials, moment)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Signed
    }

    fn tells_rights(&self, _network: Network) -> bool {
        true
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        signed("/v5/user/query-api", "", credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_millis(answer.json()?["time"].as_i64())
    }

    fn read_public(&self, _symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        let (symbol, price) = (text(&json, "/result/list/0/symbol")?, text(&json, "/result/list/0/lastPrice")?);
        Ok(format!("{} trades at {}", quote(&symbol), quote(&price)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let json = answer.json()?;
        let balance = |coin: &Value| {
            // Left out, or an empty text, where nothing is locked.
            let locked = number(coin, "/locked").unwrap_or_default();
            Balance::read(&text(coin, "/coin")?, number(coin, "/walletBalance")? - locked)
        };
        let accounts = list(&json, "/result/list")?;
        let coins = accounts.iter().filter_map(|account| account["coin"].as_array()).flatten();
        coins.map(balance).collect()
    }

    fn read_usage(&self, answer: &Answer) -> Result<Option<Usage>, Refusal> {
        let (limit, left) = (answer.count("x-bapi-limit"), answer.count("x-bapi-limit-status"));
        Ok(Usage::from_remaining(limit, left, "balance requests a second"))
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        let json = answer.json()?;
        let permissions = json["result"]["permissions"].as_object().ok_or_else(missing)?;
        let wallet = permissions.get("Wallet").and_then(Value::as_array);
        let withdraws = wallet.into_iter().flatten().any(|permission| permission == "Withdraw");
        // A key that may only read keeps the names of what it may read about.
        let reads_only = json["result"]["readOnly"] == 1;
        Ok(if withdraws && !reads_only { Rights::Withdrawal } else { Rights::NoWithdrawal })
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        // Most errors come with status 200.
        let body = answer.json().unwrap_or_default();
        let refusal = match body["retCode"].as_i64() {
            Some(0) | None if answer.is_success() => return None,
            Some(code) if code != 0 => explain(answer.status, code, body["retMsg"].as_str().unwrap_or_default()),
            // Over the limit of its address a host is refused for ten minutes; so is one in an unserved country.
            _ if answer.status == 403 => Refusal::of(Cause::Lockout, "403"),
            _ => Refusal::of_status(answer.status, ""),
        };
        Some(refusal.after(answer.retry_after()))
    }
}

/// The signature: HMAC-SHA256 over time, key, window and query, in hex.
pub(super) fn sign(time: &str, key_id: &str, query: &str, secret: &[u8]) -> String {
    let parts = [time, key_id, RECV_WINDOW, query].map(str::as_bytes);
    hex::encode(hmac_sha256(secret, &parts))
}

fn signed(path: &'static str, query: &str, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
    let (time, key_id) = (moment.now.as_millisecond().to_string(), credentials.key_text());
    let signature = sign(&time, key_id, query, credentials.secret().expose());
    Ask::open(path, query)
        .header("x-bapi-api-key", key_id)?
        .header("x-bapi-timestamp", &time)?
        .header("x-bapi-recv-window", RECV_WINDOW)?
        .header("x-bapi-sign", &signature)
}

fn explain(status: u16, code: i64, message: &str) -> Refusal {
    let cause = match code {
        10001 if message.to_ascii_lowercase().contains("symbol") => Cause::Symbol,
        10002 => Cause::Clock,
        10003 => Cause::Key,
        10004 => Cause::Signature,
        10005 => Cause::Permission,
        10006 | 10018 => Cause::Rate,
        10007 => Cause::Authentication,
        10009 | 10024 => Cause::Region,
        10010 => Cause::Address,
        10000 | 10016 => Cause::Failing,
        33004 => Cause::KeyExpired,
        code => return Refusal::unknown(status, code.to_string(), message),
    };
    Refusal::of(cause, code.to_string())
}
