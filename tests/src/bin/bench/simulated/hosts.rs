//! The simulated hosts: their keys, their enrolment, their sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use flota_proto::v1;
use flota_proto::v1::tokens_client::TokensClient;
use flota_sim::agent::{Member, loopback_address};
use flota_sim::soft_tpm::AkKind;
use flota_sim::{Population, SimulatedAgent};

use super::fleet::SimFleet;
use super::tally::Tally;
use crate::figure::{Bar, Figure};
use crate::ground::Ground;

/// How many.
pub(crate) const HOSTS: u16 = 1000;
/// Hosts that enrol or connect at once.
const AT_ONCE: usize = 32;
/// All sessions are up and attested within seconds; this is for a machine that does something else beside it.
const READY_BOUND: Duration = Duration::from_mins(2);
/// Enrolments a second.
const ENROLMENTS: f64 = 100.0;

/// A host that is in.
pub(crate) type Enrolled = (SimulatedAgent, Member);

/// The TPMs of so many, [`HOSTS`] at most. The first run makes all, which takes a minute or two, and keeps them for the next.
pub(crate) fn population(ground: &Ground, count: u16) -> anyhow::Result<Population> {
    let folder = ground.kept("simulated-hosts");
    match Population::load(&folder, count.into()) {
        Ok(population) if population.tpms().len() == usize::from(count) => return Ok(population),
        _ => eprintln!("making them, once"),
    }
    let population = Population::generate(HOSTS.into(), AkKind::P256)?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    population.save(&folder)?;
    Ok(Population::load(&folder, count.into())?)
}

/// Enrols them all; tokens are made before the clock starts, as the keys were.
pub(crate) async fn enrol(
    fleet: &SimFleet,
    population: &Population,
) -> anyhow::Result<(Arc<Vec<Enrolled>>, Vec<Figure>)> {
    let count = u16::try_from(population.tpms().len())?;
    let mut tokens = Vec::new();
    let mut operator = TokensClient::new(fleet.operator().await?);
    for index in 0..count {
        let request =
            v1::CreateTokenRequest { host_name: format!("sim-{index:05}"), ..v1::CreateTokenRequest::default() };
        tokens.push(operator.create(request).await?.into_inner().token);
    }
    let hosts = (0..count).zip(population.tpms()).zip(tokens).map(|((index, tpm), token)| {
        (SimulatedAgent::new(Arc::clone(tpm), fleet.place(loopback_address(index))), token)
    });
    let hosts: Arc<Vec<_>> = Arc::new(hosts.collect());
    let began = Instant::now();
    let members = at_once(hosts.len(), {
        let hosts = Arc::clone(&hosts);
        move |index| {
            let hosts = Arc::clone(&hosts);
            async move {
                let (agent, token) = hosts.get(index).context("no such host")?;
                Ok((agent.clone(), agent.enrol(token).await?))
            }
        }
    })
    .await?;
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    ensure!(members.len() == usize::from(count), "{} hosts are enrolled", members.len());
    let figure = Figure::new(format!("enrolments of {count} hosts over TLS, {AT_ONCE} at once"), rate, "1/s")
        .bar(Bar::AtLeast(ENROLMENTS));
    Ok((Arc::new(members), vec![figure]))
}

/// Opens a session of each, and waits until each has passed its first attestation.
pub(crate) async fn connect(members: &Arc<Vec<Enrolled>>) -> anyhow::Result<(Arc<Tally>, Vec<Figure>)> {
    let tally = Arc::new(Tally::new(members.len()));
    let began = Instant::now();
    at_once(members.len(), {
        let (members, tally) = (Arc::clone(members), Arc::clone(&tally));
        move |index| {
            let (members, tally) = (Arc::clone(&members), Arc::clone(&tally));
            async move {
                let (agent, member) = members.get(index).context("no such host")?;
                let session = agent.connect(member, tally.observer(index)).await?;
                let name = member.to_string();
                drop(tokio::spawn(async move { tally.ended(&name, &session.run().await) }));
                Ok(())
            }
        }
    })
    .await?;
    tally.all_passed_once(READY_BOUND).await?;
    let (took, count) = (began.elapsed().as_secs_f64(), members.len());
    Ok((tally, vec![Figure::new(format!("sessions of {count} hosts until each is attested"), took, "s")]))
}

/// What `work` gives for every index, [`AT_ONCE`] at once, in no order.
async fn at_once<T, Work, Done>(count: usize, work: Work) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    Work: Fn(usize) -> Done + Clone + Send + 'static,
    Done: Future<Output = anyhow::Result<T>> + Send,
{
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..AT_ONCE {
        let work = work.clone();
        workers.spawn(async move {
            let mut done = Vec::new();
            for index in (worker..count).step_by(AT_ONCE) {
                done.push(work(index).await.with_context(|| format!("host {index}"))?);
            }
            anyhow::Ok(done)
        });
    }
    let mut all = Vec::new();
    while let Some(done) = workers.join_next().await {
        all.extend(done??);
    }
    Ok(all)
}
