//! Runtime health (manual section 4): can this host trade on its exchange right now?
//!
//! [`check`] asks the exchange a handful of questions and returns a [`HealthReport`]: an answer to each, the remedy where
//! an answer is bad, and the exit code of the manual. Credentials and settings come from [`ExchangeEntry::read`], are
//! completed by the command's flags ([`HealthSettings::or`]) and settled in a [`HealthRequest`].
//!
//! # Adding an exchange
//!
//! An exchange is one implementation of the private trait `exchange::Exchange`, which builds requests and reads
//! answers and does no IO:
//!
//! 1. write `health/<exchange>.rs` beside `health/binance.rs`: hosts, the requests, their answers, the exchange's error
//!    codes in words. Test its signatures against the vectors of `tests/golden/exchanges.json`;
//! 2. add one line to `exchange::REGISTRY`.
//!
//! Retry, time limits, TLS, thresholds and the report are shared and need no change.

mod binance;
mod binance_futures;
mod bitstamp;
mod bybit;
mod coinbase_advanced;
mod coinbase_exchange;
mod credentials;
mod custom;
mod exchange;
mod finding;
mod judge;
mod kraken;
mod kraken_futures;
mod kucoin;
mod names;
mod okx;
mod probe;
mod refusal;
mod report;
mod request;
mod retry;
mod settings;
mod signing;
mod symbol;
mod transport;

#[cfg(test)]
mod adapter_tests;
#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use jiff::Timestamp;

pub use credentials::{Credentials, CredentialsError, ExchangeEntry, FileFormat, own_checks};
pub use custom::{CustomCheck, CustomCheckError, CustomKind};
pub use names::{CheckName, ExchangeId, WantedCheck};
pub use report::{CheckResult, HealthReport, Status};
pub use request::{HealthRequest, Limits, RequestError};
pub use settings::{Amount, Asset, BaseUrl, HealthSettings, Mode, Network, Region, Symbol, ValueError};
pub use transport::HealthError;

/// Runs the checks that were asked for, one after the other, within [`Limits::total`].
///
/// A check that fails is an answer and part of the report; the error is for a check-up that could not begin. Without
/// `credentials` the private check, if asked for, reports that they are missing. `clock` is read once an attempt, because
/// exchanges refuse a signed request whose timestamp is old.
pub async fn check(
    request: &HealthRequest,
    credentials: Option<&Credentials>,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Result<HealthReport, HealthError> {
    let checked_at = clock();
    let transport = transport::Transport::new(request, clock)?;
    let mut results = Vec::new();
    for name in request.checks() {
        results.push(probe::run(*name, request, credentials, &transport).await);
    }
    for custom in request.custom() {
        results.push(custom.run(transport.remaining()).await);
    }
    Ok(HealthReport::new(request, checked_at, results))
}
