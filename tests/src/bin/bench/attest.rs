//! `attest`: what a quote costs, from the verifier alone to a fleet of simulated hosts that a controller challenges.

#[path = "attest/load.rs"]
mod load;
#[path = "attest/verifier.rs"]
mod verifier;

use anyhow::Context as _;

use crate::figure::Figure;
use crate::ground::Ground;
use crate::simulated::{fleet, hosts, processors};

/// Threads of the simulated hosts and operators; the controller chooses its own.
const THREADS: usize = 2;

/// Measures the verifier, then enrolment, sessions and challenges against a real controller on SQLite.
pub(crate) fn run(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    eprintln!("the verifier alone, beside openssl");
    let mut figures = verifier::measure().context("the verifier")?;
    eprintln!("{} hosts: keys", hosts::HOSTS);
    let population = hosts::population(ground, hosts::HOSTS).context("the hosts' keys")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    figures.extend(runtime.block_on(end_to_end(ground, &population))?);
    Ok(figures)
}

async fn end_to_end(ground: &Ground, population: &flota_sim::Population) -> anyhow::Result<Vec<Figure>> {
    processors::allow_many_files()?;
    let mut fleet = fleet::start(ground, population).context("starting a controller")?;
    eprintln!("{} hosts: enrolment", hosts::HOSTS);
    let (members, mut figures) = hosts::enrol(&fleet, population).await.context("enrolment")?;
    eprintln!("{} hosts: sessions", hosts::HOSTS);
    let (tally, sessions) = hosts::connect(&members).await.context("sessions")?;
    figures.extend(sessions);
    eprintln!("{} hosts: challenges on demand for {} s", hosts::HOSTS, load::WINDOW.as_secs());
    figures.extend(load::on_demand(&fleet, &members, &tally).await.context("challenges on demand")?);
    eprintln!("{} hosts: challenges every second for {} s", hosts::HOSTS, load::WINDOW.as_secs());
    fleet.attest_every_second().context("starting the controller with another interval")?;
    let (tally, _) = hosts::connect(&members).await.context("sessions")?;
    figures.extend(load::by_schedule(&fleet, &tally).await.context("challenges every second")?);
    fleet.stop()?;
    Ok(figures)
}
