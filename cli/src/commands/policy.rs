//! `flota policy`.

use clap::{Args, Subcommand};
use flota_proto::v1::{
    DiffPoliciesRequest, DiffPoliciesResponse, ExplainPolicyRequest, ListPoliciesRequest, ObserveRequest, Policy,
    PolicyDetail, PolicyRef,
};
use serde::Serialize;

use crate::args::Targets;
use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::text::{argument, clean};
use crate::view::policy_observe::{self, Observed, observed};
use crate::view::policy_words::{Known, next};
use crate::view::{policy_change, policy_explain, policy_list, policy_show};

mod act;
mod propose;
mod take;

#[cfg(test)]
mod tests;

/// Verbs on policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List policies by name, the newest version first
    List(List),
    /// Show what a policy asks of a host
    Show(Show),
    /// Show what hosts measure now, grouped by value. Changes nothing
    Observe(Observe),
    /// Make a draft from what hosts measure, or from a document
    ///
    /// Prints how it differs from what is active. No host is held to a draft.
    Propose(propose::Propose),
    /// Show what changes from one policy to another
    Diff(Diff),
    /// Approve a draft that somebody else wrote, or a change that somebody else asked for. Shows what changes, and asks
    Approve(act::Approve),
    /// Accept a policy beside the active one for a while, as for a kernel update
    ///
    /// It asks for the policy's name to be typed: more is accepted meanwhile.
    Stage(act::Stage),
    /// Hold hosts to a policy from now on
    ///
    /// It asks for the policy's name to be typed where less is asked than before, and y/N otherwise.
    Activate(act::Activate),
    /// Take a policy out of use
    ///
    /// Of the active one this takes two people: it asks for the policy's name to be typed, and is done when somebody else
    /// approves it, in a day.
    Retire(take::Retire),
    /// Hold hosts again to the version that was active before
    ///
    /// It takes two people: it asks for the policy's name to be typed, and is done when somebody else approves it, in a
    /// day.
    Rollback(take::Rollback),
    /// Say why a host does or does not meet its policy, event by event
    Explain(Explain),
}

/// `flota policy list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only versions of this policy
    name: Option<String>,
}

/// `flota policy show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name (its newest version), name@version, or the beginning of a digest
    policy: String,
}

/// `flota policy observe`
#[derive(Debug, Args)]
pub(crate) struct Observe {
    #[command(flatten)]
    targets: Targets,
}

/// `flota policy diff`
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Name (its newest version), name@version, or the beginning of a digest
    policy: String,
    /// What it becomes; without it, the change is from the active version to POLICY
    #[arg(value_name = "OTHER")]
    other: Option<String>,
}

/// `flota policy explain`
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Name, id, or the beginning of an id
    host: String,
}

/// A policy for machines: the read model, with the document as what it is.
#[derive(Serialize)]
struct WithDocument<'a> {
    #[serde(flatten)]
    detail: &'a PolicyDetail,
    document: serde_json::Value,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::List(args) => list(invocation, args).await,
        PolicyCommand::Show(args) => show(invocation, args).await,
        PolicyCommand::Observe(args) => observe(invocation, args).await,
        PolicyCommand::Propose(args) => propose::propose(invocation, args).await,
        PolicyCommand::Diff(args) => diff(invocation, args).await,
        PolicyCommand::Approve(args) => act::approve(invocation, args).await,
        PolicyCommand::Stage(args) => act::stage(invocation, args).await,
        PolicyCommand::Activate(args) => act::activate(invocation, args).await,
        PolicyCommand::Retire(args) => take::retire(invocation, args).await,
        PolicyCommand::Rollback(args) => take::rollback(invocation, args).await,
        PolicyCommand::Explain(args) => explain(invocation, args).await,
    }
}

async fn list(invocation: &Invocation, args: List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let policies = versions(&session, args.name.unwrap_or_default()).await?;
    let (out, now, format) = (&invocation.out, invocation.now(), invocation.out.format);
    if policies.is_empty() {
        out.talk("no policies: hosts are held to their own first quote.  Make one: flota policy propose NAME --all");
    }
    let listing = Listing {
        kind: "Policy",
        items: &policies,
        columns: &policy_list::COLUMNS,
        row: policy_list::row,
        name: |policy: &Policy| policy.digest.clone(),
    };
    out.listing(&listing, |style| policy_list::render(&policies, format, now, style))?;
    Ok(Exit::Good)
}

async fn show(invocation: &Invocation, args: Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let detail = fetch(&session, &args.policy).await?;
    let known = known(&detail)?;
    let (now, format) = (invocation.now(), invocation.out.format);
    print(invocation, &detail, |style| policy_show::render(known, format, now, style))?;
    // What is in force or over asks for nothing.
    if !matches!(known.policy.state.as_str(), "active" | "retiring" | "retired") {
        invocation.out.talk(&next(known.policy).join("\n"));
    }
    Ok(Exit::Good)
}

async fn observe(invocation: &Invocation, args: Observe) -> Result<Exit, Failure> {
    let chosen = args.targets.or_all();
    let session = invocation.session().await?;
    let from = match (&chosen.selector, chosen.all) {
        (_, true) => "--all".to_owned(),
        (selector, false) if !selector.is_empty() => format!("-l {selector}"),
        _ => format!("--from {}", chosen.hosts.iter().map(|host| argument(host)).collect::<Vec<_>>().join(" ")),
    };
    let request = ObserveRequest { selector: chosen.selector, all_hosts: chosen.all, hosts: chosen.hosts };
    let answer = session.policies().observe(session.ask(request)).await;
    let answer = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    let (hosts, with_log) = (answer.hosts, answer.hosts_with_log);
    let values = observed(answer);
    let (out, format) = (&invocation.out, invocation.out.format);
    let listing = Listing {
        kind: "ObservedValue",
        items: &values,
        columns: &policy_observe::COLUMNS,
        row: Observed::row,
        name: Observed::name,
    };
    out.listing(&listing, |style| policy_observe::render(&values, format, style))?;
    let summary = policy_observe::summary(hosts, with_log, &values);
    out.talk(&format!("{summary}\nevents: -o wide\nnext: flota policy propose NAME {from}"));
    Ok(Exit::Good)
}

async fn diff(invocation: &Invocation, args: Diff) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let (from, to) = match args.other {
        Some(other) => (args.policy, other),
        None => (String::new(), args.policy),
    };
    let answer = session.policies().diff(session.ask(DiffPoliciesRequest { from, to })).await;
    let diff = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    invocation.out.object("PolicyDiff", &diff, &diff.to, |style| policy_change::diff(&diff, style))?;
    Ok(Exit::Good)
}

async fn explain(invocation: &Invocation, args: Explain) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.policies().explain(session.ask(ExplainPolicyRequest { host: args.host })).await;
    let why = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner();
    let now = invocation.now();
    invocation
        .out
        .object("PolicyExplanation", &why, &why.host_name, |style| policy_explain::render(&why, now, style))?;
    Ok(Exit::Good)
}

/// A policy with its document, by whatever names it.
async fn fetch(session: &Session, policy: &str) -> Result<PolicyDetail, Failure> {
    let answer = session.policies().show(session.ask(PolicyRef { policy: policy.to_owned() })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

/// Every version of a policy, or all policies for an empty name.
async fn versions(session: &Session, name: String) -> Result<Vec<Policy>, Failure> {
    let answer = session.policies().list(session.ask(ListPoliciesRequest { name })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().policies)
}

/// The active version of a name, with its document.
async fn active(session: &Session, name: &str) -> Result<Option<PolicyDetail>, Failure> {
    let active = versions(session, name.to_owned()).await?.into_iter().find(|policy| policy.state == "active");
    match active {
        Some(policy) => fetch(session, &policy.digest).await.map(Some),
        None => Ok(None),
    }
}

/// How a policy differs from another one, by their digests.
async fn between(session: &Session, from: &Policy, to: &Policy) -> Result<DiffPoliciesResponse, Failure> {
    let request = DiffPoliciesRequest { from: from.digest.clone(), to: to.digest.clone() };
    let answer = session.policies().diff(session.ask(request)).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

fn known(detail: &PolicyDetail) -> Result<Known<'_>, Failure> {
    Known::of(detail).ok_or_else(|| Failure::new(Exit::Bad, "the controller's answer has no policy in it"))
}

/// Prints a policy with its document.
fn print(
    invocation: &Invocation,
    detail: &PolicyDetail,
    text: impl FnOnce(crate::output::Style) -> String,
) -> Result<(), Failure> {
    // A document that is no JSON is still there as text.
    let document = serde_json::from_str(&detail.document_json).unwrap_or_default();
    let digest = detail.policy.as_ref().map_or("", |policy| &policy.digest);
    invocation.out.object("PolicyDetail", &WithDocument { detail, document }, &clean(digest), text)
}
