//! `flota freeze`: times in which no rollout changes hosts.

use clap::{Args, Subcommand};
use flota_proto::v1::{CreateFreezeRequest, EndFreezeRequest, Freeze, ListFreezesRequest};

use crate::args::Many;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::time::{Moment, parse_moment};
use crate::view::freeze;

/// Verbs on freezes.
#[derive(Debug, Subcommand)]
pub(crate) enum FreezeCommand {
    /// Let no rollout start hosts for a time; those in motion finish
    ///
    /// An emergency goes through it, and so does a way back.
    Create(Create),
    /// List those that are not over
    List(List),
    /// End one early
    End(End),
}

/// `flota freeze create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    targets: Many,
    /// From when on, as a time or how long from now [default: now]
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    from: Option<Moment>,
    /// Until when: a time, or how long after its beginning
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    until: Moment,
    /// Why; whoever waits for it reads this
    #[arg(long, value_name = "TEXT")]
    reason: String,
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

async fn create(invocation: &Invocation, args: Create) -> Result<Exit, Failure> {
    let Create { targets, from, until, reason } = args;
    let chosen = targets.choose("flota freeze create --until 48h --reason TEXT")?;
    let from = from.map_or_else(|| invocation.now(), |from| from.counted_from(invocation.now()));
    let request = CreateFreezeRequest {
        selector: chosen.selector,
        all_hosts: chosen.all,
        from: from.to_string(),
        until: until.counted_from(from).to_string(),
        reason,
    };
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
    let with_id = |freeze: Freeze| {
        let id = freeze.id.to_string();
        (freeze, id)
    };
    let named: Vec<(Freeze, String)> = freezes.into_iter().map(with_id).collect();
    let listing =
        Listing { kind: "Freeze", items: &named, columns: &freeze::COLUMNS, row: freeze::row, name: freeze::name };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| freeze::table(&named, now, style))?;
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
