//! `flota checklist`: manual section 7, computed from evidence.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use flota_model::RolloutId;
use flota_model::evidence::{DocumentKind, SealedDocument};
use flota_proto::v1::{ChecklistItem, ChecklistReport, HostChecklist, ShowChecklistRequest};
use serde_json::Value;

use super::sealed;
use crate::args::Targets;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::signs::Sign;
use crate::output::text::clean;
use crate::view::checklist;

/// Verbs on checklists.
#[derive(Debug, Subcommand)]
pub(crate) enum ChecklistCommand {
    /// Show how the six items stand on hosts; ends with 1 while some do not
    ///
    /// Nothing is ticked by hand: each item names what proves it. The ticket is that of the rollout that updated the host.
    Show(Show),
    /// Write them with the controller's signature, for auditors
    Sign(Signed),
    /// Check such a file, without a controller
    Verify(Verify),
}

/// Which hosts.
#[derive(Debug, Args)]
pub(crate) struct Which {
    #[command(flatten)]
    targets: Targets,
    /// The hosts of this rollout, with the exports that were made for it
    #[arg(long, value_name = "ROLLOUT")]
    rollout: Option<RolloutId>,
}

/// `flota checklist show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    which: Which,
}

/// `flota checklist sign`
#[derive(Debug, Args)]
pub(crate) struct Signed {
    #[command(flatten)]
    which: Which,
    /// Where to write it; the file must not exist
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// `flota checklist verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The file
    file: PathBuf,
    /// The audit key as you got it from the fleet's owner: 64 hex digits, or a file with them
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: ChecklistCommand) -> Result<Exit, Failure> {
    match command {
        ChecklistCommand::Show(args) => {
            let report = fetch(invocation, args.which).await?;
            print(invocation, &report.hosts)
        }
        ChecklistCommand::Sign(args) => sign(invocation, args).await,
        ChecklistCommand::Verify(args) => verify(invocation, &args),
    }
}

async fn fetch(invocation: &Invocation, which: Which) -> Result<ChecklistReport, Failure> {
    let request = if let Some(id) = which.rollout {
        ShowChecklistRequest { rollout: id.to_string(), ..ShowChecklistRequest::default() }
    } else {
        let chosen = which.targets.choose("flota checklist show")?;
        let (selector, all_hosts, hosts) = (chosen.selector, chosen.all, chosen.hosts);
        ShowChecklistRequest { selector, all_hosts, hosts, rollout: String::new() }
    };
    let session = invocation.session().await?;
    let answer = session.checklists().show(session.ask(request)).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

fn print(invocation: &Invocation, hosts: &[HostChecklist]) -> Result<Exit, Failure> {
    let listing = Listing {
        kind: "Checklist",
        items: hosts,
        columns: &checklist::COLUMNS,
        row: checklist::row,
        name: |host: &HostChecklist| host.host_name.clone(),
    };
    let format = invocation.out.format;
    invocation.out.listing(&listing, |style| checklist::render(hosts, format, style))?;
    invocation.out.talk(&checklist::tally(hosts));
    Ok(if hosts.iter().all(checklist::is_done) { Exit::Good } else { Exit::Bad })
}

async fn sign(invocation: &Invocation, args: Signed) -> Result<Exit, Failure> {
    super::evidence::must_be_new(&args.to)?;
    let report = fetch(invocation, args.which).await?;
    let ChecklistReport { document, public_key, signature, hosts, .. } = report;
    let sealed = SealedDocument { document, public_key, signature };
    sealed::write(&sealed, &args.to)?;
    let exit = print(invocation, &hosts)?;
    let shown = args.to.display();
    let key = clean(&sealed.public_key);
    invocation.out.talk(&format!("written to {shown}.  Check it: flota checklist verify {shown} --key {key}"));
    Ok(exit)
}

fn verify(invocation: &Invocation, args: &Verify) -> Result<Exit, Failure> {
    let document = sealed::read(invocation, DocumentKind::Checklist, &args.file, args.key.as_deref())?;
    let hosts = hosts(&document).ok_or_else(|| sealed::proves_nothing().detail("it is no checklist"))?;
    print(invocation, &hosts)
}

/// As the signed text has them.
fn hosts(document: &Value) -> Option<Vec<HostChecklist>> {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let item = |value: &Value| ChecklistItem {
        id: text(value, "id"),
        status: text(value, "status"),
        at: text(value, "at"),
        evidence: text(value, "evidence"),
    };
    let host = |value: &Value| {
        let items = value["items"].as_array()?.iter().map(item).collect();
        Some(HostChecklist { host_id: text(value, "host"), host_name: text(value, "name"), items })
    };
    document["hosts"].as_array()?.iter().map(host).collect()
}

/// The sign of an item.
pub(crate) fn sign_of(status: &str) -> Sign {
    match status {
        "done" => Sign::Ok,
        "failed" => Sign::Failed,
        "stale" => Sign::Warning,
        _ => Sign::Waiting,
    }
}
