//! The command line: the manual's procedures one by one, and the service.
//!
//! Stdout carries the answer and nothing else, logs go to stderr, exit codes are part of the interface. This is the one
//! place that reads arguments, the environment and the wall clock.

mod adopt;
mod checklist;
mod completions;
mod delegate;
mod environment;
mod evidence;
mod export;
mod health;
mod lang;
mod man;
mod output;
mod package;
mod recover;
mod service;
mod status;
mod tpm_evidence;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use lang::Lang;
use output::{Answer, Failure};

/// Wrong flags (`EX_USAGE` of sysexits.h): the small numbers are verdicts of the procedures.
const EXIT_USAGE: u8 = 64;

/// The name of the program.
const PROGRAM: &str = "flota-agent";

#[derive(Parser)]
#[command(name = PROGRAM, version, about = "Runs the operations manual of a trading bot on its host")]
struct Cli {
    /// Language of what people read [default: that of LC_ALL, LC_MESSAGES or LANG]; JSON and codes have none
    #[arg(long, global = true, value_enum)]
    lang: Option<Lang>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the audit log, the alerts and the ends of other logs to one signed file (manual §1)
    ExportSecurityBundle(export::SecurityBundle),
    /// Write the audit log alone to one signed file
    ExportAudit(export::Audit),
    /// Check the signature of an export; exit 2 if it is not valid
    VerifySecurityBundle(export::Verify),
    /// Check an update package without unpacking it (manual §2); exit 1 if it is bad, 2 if it cannot be checked
    CheckUpdateIntegrity(package::Check),
    /// Check a file of TPM evidence (manual §3); exit 0 only for `ok`, 2 to escalate
    CheckTpmStatus(evidence::Check),
    /// Write evidence of this host, with a quote of its TPM, for the bot and for `check-tpm-status` (manual §3)
    #[command(visible_alias = "tpm-evidence")]
    ExportTpmEvidence(tpm_evidence::Export),
    /// Check that this host can trade on its exchange (manual §4); exit 1 if degraded, 2 if unavailable
    CheckRuntimeHealth(health::Check),
    /// Show the operator's checklist (manual §7); exit 1 while an item is open
    Checklist(checklist::Show),
    /// Bring an installation back after a disaster (manual §6); exit 1 while a step is open
    Recover(recover::Recover),
    /// Make a release of an installation that was made without Flota, so that it can be updated; nothing is moved
    Adopt(adopt::Adopt),
    /// Enrol this host with a token from the controller, or again with the TPM that the controller knows it by
    Enroll(service::Enroll),
    /// Run the agent until SIGTERM
    Run(service::Run),
    /// Show what runs here and where an update stands
    Status(status::Show),
    /// Update this host by hand, and look at its updates
    #[command(subcommand)]
    Update(update::UpdateCommand),
    /// Print a completion script for a shell
    Completions(completions::Completions),
    /// Print the manual page of this program, or write those of all its commands to a folder
    Man(man::Man),
}

/// The installation that a command works on.
#[derive(Args)]
struct Installation {
    /// Folder of the bot's installation; relative paths start there
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

/// The agent's settings.
#[derive(Args)]
struct Config {
    /// The agent's settings
    #[arg(long, value_name = "FILE", default_value = "/etc/flota/agent.toml")]
    config: PathBuf,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A closed stdout or stderr changes nothing about the exit code.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let lang = cli.lang.unwrap_or_else(|| Lang::of_locale(&environment::variable));
    output::finish(dispatch(cli.command, lang), lang)
}

fn dispatch(command: Command, lang: Lang) -> Result<Answer, Failure> {
    // The daemon tells what it does; the others only what goes wrong beside their answer.
    flota_daemon::logging::init(if matches!(command, Command::Run(_)) { "info" } else { "warn" });
    match command {
        Command::ExportSecurityBundle(command) => command.run(),
        Command::ExportAudit(command) => command.run(),
        Command::VerifySecurityBundle(command) => command.run(),
        Command::CheckUpdateIntegrity(command) => Ok(command.run()),
        Command::CheckTpmStatus(command) => command.run(),
        Command::ExportTpmEvidence(command) => command.run(),
        Command::CheckRuntimeHealth(command) => command.run(lang),
        Command::Checklist(command) => command.run(lang),
        Command::Recover(command) => command.run(lang),
        Command::Adopt(command) => command.run(),
        Command::Enroll(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Status(command) => command.text(lang),
        Command::Update(command) => update::run(command),
        Command::Completions(command) => Ok(command.run()),
        Command::Man(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_flags_make_sense_together() {
        super::Cli::command().debug_assert();
    }
}
