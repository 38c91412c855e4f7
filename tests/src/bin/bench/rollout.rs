//! `rollout`: a whole fleet of simulated hosts updated by a real controller, a failure that halts it, and the planner alone.

#[path = "rollout/fleet.rs"]
mod fleet;
#[path = "rollout/planner.rs"]
mod planner;

use anyhow::Context as _;

use crate::figure::Figure;
use crate::ground::Ground;
use crate::simulated::hosts;

/// How many.
const HOSTS: u16 = 200;
/// Threads of the simulated hosts; the controller chooses its own.
const THREADS: usize = 2;

/// Measures the planner, then rollouts against a real controller on SQLite.
pub(crate) fn run(ground: &Ground) -> anyhow::Result<Vec<Figure>> {
    eprintln!("the planner alone");
    let mut figures = planner::measure();
    eprintln!("{HOSTS} hosts: keys");
    let population = hosts::population(ground, HOSTS).context("the hosts' keys")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    figures.extend(runtime.block_on(fleet::measure(ground, &population))?);
    Ok(figures)
}
