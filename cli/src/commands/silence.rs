//! `flota silence`: times in which no alert speaks of some hosts.

use clap::{Args, Subcommand};
use flota_proto::v1::{CreateSilenceRequest, EndSilenceRequest, ListSilencesRequest, Silence};

use super::span::{Span, SpanArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::view::silence;

/// Verbs on silences.
#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// Let no alert speak of these hosts for a time
    ///
    /// No alert about them begins, one that is open stays as it is, and where hosts are counted they are not. Rollouts go on:
    /// for that there is `flota freeze create`.
    Create(Create),
    /// List those that are not over
    List(List),
    /// End one early
    End(End),
}

/// `flota silence create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    span: SpanArgs,
    /// Only this rule's alerts, as in FlotaHostSilent
    #[arg(long, value_name = "RULE", default_value = "", hide_default_value = true)]
    rule: String,
}

/// `flota silence list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those that are over too
    #[arg(long)]
    all: bool,
}

/// `flota silence end`
#[derive(Debug, Args)]
pub(crate) struct End {
    /// Its number, from the list
    id: u32,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: SilenceCommand) -> Result<Exit, Failure> {
    match command {
        SilenceCommand::Create(args) => create(invocation, args).await,
        SilenceCommand::List(args) => list(invocation, &args).await,
        SilenceCommand::End(args) => end(invocation, args).await,
    }
}

async fn create(invocation: &Invocation, args: Create) -> Result<Exit, Failure> {
    let Create { span, rule } = args;
    let Span { selector, all: all_hosts, from, until, reason } =
        span.read(invocation, "flota silence create --until 2h --reason TEXT")?;
    let session = invocation.session().await?;
    let request = CreateSilenceRequest { selector, all_hosts, rule, from, until, reason };
    let answer = session.silences().create(session.ask(request)).await;
    let stake = Stake::LookFirst("flota silence list");
    let made = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    told(invocation, &made)?;
    invocation.out.talk(&format!("undo: flota silence end {}", made.id));
    Ok(Exit::Good)
}

async fn list(invocation: &Invocation, args: &List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let answer = session.silences().list(session.ask(ListSilencesRequest { all: args.all })).await;
    let silences = answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().silences;
    if silences.is_empty() {
        invocation.out.talk("nothing is silenced.");
    }
    let listing = Listing {
        kind: "Silence",
        items: &silences,
        columns: &silence::COLUMNS,
        row: silence::row,
        name: silence::name,
    };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| silence::table(&silences, now, style))?;
    Ok(Exit::Good)
}

async fn end(invocation: &Invocation, args: End) -> Result<Exit, Failure> {
    let End { id, reason } = args;
    let session = invocation.session().await?;
    let answer = session.silences().end(session.ask(EndSilenceRequest { id, reason })).await;
    let stake = Stake::LookFirst("flota silence list --all");
    let ended = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    told(invocation, &ended)?;
    Ok(Exit::Good)
}

fn told(invocation: &Invocation, made: &Silence) -> Result<(), Failure> {
    invocation.out.object("Silence", made, &made.id.to_string(), |style| silence::line(made, style))
}
