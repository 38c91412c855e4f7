//! `flota freeze`: times in which no rollout changes hosts.

use clap::{Args, Subcommand};
use flota_proto::v1::{CreateFreezeRequest, EndFreezeRequest, Freeze, ListFreezesRequest};

use super::span::{Span, SpanArgs};
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::view::freeze;

/// Verbs on freezes.
#[derive(Debug, Subcommand)]
pub(crate) enum FreezeCommand {
    /// Let no rollout start hosts for a time; those in motion finish
    ///
    /// An emergency goes through it, and so does a way back.
    Create(SpanArgs),
    /// List those that are not over
    List(List),
    /// End one early
    End(End),
}

/// `flota freeze list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those that are over too
    #[arg(long)]
    all: bool,
}

/// `flota freeze end`
#[derive(Debug, Args)]
pub(crate) struct End {
    /// Its number, from the list
    id: u32,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: FreezeCommand) -> Result<Exit, Failure> {
    match command {
        FreezeCommand::Create(args) => create(invocation, args).await,
        FreezeCommand::List(args) => list(invocation, &args).await,
        FreezeCommand::End(args) => end(invocation, args).await,
    }
}

async fn create(invocation: &Invocation, args: SpanArgs) -> Result<Exit, Failure> {
    let Span { selector, all: all_hosts, from, until, reason } =
        args.read(invocation, "flota freeze create --until 48h --reason TEXT")?;
    let request = CreateFreezeRequest { selector, all_hosts, from, until, reason };
    let session = invocation.session().await?;
    let answer = session.freezes().create(session.ask(request)).await;
    let stake = Stake::LookFirst("flota freeze list");
    let frozen = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    told(invocation, &frozen)?;
    invocation.out.talk(&format!("undo: flota freeze end {}", frozen.id));
    Ok(Exit::Good)
}

async fn list(invocation: &Invocation, args: &List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.freezes().list(session.ask(ListFreezesRequest { all: args.all })).await;
    let freezes = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().freezes;
    if freezes.is_empty() {
        invocation.out.talk("nothing is frozen.");
    }
    let listing =
        Listing { kind: "Freeze", items: &freezes, columns: &freeze::COLUMNS, row: freeze::row, name: freeze::name };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| freeze::table(&freezes, now, style))?;
    Ok(Exit::Good)
}

async fn end(invocation: &Invocation, args: End) -> Result<Exit, Failure> {
    let End { id, reason, yes } = args;
    let question = format!("End freeze {id}{}? Rollouts that wait for it go on at once.", in_context(invocation)?);
    confirm::moderate(invocation, &question, Assent::of_flag(yes), &format!("flota freeze end {id} --yes"))?;
    let session = invocation.session().await?;
    let answer = session.freezes().end(session.ask(EndFreezeRequest { id, reason })).await;
    let stake = Stake::LookFirst("flota freeze list --all");
    let ended = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    told(invocation, &ended)?;
    Ok(Exit::Good)
}

fn told(invocation: &Invocation, frozen: &Freeze) -> Result<(), Failure> {
    invocation.out.object("Freeze", frozen, &frozen.id.to_string(), |style| freeze::line(frozen, style))
}
