//! `update`: this host alone, by hand; and what became of its updates, whoever asked for them.

mod act;
mod apply;
mod follow;
mod history;
mod receipt;

use std::io::{self, ErrorKind};

use clap::Subcommand;
use flota_daemon::error_chain::chain;
use flota_engine::State;
use flota_model::RolloutId;
use flota_updater::socket::{Call, Client, Returned};
use flota_updater::{Journal, JournalError};
use tokio::runtime::Runtime;

use super::output::{Answer, Failure};
use super::status;
use crate::settings::Settings;

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
    Status(status::Show),
    /// Print how the updates of this host ended
    History(history::History),
}

pub(super) fn run(command: UpdateCommand) -> Result<Answer, Failure> {
    match command {
        UpdateCommand::Apply(command) => command.run(),
        UpdateCommand::Cancel(command) => command.run(),
        UpdateCommand::Rollback(command) => command.run(),
        UpdateCommand::Receipt(command) => command.run(),
        UpdateCommand::Status(command) => command.json(),
        UpdateCommand::History(command) => command.run(),
    }
}

/// Where the update stands; asked of the updater where that is another user's.
pub(super) fn state(settings: &Settings) -> Result<Option<State>, String> {
    match Journal::peek(&settings.updater.state_dir) {
        Ok(state) => Ok(state),
        Err(JournalError::Io { source, .. }) if is_barred(&source) => match ask(settings, Call::State)? {
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
fn ask(settings: &Settings, call: Call) -> Result<Returned, String> {
    let runtime = Runtime::new().map_err(|error| chain(&error))?;
    runtime.block_on(async {
        let client = Client::connect(&settings.updater.socket, None).await.map_err(|error| chain(&error))?;
        client.call(call).await.map_err(|error| chain(&error))
    })
}

/// Who asked for an update, for people.
fn whose(rollout: RolloutId) -> String {
    if rollout == RolloutId::ON_THE_HOST { "by hand".to_owned() } else { rollout.to_string() }
}
