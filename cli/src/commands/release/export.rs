//! `flota release export`.

use std::path::PathBuf;

use clap::Args;
use flota_release::{Bundle, BundleError, Entry};
use serde::Serialize;

use super::{open, refused};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::{bytes, clean};

/// `flota release export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The folder in which releases are signed
    folder: PathBuf,
    /// The versions whose packages go along
    #[arg(required = true, value_name = "VERSION")]
    versions: Vec<String>,
    /// Where to: a folder, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// What was written, for machines.
#[derive(Debug, Serialize)]
struct Exported {
    folder: String,
    releases: Vec<Package>,
}

#[derive(Debug, Serialize)]
struct Package {
    version: String,
    digest: String,
    size_bytes: u64,
    file: String,
}

pub(super) fn export(invocation: &Invocation, args: &Export) -> Result<Exit, Failure> {
    let desk = open(&args.folder)?;
    let signed = desk.releases().map_err(|error| refused(&error))?;
    let find = |version: &String| {
        signed.iter().find(|entry| entry.terms.version == *version).ok_or_else(|| {
            Failure::new(Exit::NotFound, format!("no release {} is signed here", clean(version)))
                .nothing_changed()
                .fix("look:  flota release verify DIR, or sign it first:  flota release sign DIR PACKAGE")
        })
    };
    let chosen = args.versions.iter().map(find).collect::<Result<Vec<&Entry>, _>>()?;
    let bundle = Bundle::make(&desk, &chosen, &args.to).map_err(|error| unmade(&error))?;
    let package = |entry: &&Entry| Package {
        version: entry.terms.version.clone(),
        digest: entry.digest.to_string(),
        size_bytes: entry.size,
        file: bundle.package(entry).display().to_string(),
    };
    let folder = args.to.display().to_string();
    let exported = Exported { folder, releases: chosen.iter().map(package).collect() };
    invocation.out.object("Exported", &exported, &exported.folder, |_| {
        let lines = exported.releases.iter().map(|release| {
            format!("{} {}, sha256 {}", clean(&release.version), bytes(release.size_bytes), release.digest)
        });
        lines.collect::<Vec<_>>().join("\n")
    })?;
    invocation.out.talk(&format!("on a host: flota-agent update apply {}", clean(&exported.folder)));
    Ok(Exit::Good)
}

fn unmade(error: &BundleError) -> Failure {
    let failure = Failure::new(Exit::Bad, clean(&error.to_string()));
    match std::error::Error::source(error) {
        Some(cause) => failure.because_of(cause),
        None => failure,
    }
}
