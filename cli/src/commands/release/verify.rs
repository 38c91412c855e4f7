//! `flota release verify`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use flota_daemon::error_chain::chain;
use flota_release::{Catalogue, Entry, Folder, Trust};
use serde::Serialize;

use crate::commands::upload::{self, Hashed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::{bytes, clean};

/// `flota release verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The folder in which releases are signed, or a copy of its metadata/
    folder: PathBuf,
    /// The root to start from [default: the folder's own first one, which proves only that it is whole]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

/// What was found, for machines.
#[derive(Debug, Serialize)]
struct Verified {
    believed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    releases: Vec<Shown>,
    expiries: Vec<Until>,
}

#[derive(Debug, Serialize)]
struct Shown {
    version: String,
    sequence: u64,
    digest: String,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Until {
    role: String,
    version: u64,
    expires_at: String,
}

pub(super) async fn verify(invocation: &Invocation, args: &Verify) -> Result<Exit, Failure> {
    let metadata = Some(args.folder.join("metadata")).filter(|folder| folder.is_dir());
    let metadata = metadata.unwrap_or_else(|| args.folder.clone());
    let root = args.root.clone().unwrap_or_else(|| metadata.join("1.root.json"));
    // Trust that nobody keeps: a preview writes nothing, and there is nothing to read.
    let trust = Trust::open(&root, &args.folder.join("no-trust-is-kept-here"));
    let trust = trust.map_err(|error| Failure::new(Exit::NotFound, clean(&error.to_string())).because_of(&error))?;
    let found = match trust.preview(Arc::new(Folder(metadata))).await {
        Ok(catalogue) => match damaged_package(&args.folder, &catalogue)? {
            None => of(&catalogue),
            Some(name) => Verified {
                believed: false,
                problem: Some(format!("the package {} is missing or is not what was signed", clean(&name))),
                code: Some("package_damaged"),
                releases: Vec::new(),
                expiries: Vec::new(),
            },
        },
        Err(error) => Verified {
            believed: false,
            problem: Some(clean(&chain(&error))),
            code: error.refusal().map(flota_release::Refusal::code),
            releases: Vec::new(),
            expiries: Vec::new(),
        },
    };
    invocation.out.object("Verified", &found, "", |_| text(&found))?;
    Ok(if found.believed { Exit::Good } else { Exit::Bad })
}

/// The first package that is not what was signed; `None` if all are, or if the folder has metadata alone.
fn damaged_package(folder: &Path, catalogue: &Catalogue) -> Result<Option<String>, Failure> {
    let targets = folder.join("targets");
    if !targets.is_dir() {
        return Ok(None);
    }
    for Entry { name, digest, size, .. } in &catalogue.entries {
        let path = targets.join(format!("{digest}.{name}"));
        if !path.is_file() || upload::hash(&path)? != (Hashed { digest: *digest, size: *size }) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

fn of(catalogue: &Catalogue) -> Verified {
    let releases = catalogue.entries.iter().map(|entry| Shown {
        version: entry.terms.version.clone(),
        sequence: entry.terms.sequence,
        digest: entry.digest.to_string(),
        size_bytes: entry.size,
    });
    let expiries = catalogue.expiries.iter().map(|expiry| Until {
        role: expiry.role.to_string(),
        version: expiry.version,
        expires_at: expiry.at.to_string(),
    });
    Verified { believed: true, problem: None, code: None, releases: releases.collect(), expiries: expiries.collect() }
}

fn text(found: &Verified) -> String {
    if let Some(problem) = &found.problem {
        return format!("NOT believed: {problem}");
    }
    let mut lines = vec!["believed".to_owned()];
    for Shown { version, sequence, digest, size_bytes } in &found.releases {
        lines.push(format!("  {sequence:>4}  {:<16} {:>10}  {digest}", clean(version), bytes(*size_bytes)));
    }
    for Until { role, version, expires_at } in &found.expiries {
        lines.push(format!("  {role} {version} holds until {expires_at}"));
    }
    lines.join("\n")
}
