//! Binance USD-M futures (developers.binance.com, USDS-margined futures: general info).

use serde_json::Value;

use super::binance;
use super::credentials::Credentials;
use super::exchange::{
    Answer, Ask, Balance, Clock, ClockTolerance, Exchange, Gauge, Moment, Rights, Usage, list, number, text,
};
use super::refusal::{Refusal, Unusable, quote};
use super::settings::{Mode, Network, Symbol};

/// Request weight a minute. Read off the live API (its list of limits comes only with megabytes of markets); the demo
/// network grants more.
const WEIGHT_LIMIT: u64 = 2400;

/// The adapter.
pub(super) struct Futures;

impl Exchange for Futures {
    fn names(&self) -> &'static [&'static str] {
        &["binance_futures"]
    }

    fn mode(&self) -> Mode {
        Mode::Futures
    }

    fn root(&self, network: Network) -> Option<&'static str> {
        Some(match network {
            Network::Live => "https://fapi.binance.com",
            Network::Testnet => "https://demo-fapi.binance.com",
        })
    }

    fn clock_tolerance(&self) -> Option<ClockTolerance> {
        Some(binance::TOLERANCE)
    }

    fn time(&self) -> Ask {
        Ask::open("/fapi/v1/time", "")
    }

    fn public(&self, symbol: Option<&Symbol>) -> Ask {
        let symbol = symbol.map_or_else(|| binance::ANY_SYMBOL.to_owned(), Symbol::joined);
        Ask::open("/fapi/v1/ticker/price", format!("symbol={symbol}"))
    }

    fn private(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        binance::signed("/fapi/v3/balance", credentials, moment.now)
    }

    fn gauge(&self) -> Gauge {
        Gauge::Open(|| Futures.time())
    }

    fn tells_rights(&self, network: Network) -> bool {
        network == Network::Live
    }

    fn rights(&self, credentials: &Credentials, moment: &Moment) -> Result<Ask, Unusable> {
        binance::rights(credentials, moment)
    }

    fn read_time(&self, answer: &Answer) -> Result<Clock, Refusal> {
        Clock::from_millis(answer.json()?["serverTime"].as_i64())
    }

    fn read_public(&self, _symbol: Option<&Symbol>, answer: &Answer) -> Result<String, Refusal> {
        let json = answer.json()?;
        Ok(format!("{} trades at {}", quote(&text(&json, "/symbol")?), quote(&text(&json, "/price")?)))
    }

    fn read_private(&self, answer: &Answer) -> Result<Vec<Balance>, Refusal> {
        let balance = |entry: &Value| Balance::read(&text(entry, "/asset")?, number(entry, "/availableBalance")?);
        list(&answer.json()?, "")?.iter().map(balance).collect()
    }

    fn read_usage(&self, answer: &Answer) -> Result<Option<Usage>, Refusal> {
        let usage = |used| Usage { used, limit: WEIGHT_LIMIT, unit: binance::WEIGHT };
        Ok(answer.count(binance::USED_WEIGHT).map(usage))
    }

    fn read_rights(&self, answer: &Answer) -> Result<Rights, Refusal> {
        binance::read_rights(answer)
    }

    fn refusal(&self, answer: &Answer) -> Option<Refusal> {
        binance::refusal(answer)
    }
}
