//! The checks themselves: ask, judge, put it into words.

use std::collections::BTreeMap;
use std::time::Duration;

use flota_seal::json::Json;
use jiff::{SignedDuration, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::credentials::Credentials;
use super::exchange::{Answer, Ask, Exchange, Refusal, Usage};
use super::report::{CheckResult, Status};
use super::request::{CheckName, HealthRequest};
use super::transport::{Reply, Transport, TransportError, retry_after};
use crate::causes;

/// A certificate that ends within this time degrades the host: the renewal that should have come has not.
const CERTIFICATE_HORIZON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// A clock further off than this, in milliseconds, degrades the host: half of what Binance tolerates is then used up.
const SKEW_NOTICED_MS: i64 = 500;
/// Share of the request limit, in percent, from which on the host is degraded: a burst of orders may no longer fit.
const USAGE_NOTICED_PERCENT: u64 = 80;

/// Runs one check.
pub(super) async fn run(
    name: CheckName,
    request: &HealthRequest,
    credentials: Option<&Credentials>,
    transport: &Transport<'_>,
) -> CheckResult {
    let exchange = request.exchange().adapter();
    match name {
        CheckName::DnsTls => dns_tls(exchange, transport).await,
        CheckName::PublicApi => {
            let symbol = request.public_symbol();
            let reply = transport.ask(|_| exchange.public(symbol)).await;
            let read = |answer: &Answer| exchange.read_public(symbol, answer).map(Finding::healthy);
            Finding::of(&reply, exchange, read).unless_slow(&reply, request).result(name, &reply)
        }
        CheckName::TimeSkew => time_skew(exchange, transport).await,
        CheckName::PrivateApi => private_api(request, credentials, transport).await,
        CheckName::RateLimit => {
            let reply = transport.ask(|_| exchange.usage()).await;
            let read = |answer: &Answer| exchange.read_usage(answer).map(|usage| judge_usage(&usage));
            Finding::of(&reply, exchange, read).result(name, &reply)
        }
    }
}

/// A judged answer.
struct Finding {
    status: Status,
    message: String,
    remedy: Option<String>,
    details: BTreeMap<&'static str, Json>,
}

impl Finding {
    fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), remedy: None, details: BTreeMap::new() }
    }

    fn healthy(message: impl Into<String>) -> Self {
        Self::new(Status::Healthy, message)
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn detail(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.details.insert(name, value.into());
        self
    }

    /// Judges a reply: `read` for a good answer, the same words for every failure.
    fn of(reply: &Reply, exchange: &dyn Exchange, read: impl FnOnce(&Answer) -> Result<Self, Refusal>) -> Self {
        match &reply.answer {
            Err(error) => Self::no_answer(error),
            Ok(answer) if (200..300).contains(&answer.status) => match read(answer) {
                Ok(finding) => finding,
                Err(refusal) => Self::refused(refusal, answer),
            },
            Ok(answer) => Self::refused(exchange.read_refusal(answer), answer),
        }
    }

    fn no_answer(error: &TransportError) -> Self {
        let remedy = match error {
            error if error.is_tls() => {
                "compare the certificate with the exchange's: something may stand between, or ca_file is not its authority"
            }
            TransportError::Broken(_) => "check network, firewall and base_url",
            TransportError::TimedOut(_) | TransportError::OutOfTime => {
                "check the network and the exchange's status page, then run the check again"
            }
            TransportError::TooLong => "check base_url: this is not how the exchange answers",
        };
        Self::new(Status::Unavailable, causes::on_one_line(error)).remedy(remedy)
    }

    fn refused(refusal: Refusal, answer: &Answer) -> Self {
        let Refusal { code, meaning, remedy } = refusal;
        let mut finding = Self::new(Status::Unavailable, format!("the exchange answered {}: {meaning}", answer.status));
        finding.remedy = remedy.map(str::to_owned);
        finding = finding.detail("http_status", u32::from(answer.status));
        if let Some(code) = code {
            finding = finding.detail("code", code);
        }
        if let Some(wait) = retry_after(answer) {
            finding = finding.detail("retry_after_s", wait.as_secs());
        }
        finding
    }

    /// A good answer that took too long is not a good one.
    fn unless_slow(mut self, reply: &Reply, request: &HealthRequest) -> Self {
        let bound = request.limits().slow_after;
        if self.status == Status::Healthy && reply.latency > bound {
            self.status = Status::Degraded;
            self.message = format!("{}, and the answer took more than {:.1} s", self.message, bound.as_secs_f64());
            self.remedy = Some("check the network and the exchange's status page".to_owned());
        }
        self
    }

    fn result(self, name: CheckName, reply: &Reply) -> CheckResult {
        self.detail("attempts", reply.attempts).with_latency(name, Some(reply.latency))
    }

    fn with_latency(self, name: CheckName, latency: Option<Duration>) -> CheckResult {
        let Self { status, message, remedy, details } = self;
        CheckResult { name, status, latency, message, remedy, details }
    }
}

async fn dns_tls(exchange: &dyn Exchange, transport: &Transport<'_>) -> CheckResult {
    let name = CheckName::DnsTls;
    let addresses = match transport.resolve().await {
        Ok(addresses) => addresses.len(),
        Err(error) => {
            let finding = Finding::new(Status::Unavailable, format!("the exchange's name does not resolve: {error}"));
            return finding.remedy("check this host's DNS (resolvectl query) and base_url").with_latency(name, None);
        }
    };
    let reply = transport.ask(|_| exchange.time()).await;
    // Whatever the exchange answered, TLS carried it.
    let finding = match &reply.answer {
        Err(error) => Finding::no_answer(error),
        Ok(answer) => judge_certificate(answer.certificate.as_deref(), transport.now()),
    };
    finding.detail("addresses", addresses).result(name, &reply)
}

async fn time_skew(exchange: &dyn Exchange, transport: &Transport<'_>) -> CheckResult {
    let reply = transport.ask(|_| exchange.time()).await;
    let read = |answer: &Answer| {
        let theirs = exchange.read_time(answer)?;
        Ok(judge_skew(exchange, theirs, reply.sent_at, reply.latency))
    };
    Finding::of(&reply, exchange, read).result(CheckName::TimeSkew, &reply)
}

async fn private_api(
    request: &HealthRequest,
    credentials: Option<&Credentials>,
    transport: &Transport<'_>,
) -> CheckResult {
    let (name, exchange) = (CheckName::PrivateApi, request.exchange().adapter());
    let Some(credentials) = credentials else {
        let finding = Finding::new(Status::Unavailable, "there are no credentials for this exchange");
        let remedy = "put key_id and secret into the credentials file, or leave the check out with --skip-private";
        return finding.remedy(remedy).with_latency(name, None);
    };
    let sign = |now: Timestamp| -> Ask { exchange.private(credentials, now) };
    let reply = transport.ask(sign).await;
    let read = |answer: &Answer| Ok(judge_balance(request, &exchange.read_private(answer)?));
    Finding::of(&reply, exchange, read).unless_slow(&reply, request).result(name, &reply)
}

fn judge_balance(request: &HealthRequest, balances: &[super::exchange::Balance]) -> Finding {
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

fn judge_usage(usage: &Usage) -> Finding {
    let Usage { used, limit } = *usage;
    let percent = used.saturating_mul(100) / limit.max(1);
    let message = format!("{used} of {limit} request weight a minute are used ({percent}%)");
    let finding = if percent >= USAGE_NOTICED_PERCENT {
        Finding::new(Status::Degraded, message).remedy("find out which program asks so often from this address")
    } else {
        Finding::healthy(message)
    };
    finding.detail("used", used).detail("limit", limit)
}

/// Compares the clocks. The answer was made between sending and receiving; half that time is the benefit of the doubt.
fn judge_skew(exchange: &dyn Exchange, theirs: Timestamp, sent_at: Timestamp, latency: Duration) -> Finding {
    let half = i64::try_from(latency.as_millis() / 2).unwrap_or(i64::MAX);
    let ahead = sent_at.as_millisecond().saturating_add(half).saturating_sub(theirs.as_millisecond());
    let tolerance = exchange.clock_tolerance();
    let certain = ahead.abs().saturating_sub(half);
    let bound = if ahead > 0 { tolerance.ahead_ms } else { tolerance.behind_ms };
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!("this host's clock is {} ms {side} the exchange's", ahead.abs());
    let finding = match certain {
        certain if certain >= bound => {
            Finding::new(Status::Unavailable, format!("{message}: it refuses signed requests from {bound} ms on"))
        }
        SKEW_NOTICED_MS.. => Finding::new(Status::Degraded, message),
        _ => Finding::healthy(message),
    };
    let finding = if finding.status == Status::Healthy {
        finding
    } else {
        finding.remedy("synchronise this host's clock (timedatectl, chronyc)")
    };
    finding.detail("skew_ms", ahead).detail("uncertainty_ms", half)
}

fn judge_certificate(der: Option<&[u8]>, now: Timestamp) -> Finding {
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
        let theirs = Timestamp::from_millisecond(1_700_000_000_000 + half - ahead_ms).unwrap();
        let finding = judge_skew(exchange, theirs, sent, Duration::from_millis(latency_ms));
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
    fn a_slow_network_is_not_taken_for_a_wrong_clock() {
        assert_eq!(skew(900, 1000).0, Status::Healthy);
        assert_eq!(skew(1400, 1000).0, Status::Degraded);
    }

    #[test]
    fn usage_is_judged_by_its_share() {
        assert_eq!(judge_usage(&Usage { used: 4799, limit: 6000 }).status, Status::Healthy);
        assert_eq!(judge_usage(&Usage { used: 4800, limit: 6000 }).status, Status::Degraded);
        assert_eq!(judge_usage(&Usage { used: u64::MAX, limit: 1 }).status, Status::Degraded);
    }
}
