//! `flota release`: releases are signed in a folder, by people, and published to the controller, which cannot sign any.

mod desk;
mod export;
mod list;
mod publish;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use flota_release::{Desk, DeskError, KeyError, SigningKey};
use jiff::Timestamp;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::clean;

/// Where `init` puts the keys that it makes, in the folder.
const KEYS: &str = "keys";

/// Verbs on releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// Make a folder in which releases are signed
    ///
    /// Makes a key for each role unless keys are given, and signs the first root with those that are there. Carry the
    /// keys of root and targets away from the machine: who has them decides what hosts install.
    Init(desk::Init),
    /// Sign packages as releases, or what waits for signatures
    ///
    /// Without packages it adds signatures to what waits for them. Nothing is published by it.
    Sign(sign::Sign),
    /// Take a release back: no host installs it any more
    ///
    /// What runs, runs on. The list without it is a draft, to be signed and published.
    Withdraw(desk::Withdraw),
    /// Change who signs for a role
    ///
    /// The new root is a draft, to be signed by enough keys of the old root and of the new one.
    RotateRoot(desk::RotateRoot),
    /// Upload what is signed to the controller
    ///
    /// The controller verifies it as hosts do. Publishing the same again changes nothing; an upload that was interrupted
    /// resumes.
    Publish(publish::Publish),
    /// Copy signed releases to a folder, to be carried to hosts without a network
    ///
    /// Metadata and packages, as they are signed; a host verifies them as if a controller had brought them.
    Export(export::Export),
    /// List the controller's releases, newest first
    List,
    /// Show one release and its terms
    Show(list::Show),
    /// Verify a folder of releases as a host does
    ///
    /// Ends with 0 if it is believed, 1 if not. Nothing is remembered of it.
    Verify(verify::Verify),
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: ReleaseCommand) -> Result<Exit, Failure> {
    match command {
        ReleaseCommand::Init(args) => desk::init(invocation, &args),
        ReleaseCommand::Sign(args) => sign::sign(invocation, &args),
        ReleaseCommand::Withdraw(args) => desk::withdraw(invocation, &args),
        ReleaseCommand::RotateRoot(args) => desk::rotate_root(invocation, &args),
        ReleaseCommand::Publish(args) => publish::publish(invocation, &args).await,
        ReleaseCommand::Export(args) => export::export(invocation, &args),
        ReleaseCommand::List => list::list(invocation).await,
        ReleaseCommand::Show(args) => list::show(invocation, &args).await,
        ReleaseCommand::Verify(args) => verify::verify(invocation, &args).await,
    }
}

fn open(folder: &Path) -> Result<Desk, Failure> {
    Desk::open(folder).map_err(|error| refused(&error))
}

/// A refusal of the folder: its sentence, and its cause where it has one.
fn refused(error: &DeskError) -> Failure {
    let exit = match error {
        DeskError::NotADesk(_) | DeskError::NoSuchVersion(_) | DeskError::NoSuchKey(..) => Exit::NotFound,
        DeskError::AlreadyThere(_) | DeskError::Busy(_) | DeskError::VersionTaken(_) | DeskError::NoRoot => {
            Exit::Conflict
        }
        DeskError::Threshold { .. } | DeskError::Terms(_) => Exit::Usage,
        _ => Exit::Bad,
    };
    let failure = Failure::new(exit, clean(&error.to_string())).nothing_changed();
    match std::error::Error::source(error) {
        Some(cause) => failure.because_of(cause),
        None => failure,
    }
}

fn bad_key(error: &KeyError) -> Failure {
    Failure::new(Exit::Usage, "a key cannot be used").nothing_changed().because_of(error)
}

/// The keys to sign with: those that are named, or those in the folder.
fn keys(folder: &Path, named: &[PathBuf]) -> Result<Vec<SigningKey>, Failure> {
    let mut paths = named.to_vec();
    if paths.is_empty()
        && let Ok(entries) = std::fs::read_dir(folder.join(KEYS))
    {
        paths.extend(
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some("pem".as_ref())),
        );
        paths.sort();
    }
    if paths.is_empty() {
        return Err(Failure::new(Exit::Usage, "no key to sign with").nothing_changed().fix("name it: --key FILE"));
    }
    paths.iter().map(|path| SigningKey::read(path).map_err(|error| bad_key(&error))).collect()
}

/// The present.
fn present(invocation: &Invocation) -> Result<Timestamp, Failure> {
    Timestamp::from_microsecond(invocation.now().as_micros())
        .map_err(|error| Failure::new(Exit::Bad, "the clock of this machine is wrong").because_of(&error))
}
