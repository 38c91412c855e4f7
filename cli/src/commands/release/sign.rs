//! `flota release sign`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use flota_release::{Addition, Desk, Entry, Progress, Wave};
use serde::Serialize;

use super::{keys, open, present, refused};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::{bytes, clean, short};
use crate::output::time::parse_duration;

/// `flota release sign`
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The folder in which releases are signed
    folder: PathBuf,
    /// Packages to sign as releases
    packages: Vec<PathBuf>,
    /// A private key to sign with; may be repeated [default: those in the folder's keys/]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Make metadata anew that these keys sign for, so that they hold longer
    #[arg(long)]
    extend: bool,
    /// Hosts that know of these releases install nothing older than this version any more
    #[arg(long, value_name = "VERSION", requires = "packages")]
    security_floor: Option<String>,
    /// Hosts that have run these releases run nothing older than this version any more
    #[arg(long, value_name = "VERSION", requires = "packages")]
    data_floor: Option<String>,
    /// A version that these releases may be installed over; may be repeated [default: any]
    #[arg(long = "from", value_name = "VERSION", requires = "packages")]
    upgrades_from: Vec<String>,
    /// From when which share of all hosts may install them, as in 4h=25%; may be repeated [default: all, at once]
    #[arg(long = "wave", value_name = "AFTER=SHARE", value_parser = parse_wave, requires = "packages")]
    waves: Vec<Wave>,
}

/// What came of it, for machines.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    folder: String,
    releases: Vec<Added>,
    signed: Vec<SignedRole>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
}

#[derive(Debug, Serialize)]
struct Added {
    version: String,
    sequence: u64,
    digest: String,
    size_bytes: u64,
}

#[derive(Debug, Serialize)]
struct SignedRole {
    role: String,
    version: u64,
}

#[derive(Debug, Serialize)]
struct Waiting {
    role: String,
    version: u64,
    signatures: u64,
    needed: u64,
    may_sign: Vec<String>,
}

impl Outcome {
    pub(super) fn of<'a>(folder: &Path, added: impl IntoIterator<Item = &'a Entry>, progress: &Progress) -> Self {
        let added = added.into_iter().map(|entry| Added {
            version: entry.terms.version.clone(),
            sequence: entry.terms.sequence,
            digest: entry.digest.to_string(),
            size_bytes: entry.size,
        });
        let signed =
            progress.signed.iter().map(|(role, version)| SignedRole { role: role.to_string(), version: *version });
        let waiting = progress.unsigned.as_ref().map(|unsigned| Waiting {
            role: unsigned.role.to_string(),
            version: unsigned.version,
            signatures: unsigned.have,
            needed: unsigned.need,
            may_sign: unsigned.may_sign.clone(),
        });
        let folder = folder.display().to_string();
        Self { folder, releases: added.collect(), signed: signed.collect(), waiting }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for Added { version, sequence, digest, size_bytes } in &self.releases {
            let (version, size) = (clean(version), bytes(*size_bytes));
            let _infallible = writeln!(text, "release {version}, number {sequence}: {size}, sha256 {digest}");
        }
        for SignedRole { role, version } in &self.signed {
            let _infallible = writeln!(text, "signed   {role} {version}");
        }
        if let Some(Waiting { role, version, signatures, needed, may_sign }) = &self.waiting {
            let _infallible = writeln!(text, "waiting  {role} {version}: {signatures} of {needed} signatures");
            let keys: Vec<String> = may_sign.iter().map(|id| short(id)).collect();
            let _infallible = writeln!(text, "         may sign: {}", keys.join(", "));
        }
        if text.is_empty() {
            text.push_str("nothing waits for these keys\n");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

/// `flota release sign`
pub(super) fn sign(invocation: &Invocation, args: &Sign) -> Result<Exit, Failure> {
    let mut desk = open(&args.folder)?;
    let signers = keys(&args.folder, &args.keys)?;
    let now = present(invocation)?;
    let addition = Addition {
        security_floor: args.security_floor.clone(),
        data_floor: args.data_floor.clone(),
        upgrades_from: args.upgrades_from.clone(),
        waves: args.waves.clone(),
    };
    let mut added = Vec::new();
    for package in &args.packages {
        added.push(desk.add(package, &addition, now).map_err(|error| refused(&error))?);
    }
    let progress = desk.sign(&signers, args.extend, now).map_err(|error| refused(&error))?;
    let next = next_step(&desk, &progress);
    report(invocation, &Outcome::of(&args.folder, &added, &progress), &next)
}

fn next_step(desk: &Desk, progress: &Progress) -> String {
    let folder = desk.folder().display();
    match &progress.unsigned {
        Some(_) => format!("next: another holder of a key:  flota release sign {folder} --key FILE"),
        None => format!("next: flota release publish {folder}"),
    }
}

/// Prints what came of it; a person is needed where signatures are missing.
pub(super) fn report(invocation: &Invocation, outcome: &Outcome, next: &str) -> Result<Exit, Failure> {
    invocation.out.object("SignOutcome", outcome, &outcome.folder, |_| outcome.text())?;
    invocation.out.talk(next);
    Ok(if outcome.waiting.is_some() { Exit::Decision } else { Exit::Good })
}

/// `4h=25%`, `1d=0.5%`.
pub(super) fn parse_wave(text: &str) -> Result<Wave, String> {
    let bad = || format!("`{text}` is no wave: write one as 4h=25%, in tenths of a per cent at the finest");
    let (after, share) = text.split_once('=').ok_or_else(bad)?;
    let after_seconds = parse_duration(after)?.as_secs();
    let share = share.strip_suffix('%').ok_or_else(bad)?;
    let (whole, tenths) = share.split_once('.').unwrap_or((share, "0"));
    let digit = |text: &str, most: usize| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digit(whole, 3) || !digit(tenths, 1) {
        return Err(bad());
    }
    let permille = whole.parse::<u16>().ok().zip(tenths.parse::<u16>().ok()).map(|(whole, tenths)| whole * 10 + tenths);
    Ok(Wave { after_seconds, permille: permille.filter(|permille| (1..=1000).contains(permille)).ok_or_else(bad)? })
}
