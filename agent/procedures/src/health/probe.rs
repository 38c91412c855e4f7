//! The checks themselves: what is asked in which order.

use super::credentials::Credentials;
use super::exchange::{Answer, Exchange, Gauge, Moment};
use super::finding::Finding;
use super::judge::{Skew, judge_balance, judge_certificate, judge_rights, judge_skew, judge_usage};
use super::names::CheckName;
use super::report::{CheckResult, Status};
use super::request::HealthRequest;
use super::transport::Transport;

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
            let reply = transport.ask(|| exchange.public(symbol)).await;
            let read = |answer: &Answer| exchange.read_public(symbol, answer).map(Finding::healthy);
            Finding::of(&reply, exchange, read).unless_slow(&reply, request).result(name, &reply)
        }
        CheckName::TimeSkew => time_skew(exchange, transport).await,
        CheckName::PrivateApi => private_api(request, credentials, transport).await,
        CheckName::Withdrawal => withdrawal(request, credentials, transport).await,
        CheckName::RateLimit => rate_limit(request, credentials, transport).await,
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
    let reply = transport.ask(|| exchange.time()).await;
    // Whatever the exchange answered, TLS carried it.
    let finding = match &reply.answer {
        Err(error) => Finding::no_answer(error),
        Ok(answer) => judge_certificate(answer.certificate.as_deref(), transport.now()),
    };
    finding.detail("addresses", addresses).result(name, &reply)
}

async fn time_skew(exchange: &dyn Exchange, transport: &Transport<'_>) -> CheckResult {
    let reply = transport.ask(|| exchange.time()).await;
    let read = |answer: &Answer| {
        let skew = Skew::new(&exchange.read_time(answer)?, reply.sent_at, reply.latency);
        transport.correct(skew.correction_ms(exchange));
        Ok(judge_skew(exchange, &skew))
    };
    Finding::of(&reply, exchange, read).result(CheckName::TimeSkew, &reply)
}

/// Asks for the clock once, unless it was asked for before, so that requests can be signed with the exchange's time.
async fn correct_clock(exchange: &dyn Exchange, transport: &Transport<'_>) {
    if exchange.clock_tolerance().is_none() || transport.correction_ms().is_some() {
        return;
    }
    let reply = transport.ask_signed(1, |_| Ok(exchange.time())).await;
    // Without an answer the host's own clock must do; the time_skew check is there to say why.
    let clock = reply.answer.ok().filter(|answer| exchange.refusal(answer).is_none());
    if let Some(clock) = clock.and_then(|answer| exchange.read_time(&answer).ok()) {
        transport.correct(Skew::new(&clock, reply.sent_at, reply.latency).correction_ms(exchange));
    }
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
    correct_clock(exchange, transport).await;
    let sign = |moment: &Moment| exchange.private(credentials, moment);
    let reply = transport.ask_signed(request.limits().attempts, sign).await;
    let read = |answer: &Answer| Ok(judge_balance(request, &exchange.read_private(answer)?));
    let finding = Finding::of(&reply, exchange, read).unless_slow(&reply, request);
    match transport.correction_ms().filter(|correction| *correction != 0) {
        Some(correction) => {
            let message = format!("{} (signed with this host's clock corrected by {correction} ms)", finding.message);
            let finding = Finding { message, ..finding };
            finding.detail("clock_correction_ms", correction).result(name, &reply)
        }
        None => finding.result(name, &reply),
    }
}

async fn withdrawal(
    request: &HealthRequest,
    credentials: Option<&Credentials>,
    transport: &Transport<'_>,
) -> CheckResult {
    let (name, exchange) = (CheckName::Withdrawal, request.exchange().adapter());
    let untold = |message| Finding::unknown(message).detail("may_withdraw", "unknown").with_latency(name, None);
    let Some(credentials) = credentials else {
        return untold("there are no credentials for this exchange");
    };
    if !exchange.tells_rights(request.network()) {
        return untold("the exchange does not tell here what a key may do: look it up in its API management");
    }
    correct_clock(exchange, transport).await;
    let sign = |moment: &Moment| exchange.rights(credentials, moment);
    let reply = transport.ask_signed(request.limits().attempts, sign).await;
    let read = |answer: &Answer| exchange.read_rights(answer).map(judge_rights);
    let finding = Finding::of(&reply, exchange, read);
    // Whether the key works is private_api's to say; here, nothing was learnt.
    let finding = match finding.status {
        Status::Unavailable => Finding { status: Status::Unknown, ..finding }.detail("may_withdraw", "unknown"),
        _ => finding,
    };
    finding.result(name, &reply)
}

async fn rate_limit(
    request: &HealthRequest,
    credentials: Option<&Credentials>,
    transport: &Transport<'_>,
) -> CheckResult {
    const UNTOLD: &str = "the exchange does not tell how much of its request limit is used";
    let (name, exchange) = (CheckName::RateLimit, request.exchange().adapter());
    let reply = match (exchange.gauge(), credentials) {
        (Gauge::Open(make), _) => transport.ask(make).await,
        (Gauge::Signed, Some(credentials)) => {
            correct_clock(exchange, transport).await;
            let sign = |moment: &Moment| exchange.private(credentials, moment);
            transport.ask_signed(request.limits().attempts, sign).await
        }
        (Gauge::Signed, None) => {
            let message = "the exchange tells only to a key how much of its request limit is used";
            return Finding::unknown(message).with_latency(name, None);
        }
        (Gauge::Untold, _) => return Finding::unknown(UNTOLD).with_latency(name, None),
    };
    let read = |answer: &Answer| {
        let usage = exchange.read_usage(answer)?;
        Ok(usage.map_or_else(|| Finding::unknown(UNTOLD), |usage| judge_usage(&usage)))
    };
    Finding::of(&reply, exchange, read).result(name, &reply)
}
