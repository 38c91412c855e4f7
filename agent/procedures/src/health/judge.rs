//! What answers are worth: pure judgements, each with its threshold.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::exchange::{Balance, Clock, Exchange, Rights, Usage};
use super::finding::Finding;
use super::report::Status;
use super::request::HealthRequest;

/// A certificate that ends within this time degrades the host: the renewal that should have come has not.
const CERTIFICATE_HORIZON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// A clock further off than this, in milliseconds, degrades the host: half of what Binance tolerates is then used up.
const SKEW_NOTICED_MS: i64 = 500;
/// Furthest that a clock may be off, in milliseconds, for signed requests to be corrected by what was measured. Beyond a
/// minute the host has no working clock, and nothing that is said of time on it holds.
const MAX_CORRECTION_MS: i64 = 60_000;
/// Share of the request limit, in percent, from which on the host is degraded: a burst of orders may no longer fit.
const USAGE_NOTICED_PERCENT: u64 = 80;

pub(super) fn judge_rights(rights: Rights) -> Finding {
    match rights {
        Rights::Withdrawal => Finding::new(Status::Degraded, "the key may withdraw funds: whoever takes it takes them")
            .remedy("make a key without withdrawal rights for the bot, and delete this one")
            .detail("may_withdraw", true),
        Rights::NoWithdrawal => Finding::healthy("the key cannot withdraw funds").detail("may_withdraw", false),
    }
}

pub(super) fn judge_balance(request: &HealthRequest, balances: &[Balance]) -> Finding {
    let Some(asset) = request.private_asset() else {
        return Finding::healthy("the key works");
    };
    let asset = asset.as_str();
    let Some(balance) = balances.iter().find(|balance| balance.asset == asset) else {
        let finding = Finding::new(Status::Unavailable, format!("the account has no {asset}"));
        return finding.remedy("fund the account, or correct private_asset").detail("asset", asset);
    };
    let free = balance.free;
    let finding = match request.private_min_balance() {
        Some(minimum) if free < minimum => {
            Finding::new(Status::Unavailable, format!("{free} {asset} are free, below the minimum of {minimum}"))
                .remedy("fund the account, or lower private_min_balance")
                .detail("minimum", minimum.value())
        }
        _ => Finding::healthy(format!("the key works, {free} {asset} are free")),
    };
    finding.detail("asset", asset).detail("free", free.value())
}

pub(super) fn judge_usage(usage: &Usage) -> Finding {
    let Usage { used, limit, unit } = *usage;
    let percent = used.saturating_mul(100) / limit.max(1);
    let message = format!("{used} of {limit} {unit} are used ({percent}%)");
    let finding = if percent >= USAGE_NOTICED_PERCENT {
        Finding::new(Status::Degraded, message).remedy("find out which program asks so often from this address")
    } else {
        Finding::healthy(message)
    };
    finding.detail("used", used).detail("limit", limit)
}

/// This host's clock against the exchange's, in milliseconds.
pub(super) struct Skew {
    /// How far this host's is ahead; negative if behind.
    ahead: i64,
    /// How far that may be wrong: the answer was made between sending and receiving, and the clock may show steps.
    uncertainty: i64,
}

impl Skew {
    pub(super) fn new(theirs: &Clock, sent_at: Timestamp, latency: Duration) -> Self {
        let half = |duration: Duration| i64::try_from(duration.as_millis() / 2).unwrap_or(i64::MAX);
        let uncertainty = half(latency).saturating_add(half(theirs.step));
        let ours = sent_at.as_millisecond().saturating_add(half(latency));
        let theirs = theirs.shown.as_millisecond().saturating_add(half(theirs.step));
        Self { ahead: ours.saturating_sub(theirs), uncertainty }
    }

    fn certain(&self) -> i64 {
        self.ahead.abs().saturating_sub(self.uncertainty)
    }

    /// What to add to this host's clock before signing. A small skew is left alone, and so is one beyond all reason.
    pub(super) fn correction_ms(&self, exchange: &dyn Exchange) -> i64 {
        let corrected = self.certain() >= SKEW_NOTICED_MS && self.ahead.abs() <= MAX_CORRECTION_MS;
        if corrected && exchange.clock_tolerance().is_some() { -self.ahead } else { 0 }
    }
}

/// Judges the clocks, with the uncertainty as the benefit of the doubt.
pub(super) fn judge_skew(exchange: &dyn Exchange, skew: &Skew) -> Finding {
    let Skew { ahead, uncertainty } = *skew;
    let bound = exchange.clock_tolerance().map(|bound| if ahead > 0 { bound.ahead_ms } else { bound.behind_ms });
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!("this host's clock is {} ms {side} the exchange's", ahead.abs());
    let finding = match (skew.certain(), bound) {
        (certain, Some(bound)) if certain >= bound => {
            Finding::new(Status::Unavailable, format!("{message}: it refuses signed requests from {bound} ms on"))
        }
        (SKEW_NOTICED_MS.., _) => Finding::new(Status::Degraded, message),
        _ => Finding::healthy(message),
    };
    let finding = if finding.status == Status::Healthy {
        finding
    } else {
        finding.remedy("synchronise this host's clock (timedatectl, chronyc)")
    };
    finding.detail("skew_ms", ahead).detail("uncertainty_ms", uncertainty)
}

pub(super) fn judge_certificate(der: Option<&[u8]>, now: Timestamp) -> Finding {
    let end = der
        .and_then(|der| X509Certificate::from_der(der).ok())
        .and_then(|(_, certificate)| Timestamp::from_second(certificate.validity().not_after.timestamp()).ok());
    let Some(end) = end else {
        return Finding::healthy("TLS works; the certificate does not say when it ends");
    };
    let left = end.duration_since(now);
    let message = format!("the exchange's certificate ends in {} days", left.as_hours() / 24);
    let finding = if left < CERTIFICATE_HORIZON {
        Finding::new(Status::Degraded, message)
            .remedy("ask the exchange, or whoever runs base_url, to renew it; check this host's clock")
    } else {
        Finding::healthy(message)
    };
    finding.detail("certificate_ends_at", crate::iso_time::format(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::ExchangeId;

    fn skew(ahead_ms: i64, latency_ms: u64) -> (Status, String) {
        let exchange = "binance".parse::<ExchangeId>().unwrap().adapter();
        let sent = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let half = i64::try_from(latency_ms / 2).unwrap();
        let shown = Timestamp::from_millisecond(1_700_000_000_000 + half - ahead_ms).unwrap();
        let theirs = Clock { shown, step: Duration::ZERO };
        let finding = judge_skew(exchange, &Skew::new(&theirs, sent, Duration::from_millis(latency_ms)));
        (finding.status, finding.message)
    }

    #[test]
    fn clocks_are_judged_by_what_the_exchange_tolerates() {
        assert_eq!(skew(0, 40).0, Status::Healthy);
        assert_eq!(skew(600, 40).0, Status::Degraded);
        assert_eq!(skew(1100, 40).0, Status::Unavailable);
        assert_eq!(skew(-1100, 40).0, Status::Degraded);
        assert_eq!(skew(-5100, 40).0, Status::Unavailable);
        assert_eq!(
            skew(-5100, 40).1,
            "this host's clock is 5100 ms behind the exchange's: it refuses signed requests from 5000 ms on"
        );
    }

    #[test]
    fn clocks_that_show_seconds_are_not_taken_for_wrong_ones() {
        let sent = Timestamp::from_millisecond(1_700_000_000_999).unwrap();
        let theirs = Clock::from_seconds(Some(1_700_000_000)).ok().unwrap();
        let skew = Skew::new(&theirs, sent, Duration::ZERO);
        let exchange = "bitstamp".parse::<ExchangeId>().unwrap().adapter();
        assert_eq!(judge_skew(exchange, &skew).status, Status::Healthy);
    }

    #[test]
    fn clocks_are_corrected_within_reason_and_only_where_time_is_signed() {
        let correction = |exchange: &str, ahead: i64| {
            let skew = Skew { ahead, uncertainty: 20 };
            skew.correction_ms(exchange.parse::<ExchangeId>().unwrap().adapter())
        };
        assert_eq!(correction("binance", 400), 0);
        assert_eq!(correction("binance", 3000), -3000);
        assert_eq!(correction("okx", -60_000), 60_000);
        assert_eq!(correction("okx", -60_001), 0);
        assert_eq!(correction("kraken", 3000), 0, "a nonce must never shrink");
    }

    #[test]
    fn a_slow_network_is_not_taken_for_a_wrong_clock() {
        assert_eq!(skew(900, 1000).0, Status::Healthy);
        assert_eq!(skew(1400, 1000).0, Status::Degraded);
    }

    fn usage(used: u64, limit: u64) -> Usage {
        Usage { used, limit, unit: "requests" }
    }

    #[test]
    fn usage_is_judged_by_its_share() {
        assert_eq!(judge_usage(&usage(4799, 6000)).status, Status::Healthy);
        assert_eq!(judge_usage(&usage(4800, 6000)).status, Status::Degraded);
        assert_eq!(judge_usage(&usage(u64::MAX, 1)).status, Status::Degraded);
    }
}
