//! `flota-demo`: a small fleet does a working day, on real parts. Each step says what came of it; the exit status is 0
//! only if every outcome is the expected one.

#[path = "demo/kept.rs"]
mod kept;
#[path = "demo/script.rs"]
mod script;
#[path = "demo/steps.rs"]
mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use flota_tests::{Bins, Fleet, FleetOptions};

use script::Script;

/// Hosts of the demo: a canary and four more.
const HOSTS: usize = 5;

/// A fleet of five hosts with a TPM and a bot each does a working day.
#[derive(Debug, Parser)]
#[command(name = "flota-demo", version)]
struct Arguments {
    /// Leave everything running and say how to poke at it
    #[arg(long)]
    keep: bool,
    /// Folder for everything; must not exist. A temporary one unless given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// End a demo that was kept running, and remove its folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["keep", "dir"])]
    stop: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let bins = Bins::beside_this_program()?;
    if let Some(dir) = &arguments.stop {
        kept::stop(&bins, dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    let dir = match &arguments.dir {
        Some(dir) => {
            std::fs::create_dir(dir).with_context(|| format!("making {}; it must not exist yet", dir.display()))?;
            dir.canonicalize()?
        }
        None => tempfile::Builder::new().prefix("flota-demo-").tempdir()?.keep(),
    };
    kept::clean_up_on_interrupt(bins.clone(), dir.clone())?;
    let mut script = Script::begin();
    let fleet = play(&mut script, &bins, &dir);
    let code = script.conclude(fleet.as_ref().ok());
    match fleet {
        Ok(fleet) if arguments.keep => kept::leave(fleet)?,
        Ok(mut fleet) => {
            fleet.shut_down()?;
            drop(fleet);
            std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        Err(error) => {
            eprintln!("\nerror: {error:#}\nEverything that was logged is in {}", dir.display());
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(code)
}

fn play(script: &mut Script, bins: &Bins, dir: &std::path::Path) -> anyhow::Result<Fleet> {
    let options = FleetOptions { hosts: HOSTS, attest_seconds: 60 };
    let mut fleet = script.must("Start controller, exchange, five hosts with TPM and bot", || {
        let fleet = Fleet::install(bins, dir, options)?;
        Ok((format!("everything in {}", dir.display()), fleet))
    })?;
    steps::enrol(script, &mut fleet)?;
    steps::attest(script, &fleet)?;
    steps::health(script, &fleet)?;
    steps::exports(script, &fleet)?;
    steps::bad_release(script, &fleet)?;
    steps::good_release(script, &fleet)?;
    steps::tampering(script, &mut fleet)?;
    steps::audit(script, &fleet)?;
    Ok(fleet)
}
