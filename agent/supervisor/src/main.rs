//! The supervisor of a host: the updater in a process of its own, with the privileges and without a network.
//!
//! It owns the releases, `current`, the journal and the bot's service, and acts only on releases that it has verified itself.
//! The agent, which has the network and no privileges, brings it what it asks for over a Unix socket
//! ([`flota_updater::socket`]). It must never open any other.
//!
//! Everything it does is in [`flota_updater`]; this is the program around it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use flota_daemon::error_chain::chain;
use flota_daemon::lifecycle::Lifecycle;
use flota_model::update::UpdateReport;
use flota_updater::settings::{Component, Home, SettingsError, UpdaterSettings};
use flota_updater::socket::{BindError, Server, Sides, Updated};
use flota_updater::{SpawnError, Updater, boot};
use tokio::sync::watch::Receiver;

/// Settings that cannot be used (`EX_USAGE` of sysexits.h), as flota-agent says it.
const EXIT_BAD_SETTINGS: u8 = 64;
/// The supervisor could not start, or stopped by itself.
const EXIT_FAILED: u8 = 1;
/// Mode bits: write for group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

#[derive(Parser)]
#[command(
    name = "flota-supervisor",
    version,
    about = "Owns the releases of a bot host and its bot's service; has no network"
)]
struct Cli {
    /// The agent's settings; the supervisor reads [supervisor], [bot], [package], [update] and [programs] of them
    #[arg(long, value_name = "FILE", default_value = "/etc/flota/agent.toml")]
    config: PathBuf,
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{0} has no [supervisor]: the agent updates this host by itself, or name the agent's user there")]
    NotMeant(String),
    #[error("{0} says what is run with the supervisor's privileges, and others can write it: chown root, chmod go-w")]
    Writable(String),
    #[error("looking at {path}")]
    Look {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Updater(#[from] SpawnError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("starting")]
    Start(#[source] std::io::Error),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    flota_daemon::logging::init("info");
    match run(&cli.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "the supervisor does not run");
            let is_setting = matches!(error, RunError::Settings(_) | RunError::NotMeant(_) | RunError::Writable(_));
            ExitCode::from(if is_setting { EXIT_BAD_SETTINGS } else { EXIT_FAILED })
        }
    }
}

fn run(config: &Path) -> Result<(), RunError> {
    guard(config)?;
    let settings = UpdaterSettings::load(config)?;
    let Home::Supervisor { agent_user } = &settings.home else {
        return Err(RunError::NotMeant(config.display().to_string()));
    };
    if let Some(own) = settings.of(Component::Supervisor) {
        boot::hand_over(Component::Supervisor, &own.root, &own.state_dir);
    }
    tracing::info!(root = %settings.root.display(), agent_user, "the supervisor runs");
    // One update at a time, and a handful of processes: one thread is plenty, and small.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Start)?;
    runtime.block_on(serve(Arc::new(settings)))
}

/// A release of this program that came to rest runs, so its next starts are counted from nothing.
async fn settle(mut reports: Receiver<UpdateReport>, state_dir: PathBuf) {
    while reports.wait_for(|report| report.phase.is_terminal()).await.is_ok() {
        boot::settled(&state_dir);
        if reports.changed().await.is_err() {
            return;
        }
    }
}

/// Whoever writes the settings runs commands as the supervisor.
fn guard(config: &Path) -> Result<(), RunError> {
    use std::os::unix::fs::MetadataExt as _;
    let path = config.display().to_string();
    let found = std::fs::metadata(config).map_err(|source| RunError::Look { path: path.clone(), source })?;
    if found.mode() & WRITABLE_BY_OTHERS != 0 { Err(RunError::Writable(path)) } else { Ok(()) }
}

async fn serve(settings: Arc<UpdaterSettings>) -> Result<(), RunError> {
    let (lifecycle, sides) = (Lifecycle::new(), Sides::new());
    let mut all = Updated::new();
    for component in Component::ALL {
        let Some(settings) = settings.of(component).map(Arc::new) else { continue };
        let updater = Updater::spawn(Arc::clone(&settings), sides.outsides(), &lifecycle)?;
        if component == Component::Supervisor {
            drop(tokio::spawn(settle(updater.reports(), settings.state_dir.clone())));
        }
        all.insert(component, (settings, updater));
    }
    let server = Server::bind(settings, all, sides)?;
    let stopping = lifecycle.stopping();
    lifecycle.spawn_vital("socket", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = server.serve() => {}
        }
    });
    lifecycle.run_until_stopped().await.map_err(RunError::Start)
}
