//! `flota receipt`: what hosts say of updates that were made without the controller.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use flota_proto::v1::{Host, TakeReceiptRequest, TakeReceiptResponse};

use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::clean;
use crate::output::time;

/// Largest file that is sent, in bytes; the controller takes no larger receipt either.
const MAX_BYTES: u64 = 64 << 10;

/// Verbs on receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Give the controller what a host says of an update by hand
    ///
    /// `flota-agent update receipt` writes such a file, signed with the host's key. What it says is a claim until the host
    /// answers with a quote. The same file again changes nothing.
    Import(Import),
}

/// `flota receipt import`
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The file
    file: PathBuf,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: ReceiptCommand) -> Result<Exit, Failure> {
    let ReceiptCommand::Import(Import { file }) = command;
    let document = read(&file)?;
    let session = invocation.session().await?;
    let answer = session.hosts().take_receipt(session.ask(TakeReceiptRequest { document })).await;
    let answer = answer.map_err(|status| Failure::of_status(&status, Stake::Repeatable))?.into_inner();
    let name = answer.host.as_ref().map(|host| host.name.clone()).unwrap_or_default();
    invocation.out.object("Receipt", &answer, &name, |_| taken(&answer))?;
    Ok(Exit::Good)
}

fn read(file: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let failed = |error: std::io::Error| {
        Failure::new(Exit::NotFound, format!("the receipt {} cannot be read", file.display())).because_of(&error)
    };
    let mut text = String::new();
    std::fs::File::open(file).map_err(failed)?.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn taken(answer: &TakeReceiptResponse) -> String {
    let TakeReceiptResponse { host, news, made_at, export_sha256 } = answer;
    let Host { name, version, phase, .. } = host.clone().unwrap_or_default();
    let (name, version, phase) = (clean(&name), clean(&version), clean(&phase));
    let word = if *news { "taken" } else { "known already" };
    let mut lines = vec![format!("{name}: {version}, {phase}; {word} (made {})", time::stamp(made_at))];
    if !export_sha256.is_empty() {
        lines.push(format!("security export before it: sha256 {}", clean(export_sha256)));
    }
    if *news {
        lines.push("it is a claim until the host answers with a quote".to_owned());
    }
    lines.join("\n")
}
