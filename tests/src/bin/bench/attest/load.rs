//! Challenges in numbers, for two reasons: operators ask for quotes of their share of the hosts, again and again, so that
//! a steady number is in flight; or the controller's own schedule asks every host each second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use flota_proto::v1;
use flota_proto::v1::attestation_client::AttestationClient;
use tonic::transport::Channel;

use crate::figure::{Bar, Figure};
use crate::simulated::fleet::SimFleet;
use crate::simulated::hosts::Enrolled;
use crate::simulated::hosts::HOSTS;
use crate::simulated::processors::Used;
use crate::simulated::tally::{Tally, percentile};

/// How long is measured.
pub(super) const WINDOW: Duration = Duration::from_secs(10);
/// Before that, so that caches are full and every operator is under way.
const WARM_UP: Duration = Duration::from_secs(2);
/// Operators, each with a connection and a share of the hosts of its own.
const OPERATORS: usize = 4;
/// Hosts that one call names. With [`OPERATORS`] it says how many challenges are in flight, and so, at a given rate, how
/// long each waits: 128 at 1,000 a second wait 128 ms.
const HOSTS_A_CALL: usize = 32;
/// Longest that a call may take, in seconds.
const CALL_SECONDS: u32 = 20;
/// Verdicts a second.
const VERDICTS: f64 = 1000.0;
/// Milliseconds from evidence to verdict, for 99 of 100.
const LATENCY: f64 = 250.0;

/// What a schedule of one second asks for of each host in a second: the controller takes off up to a fifth of the interval,
/// so that hosts do not quote together for ever, which makes 0.9 s on average.
const SCHEDULED: f64 = 1.0 / 0.9;

/// Operators ask.
pub(super) async fn on_demand(
    fleet: &SimFleet,
    members: &Arc<Vec<Enrolled>>,
    tally: &Tally,
) -> anyhow::Result<Vec<Figure>> {
    let start = Instant::now() + WARM_UP;
    let mut operators = tokio::task::JoinSet::new();
    for share in members.chunks(members.len().div_ceil(OPERATORS)) {
        let names = share.iter().map(|(_, member)| member.host_name.to_string()).collect();
        operators.spawn(ask(AttestationClient::new(fleet.operator().await?), names, start, start + WINDOW));
    }
    let Seen { rate, p50, p99, processors } = watch("attestation on demand", start, fleet, tally).await?;
    let mut calls = Vec::new();
    while let Some(took) = operators.join_next().await {
        calls.extend(took??);
    }
    let call = format!("attestation on demand: an operator's call for {HOSTS_A_CALL} hosts");
    let mut figures = vec![
        rate.bar(Bar::AtLeast(VERDICTS)),
        p50,
        p99.bar(Bar::AtMost(LATENCY)),
        Figure::new(format!("{call}, p50"), percentile(&mut calls, 50)?, "ms"),
        Figure::new(format!("{call}, p99"), percentile(&mut calls, 99)?, "ms"),
    ];
    figures.extend(processors);
    Ok(figures)
}

/// Nobody asks; the controller has a schedule of one second.
pub(super) async fn by_schedule(fleet: &SimFleet, tally: &Tally) -> anyhow::Result<Vec<Figure>> {
    let start = Instant::now() + WARM_UP;
    let Seen { rate, p50, p99, processors } = watch("attestation every second", start, fleet, tally).await?;
    let asked = f64::from(HOSTS) * SCHEDULED;
    let mut figures = vec![rate.beside("what the schedule asks for at most", Some(asked)), p50, p99];
    figures.extend(processors);
    Ok(figures)
}

/// What hosts were told in the window.
struct Seen {
    rate: Figure,
    p50: Figure,
    p99: Figure,
    processors: Vec<Figure>,
}

async fn watch(what: &str, start: Instant, fleet: &SimFleet, tally: &Tally) -> anyhow::Result<Seen> {
    tokio::time::sleep_until(start.into()).await;
    tally.take()?;
    let before = Used::by(fleet.pid()?)?;
    tokio::time::sleep_until((start + WINDOW).into()).await;
    let busy = Used::by(fleet.pid()?)?.since(&before);
    let mut latencies = tally.take()?;
    let verdicts = u32::try_from(latencies.len()).map_or(f64::INFINITY, f64::from);
    let latency = format!("{what}: evidence to verdict at the host");
    Ok(Seen {
        rate: Figure::new(format!("{what}: verdicts stored and told"), verdicts / busy.seconds, "1/s"),
        p50: Figure::new(format!("{latency}, p50"), percentile(&mut latencies, 50)?, "ms"),
        p99: Figure::new(format!("{latency}, p99"), percentile(&mut latencies, 99)?, "ms"),
        processors: busy.figures(what),
    })
}

/// Asks for quotes of these hosts until the end; milliseconds that each call took which began after the start.
async fn ask(
    mut client: AttestationClient<Channel>,
    names: Vec<String>,
    start: Instant,
    end: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut calls = Vec::new();
    for hosts in names.chunks(HOSTS_A_CALL).cycle() {
        let began = Instant::now();
        if began >= end {
            break;
        }
        let request = v1::ChallengeRequest {
            hosts: hosts.to_vec(),
            timeout_seconds: CALL_SECONDS,
            ..v1::ChallengeRequest::default()
        };
        let answer = client.challenge(request).await?.into_inner();
        let took = began.elapsed();
        ensure!(answer.outcomes.len() == hosts.len(), "{} of {} hosts", answer.outcomes.len(), hosts.len());
        for outcome in answer.outcomes {
            let reasons = outcome.reasons.join("; ");
            ensure!(outcome.verdict == "pass", "{}: {} ({reasons})", outcome.host_name, outcome.verdict);
        }
        if began >= start {
            calls.push(took.as_secs_f64() * 1000.0);
        }
    }
    Ok(calls)
}
