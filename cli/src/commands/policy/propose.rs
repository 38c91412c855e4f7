//! `flota policy propose`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use flota_model::Selector;
use flota_proto::v1::ProposePolicyRequest;

use super::{active, between, known, print};
use crate::args::{Chosen, Many};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::view::policy_change;
use crate::view::policy_words::next;

/// Largest document that is read, in bytes: what the controller takes, and room for white space.
const MAX_DOCUMENT_BYTES: u64 = 2 << 20;

/// `flota policy propose`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["hosts", "selector", "all", "file"]))]
pub(crate) struct Propose {
    /// Name of the policy; a name that is there gets a new version
    name: String,
    /// Accept what these hosts measure, by name or id
    #[arg(long = "from", value_name = "HOST", num_args = 1..)]
    hosts: Vec<String>,
    #[command(flatten)]
    many: Many,
    /// Take this document, or what `flota policy show -o json` printed
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Labels of the hosts that are held to it [default: every host]
    #[arg(long, value_name = "SELECTOR", conflicts_with = "file")]
    applies_to: Option<Selector>,
    /// Approve single events where boot logs allow it, not whole values
    #[arg(long, conflicts_with = "file")]
    by_events: bool,
    /// What it is for; whoever approves it reads it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

/// Makes a draft, and shows how it differs from what is active.
pub(crate) async fn propose(invocation: &Invocation, args: Propose) -> Result<Exit, Failure> {
    let request = request(args)?;
    let session = invocation.session().await?;
    let answer = session.policies().propose(session.ask(request)).await;
    let stake = Stake::LookFirst("flota policy list");
    let detail = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    let proposed = known(&detail)?;
    let active = active(&session, &proposed.policy.name).await?;
    let diff = match active.as_ref().and_then(|active| active.policy.as_ref()) {
        Some(active) => Some(between(&session, active, proposed.policy).await?),
        None => None,
    };
    print(invocation, &detail, |style| policy_change::proposal(proposed, diff.as_ref(), style))?;
    invocation.out.talk(&next(proposed.policy).join("\n"));
    Ok(Exit::Good)
}

fn request(args: Propose) -> Result<ProposePolicyRequest, Failure> {
    let Propose { name, hosts, many, file, applies_to, by_events, note } = args;
    let request = ProposePolicyRequest { name, note, ..ProposePolicyRequest::default() };
    if let Some(path) = file {
        return Ok(ProposePolicyRequest { document_json: document(&path)?, ..request });
    }
    let chosen = if hosts.is_empty() {
        many.choose("flota policy propose NAME")?
    } else {
        Chosen { hosts, ..Chosen::default() }
    };
    Ok(ProposePolicyRequest {
        applies_to: applies_to.map(|selector| selector.to_string()).unwrap_or_default(),
        selector: chosen.selector,
        all_hosts: chosen.all,
        hosts: chosen.hosts,
        by_events,
        ..request
    })
}

/// A document, bare or as `show -o json` prints it.
fn document(path: &Path) -> Result<String, Failure> {
    let unusable = |sentence: String| Failure::new(Exit::Usage, sentence).nothing_changed();
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_DOCUMENT_BYTES + 1).read_to_string(&mut text));
    read.map_err(|error| unusable(format!("cannot read {shown}")).because_of(&error))?;
    if text.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(unusable(format!("{shown} is larger than any policy")));
    }
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unusable(format!("{shown} is not JSON")).because_of(&error))?;
    match json.get("document").filter(|_| json.get("apiVersion").is_some()) {
        Some(document) => Ok(document.to_string()),
        // As it stands: a reader that dropped a key that is there twice would hide it from the controller.
        None => Ok(text),
    }
}
