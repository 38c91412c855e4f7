//! `update`: this host alone, by hand; and what became of its updates, whoever asked for them.

mod act;
mod apply;
mod follow;
mod history;
mod receipt;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use flota_daemon::error_chain::chain;
use flota_engine::State;
use flota_model::RolloutId;
use flota_updater::settings::Component;
use flota_updater::socket::{Call, Client, Returned};
use flota_updater::{Journal, JournalError};
use tokio::runtime::Runtime;

use super::output::{Answer, Failure, or_exit};
use super::{Config, status};
use crate::settings::{EXIT_BAD_SETTINGS, Settings};

/// An answer of the updater to another question; a fault of the program.
const UNEXPECTED: &str = "the updater answered another question";

#[derive(Subcommand)]
pub(super) enum UpdateCommand {
    /// Update this host to a signed release from a folder, such as a memory stick
    ///
    /// The same checks as in a rollout: signatures and terms, space, security export, package, self-test, rest of the bot,
    /// data, health. Waits for the end; if it is interrupted, the same command takes it up again. Exit 0 if the release
    /// runs, 1 if the host went back, 2 if it was refused and nothing was changed, 3 if a person must help.
    Apply(apply::Apply),
    /// Call the update off that is on its way; possible until the bot is stopped for it
    Cancel(act::Cancel),
    /// Go back to the release before, and wait for the end of that; exit codes as of `apply`
    Rollback(act::Rollback),
    /// Write what became of the newest update, signed with this host's key, for a controller that it does not reach
    Receipt(receipt::Receipt),
    /// Print the state of the update as JSON
    Status(Status),
    /// Print how the updates of this host ended
    History(history::History),
}

/// What is updated, and where.
#[derive(Args)]
pub(super) struct Target {
    #[command(flatten)]
    config: Config,
    /// What is updated: the bot, or one of Flota's own programs
    #[arg(long, value_enum, default_value_t = Of::Bot)]
    of: Of,
}

/// What is updated.
#[derive(Clone, Copy, ValueEnum)]
enum Of {
    /// The bot.
    Bot,
    /// This program, as it runs as a service.
    Agent,
    /// The supervisor.
    Supervisor,
}

#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    target: Target,
}

/// Settings, and what of it all is updated.
pub(super) struct Known {
    pub(super) settings: Arc<Settings>,
    component: Component,
    /// Where the updater of that keeps its state.
    state_dir: PathBuf,
}

impl Known {
    pub(super) fn of_the_bot(settings: Settings) -> Self {
        let state_dir = settings.updater.state_dir.clone();
        Self { settings: Arc::new(settings), component: Component::Bot, state_dir }
    }
}

impl Target {
    fn load(&self) -> Result<Known, Failure> {
        let settings = Settings::load(&self.config.config).map_err(or_exit(EXIT_BAD_SETTINGS))?;
        let component = match self.of {
            Of::Bot => Component::Bot,
            Of::Agent => Component::Agent,
            Of::Supervisor => Component::Supervisor,
        };
        let Some(updated) = settings.updater.of(component) else {
            let why =
                format!("the {} is not updated by Flota here: set up [programs] in the settings", component.name());
            return Err(Failure::because(why, EXIT_BAD_SETTINGS));
        };
        Ok(Known { settings: Arc::new(settings), component, state_dir: updated.state_dir })
    }
}

pub(super) fn run(command: UpdateCommand) -> Result<Answer, Failure> {
    match command {
        UpdateCommand::Apply(command) => command.run(),
        UpdateCommand::Cancel(command) => command.run(),
        UpdateCommand::Rollback(command) => command.run(),
        UpdateCommand::Receipt(command) => command.run(),
        UpdateCommand::Status(Status { target }) => status::json(&target.load()?),
        UpdateCommand::History(command) => command.run(),
    }
}

/// Where the update stands; asked of the updater where that is another user's.
pub(super) fn state(known: &Known) -> Result<Option<State>, String> {
    match Journal::peek(&known.state_dir) {
        Ok(state) => Ok(state),
        Err(JournalError::Io { source, .. }) if is_barred(&source) => match ask(known, Call::State)? {
            Returned::State { state } => Ok(state.map(|state| *state)),
            _ => Err(UNEXPECTED.to_owned()),
        },
        Err(error) => Err(chain(&error)),
    }
}

fn is_barred(error: &io::Error) -> bool {
    error.kind() == ErrorKind::PermissionDenied
}

/// Asks the updater that runs here.
fn ask(known: &Known, call: Call) -> Result<Returned, String> {
    let runtime = Runtime::new().map_err(|error| chain(&error))?;
    runtime.block_on(async {
        let client = Client::connect(&known.settings.updater.socket, known.component, None)
            .await
            .map_err(|error| chain(&error))?;
        client.call(call).await.map_err(|error| chain(&error))
    })
}

/// Who asked for an update, for people.
fn whose(rollout: RolloutId) -> String {
    if rollout == RolloutId::ON_THE_HOST { "by hand".to_owned() } else { rollout.to_string() }
}
