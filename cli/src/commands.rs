//! The verbs: ask the controller, print the answer, end with a number.

use crate::args::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

pub(crate) mod alert;
pub(crate) mod attest;
pub(crate) mod audit;
pub(crate) mod checklist;
pub(crate) mod context;
pub(crate) mod enrolment;
pub(crate) mod escalation;
mod evidence;
pub(crate) mod export;
pub(crate) mod freeze;
pub(crate) mod health;
pub(crate) mod help;
pub(crate) mod host;
pub(crate) mod man;
pub(crate) mod package;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod recovery;
pub(crate) mod release;
pub(crate) mod rollout;
pub(crate) mod silence;
mod span;
pub(crate) mod token;

mod download;
mod find;
mod sealed;
mod upload;

#[cfg(test)]
mod tests;

/// Runs one command.
pub(crate) async fn run(invocation: &Invocation, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Host(command) => host::run(invocation, command).await,
        Command::Token(command) => token::run(invocation, command).await,
        Command::Enrolment(command) => enrolment::run(invocation, command).await,
        Command::Export(command) => export::run(invocation, command).await,
        Command::Health(command) => health::run(invocation, command).await,
        Command::Attest(command) => attest::run(invocation, command).await,
        Command::Policy(command) => policy::run(invocation, command).await,
        Command::Escalation(command) => escalation::run(invocation, command).await,
        Command::Package(command) => package::run(invocation, command).await,
        Command::Receipt(command) => receipt::run(invocation, command).await,
        Command::Release(command) => release::run(invocation, command).await,
        Command::Rollout(command) => rollout::run(invocation, command).await,
        Command::Recovery(command) => recovery::run(invocation, command).await,
        Command::Checklist(command) => checklist::run(invocation, command).await,
        Command::Freeze(command) => freeze::run(invocation, command).await,
        Command::Alert(command) => alert::run(invocation, command).await,
        Command::Silence(command) => silence::run(invocation, command).await,
        Command::Audit(command) => audit::run(invocation, command).await,
        Command::Context(command) => context::run(invocation, command),
        Command::Completions(args) => help::completions(invocation, &args),
        Command::Man(args) => man::run(invocation, &args),
        Command::Help(args) => help::help(invocation, &args),
        Command::Version => help::version(invocation),
    }
}
