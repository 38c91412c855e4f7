//! `flota package`: packages on this machine, without a controller.

use std::path::Path;

use clap::Subcommand;
use flota_package::key;
use flota_seal::secret::Secret;
use jiff::Timestamp;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;

mod build;
mod check;
#[cfg(test)]
mod tests;

/// Verbs on packages.
#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// Check a package as hosts check it before they install it
    ///
    /// Ends with 0 if the package is good, 1 if it is not, 2 if it cannot be checked at all. The same check on a host is
    /// flota-agent check-update-integrity.
    Check(check::Check),
    /// Build a signed package from a folder
    ///
    /// The same folder and fields give the same bytes; releases and .dudzianpkg carry a time, so give it for that.
    Build(build::Build),
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: PackageCommand) -> Result<Exit, Failure> {
    match command {
        PackageCommand::Check(args) => check::run(invocation, args).await,
        PackageCommand::Build(args) => build::run(invocation, &args),
    }
}

/// The key in that file.
fn key_in(file: &Path) -> Result<Secret, Failure> {
    let refused = || Failure::new(Exit::Usage, "the key cannot be used").nothing_changed();
    key::load(file_of("--key", file)?, "--key").map_err(|error| refused().because_of(&error))
}

/// The file that a flag for a key names. A key itself is not taken: everyone on the machine can read what a command was
/// started with.
fn file_of<'a>(flag: &str, file: &'a Path) -> Result<&'a str, Failure> {
    file.to_str().filter(|_| file.is_file()).ok_or_else(|| {
        let refused = Failure::new(Exit::Usage, format!("{flag} does not name a file")).nothing_changed();
        refused.fix("write the key to a file that only you can read")
    })
}

/// The present, as the package library counts it.
fn present(invocation: &Invocation) -> Result<Timestamp, Failure> {
    Timestamp::from_microsecond(invocation.now().as_micros())
        .map_err(|error| Failure::new(Exit::Bad, "the clock of this machine is wrong").because_of(&error))
}

/// A path as people read it.
fn shown(path: &Path) -> String {
    crate::output::text::clean(&path.display().to_string())
}
