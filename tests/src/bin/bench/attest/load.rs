//! Challenges as fast as a controller takes them: several operators ask for quotes of their share of the hosts, again and
//! again, so that a steady number is in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use flota_proto::v1;
use flota_proto::v1::attestation_client::AttestationClient;
use tonic::transport::Channel;

use super::fleet::SimFleet;
use super::hosts::Enrolled;
use super::processors;
use super::tally::{Tally, percentile};
use crate::figure::{Bar, Figure};
use crate::ground;

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

pub(super) async fn measure(
    fleet: &SimFleet,
    members: &Arc<Vec<Enrolled>>,
    tally: &Tally,
) -> anyhow::Result<Vec<Figure>> {
    let began = Instant::now();
    let (start, end) = (began + WARM_UP, began + WARM_UP + WINDOW);
    let mut operators = tokio::task::JoinSet::new();
    for share in members.chunks(members.len().div_ceil(OPERATORS)) {
        let names = share.iter().map(|(_, member)| member.host_name.to_string()).collect();
        operators.spawn(ask(AttestationClient::new(fleet.operator().await?), names, start, end));
    }
    tokio::time::sleep_until(start.into()).await;
    tally.take()?;
    let before = Used::now(fleet)?;
    tokio::time::sleep_until(end.into()).await;
    let after = Used::now(fleet)?;
    let mut latencies = tally.take()?;
    let mut calls = Vec::new();
    while let Some(took) = operators.join_next().await {
        calls.extend(took??);
    }
    figures(&mut latencies, &mut calls, &after.since(&before))
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

/// Processor time so far.
struct Used {
    at: Instant,
    controller: f64,
    ourselves: f64,
}

/// Processors that were busy on average.
struct Busy {
    seconds: f64,
    controller: f64,
    ourselves: f64,
}

impl Used {
    fn now(fleet: &SimFleet) -> anyhow::Result<Self> {
        let controller = processors::seconds(fleet.pid()?)?;
        Ok(Self { at: Instant::now(), controller, ourselves: processors::seconds(std::process::id())? })
    }

    fn since(&self, before: &Self) -> Busy {
        let seconds = self.at.duration_since(before.at).as_secs_f64();
        let busy = |after: f64, before: f64| (after - before) / seconds;
        Busy {
            seconds,
            controller: busy(self.controller, before.controller),
            ourselves: busy(self.ourselves, before.ourselves),
        }
    }
}

fn figures(latencies: &mut [f64], calls: &mut [f64], busy: &Busy) -> anyhow::Result<Vec<Figure>> {
    let verdicts = u32::try_from(latencies.len()).map_or(f64::INFINITY, f64::from);
    let (machine, all) = (ground::machine(), processors::count());
    let cores = |what: &str, value: f64| {
        Figure::new(format!("processors busy while attesting: {what}"), value, "cores").beside(&machine, Some(all))
    };
    let call = format!("operator's call for {HOSTS_A_CALL} hosts: to the last verdict");
    Ok(vec![
        Figure::new("sustained attestation: verdicts stored and told", verdicts / busy.seconds, "1/s")
            .bar(Bar::AtLeast(VERDICTS)),
        Figure::new("evidence to verdict at the host, p50", percentile(latencies, 50)?, "ms"),
        Figure::new("evidence to verdict at the host, p99", percentile(latencies, 99)?, "ms").bar(Bar::AtMost(LATENCY)),
        Figure::new(format!("{call}, p50"), percentile(calls, 50)?, "ms"),
        Figure::new(format!("{call}, p99"), percentile(calls, 99)?, "ms"),
        cores("controller", busy.controller),
        cores("simulated hosts and operators", busy.ourselves),
    ])
}
