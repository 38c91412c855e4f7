//! The stand-in trading bot: a small real process that lives in a host's root folder the way the bot does.
//!
//! It exists so that updates, rollbacks and recoveries are tried on a program that starts, holds its lock, writes its
//! logs, reports its health and dies; not on a mock. It never trades, never opens a socket, and never writes outside
//! the root folder it was given.
//!
//! Start reading at [`root::Root`] for the files it owns, then [`run::run`] for its life.

mod control;
mod journal;
mod root;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::control::{Health, Started, Stopped};
use crate::root::Root;
use crate::run::End;

/// Everything that went wrong and has no code of its own.
const FAILED: u8 = 1;
/// `health`: nothing runs in this root.
const NOT_RUNNING: u8 = 2;
/// `run`: another bot holds this root's lock.
const ALREADY_RUNNING: u8 = 3;
/// `EX_TEMPFAIL` of sysexits.h: `quiesce`, while something is open.
const NOT_NOW: u8 = 75;
/// `EX_USAGE` of sysexits.h, because 2 already means "not running" here.
const USAGE: u8 = 64;
/// `EX_SOFTWARE` of sysexits.h: a release whose behaviour is `crash` ends with it.
const CRASHED: u8 = 70;

#[derive(Parser)]
#[command(about = "Stand-in trading bot for the tests of Flota", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the release behind `current` in the background and wait until it is up; nothing to do if a bot runs already
    Start(Place),
    /// Run the release behind `current` in the foreground until SIGTERM; exit 3 if another bot holds this root
    Run {
        #[command(flatten)]
        place: Place,
        /// Leave the caller's session first, so that the end of its terminal is not the end of the bot
        #[arg(long, hide = true)]
        own_session: bool,
    },
    /// Stop the bot: SIGTERM, a bounded wait, SIGKILL; nothing to do if none runs
    Stop(Place),
    /// Bring the bot to rest: no new orders; exit 75 if it cannot now
    Quiesce(Place),
    /// Let the bot trade again
    Resume(Place),
    /// Print one JSON object about the running bot; exit 0 healthy, 1 sick or starting, 2 not running
    Health(Place),
    /// Print the version of this program or, with --root, of the release behind `current`
    Version {
        /// Root folder of the installation
        #[arg(long)]
        root: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Place {
    /// Root folder of the installation
    #[arg(long)]
    root: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr changes nothing about the exit code.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match dispatch(cli.command).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("flota-stand-in-bot: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn dispatch(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Start(place) => match control::start(&Root::open(&place.root)?).await? {
            Started::Now(state) => say(&format!("started {} as process {}", state.version, state.pid)),
            Started::Already => say("already running"),
        },
        Command::Run { place, own_session } => {
            if own_session {
                rustix::process::setsid()?;
            }
            match run::run(&Root::open(&place.root)?).await? {
                End::Stopped => {}
                End::Crashed => return Ok(CRASHED),
                End::RootTaken => {
                    eprintln!("flota-stand-in-bot: another bot already runs in {}", place.root.display());
                    return Ok(ALREADY_RUNNING);
                }
            }
        }
        Command::Stop(place) => match control::stop(&Root::open(&place.root)?).await? {
            Stopped::Gracefully => say("stopped"),
            Stopped::Killed => say("killed: it did not stop when asked"),
            Stopped::WasNotRunning => say("not running"),
        },
        Command::Quiesce(place) => {
            if !control::quiesce(&Root::open(&place.root)?)? {
                eprintln!("flota-stand-in-bot: a position is open, not now");
                return Ok(NOT_NOW);
            }
            say("at rest");
        }
        Command::Resume(place) => {
            control::resume(&Root::open(&place.root)?)?;
            say("trades");
        }
        Command::Health(place) => {
            let health = control::health(&Root::open(&place.root)?)?;
            say(&serde_json::to_string(&health)?);
            return Ok(match health {
                Health::Healthy(_) => 0,
                Health::Sick(_) | Health::Starting(_) => FAILED,
                Health::NotRunning => NOT_RUNNING,
            });
        }
        Command::Version { root: None } => say(env!("CARGO_PKG_VERSION")),
        Command::Version { root: Some(root) } => say(&Root::open(&root)?.release()?.version),
    }
    Ok(0)
}

#[expect(clippy::print_stdout, reason = "the one place that answers the caller on stdout")]
fn say(line: &str) {
    println!("{line}");
}
