//! `flota attest`.

use clap::Subcommand;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

mod challenge;
mod look;
mod standing;

#[cfg(test)]
mod tests;

/// Verbs on attestation.
#[derive(Debug, Subcommand)]
pub(crate) enum AttestCommand {
    /// Show how far hosts are trusted, and for how long yet
    ///
    /// Ends with 0 if every host is trusted, 1 if one is drifted, untrusted or quarantined, 9 if one awaits approval,
    /// 3 if one has yet to prove itself. Without hosts it shows all but the retired.
    Status(look::Status),
    /// Show one host's proof: identity, registers and their policy, last verdicts
    Show(look::Show),
    /// Ask hosts for a fresh quote now, and judge it
    ///
    /// Ends with 0 if all pass, 1 if one fails, 3 if some are silent or inconclusive.
    Challenge(challenge::Challenge),
    /// Shut a host out until it is cleared
    ///
    /// Its lease, its sessions and its certificate end at once; the bot goes on trading, unmanaged. Asks first.
    Quarantine(standing::Quarantine),
    /// Let a host in again that was quarantined or is untrusted
    ///
    /// It gets no new work before a fresh quote has passed. Asks first.
    Clear(standing::Clear),
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: AttestCommand) -> Result<Exit, Failure> {
    match command {
        AttestCommand::Status(args) => look::status(invocation, args).await,
        AttestCommand::Show(args) => look::show(invocation, args).await,
        AttestCommand::Challenge(args) => challenge::run(invocation, args).await,
        AttestCommand::Quarantine(args) => standing::quarantine(invocation, args).await,
        AttestCommand::Clear(args) => standing::clear(invocation, args).await,
    }
}
