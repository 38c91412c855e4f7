//! `flota escalation`.

use clap::{Args, Subcommand};
use flota_proto::v1::{Escalation, ListEscalationsRequest, ResolveEscalationRequest};

use super::find::Kind;
use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::signs::Sign;
use crate::output::text::clean;
use crate::view::escalation;

/// Verbs on escalations.
#[derive(Debug, Subcommand)]
pub(crate) enum EscalationCommand {
    /// List what is open, newest first
    List(List),
    /// Show one of them
    Show(Show),
    /// Close one of them, and say how it was resolved
    Resolve(Resolve),
}

/// `flota escalation list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those that are resolved too
    #[arg(long)]
    all: bool,
}

/// `flota escalation show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id from the list, or its beginning if that is unique
    id: String,
}

/// `flota escalation resolve`
#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// Id from the list, or its beginning if that is unique
    id: String,
    /// What was found and done, for the audit log
    #[arg(long, value_name = "TEXT")]
    resolution: String,
}

/// Which of them a listing has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Open,
    All,
}

const ESCALATIONS: Kind<Escalation> = Kind {
    noun: "escalation",
    list: "flota escalation list --all",
    id: |escalation| &escalation.id,
    line: |one| format!("{}  {}", clean(&one.id), escalation::title(one)),
};

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: EscalationCommand) -> Result<Exit, Failure> {
    match command {
        EscalationCommand::List(args) => list(invocation, args).await,
        EscalationCommand::Show(args) => show(invocation, args).await,
        EscalationCommand::Resolve(args) => resolve(invocation, args).await,
    }
}

async fn list(invocation: &Invocation, args: List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let escalations = fetch(&session, if args.all { Which::All } else { Which::Open }).await?;
    let (out, now, format) = (&invocation.out, invocation.now(), invocation.out.format);
    let listing = Listing {
        kind: "Escalation",
        items: &escalations,
        columns: &escalation::COLUMNS,
        row: escalation::row,
        name: |escalation: &Escalation| escalation.id.clone(),
    };
    out.listing(&listing, |style| escalation::table(&escalations, format, now, style))?;
    out.talk(&match escalations.iter().find(|escalation| escalation.state == "open") {
        Some(first) => format!("next: flota escalation show {}", clean(&first.id)),
        None => "nothing is open.".to_owned(),
    });
    Ok(Exit::Good)
}

async fn show(invocation: &Invocation, args: Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let found = ESCALATIONS.find(fetch(&session, Which::All).await?, &args.id)?;
    let now = invocation.now();
    invocation.out.object("Escalation", &found, &found.id, |style| escalation::show(&found, now, style))?;
    if found.state == "open" {
        let (id, host) = (clean(&found.id), clean(&found.host_name));
        invocation
            .out
            .talk(&format!("next: flota attest show {host}     then  flota escalation resolve {id} --resolution TEXT"));
    }
    Ok(Exit::Good)
}

async fn resolve(invocation: &Invocation, args: Resolve) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let found = ESCALATIONS.find(fetch(&session, Which::All).await?, &args.id).map_err(Failure::nothing_changed)?;
    let request = ResolveEscalationRequest { id: found.id, resolution: args.resolution };
    let answer = session.escalations().resolve(session.ask(request)).await;
    let stake = Stake::LookFirst("flota escalation list --all");
    let resolved = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    invocation.out.object("Escalation", &resolved, &resolved.id, |style| {
        let (title, how) = (escalation::title(&resolved), clean(&resolved.resolution));
        style.say(Sign::Ok, &format!("{title} (resolved): {how}"))
    })?;
    let open = fetch(&session, Which::Open).await?.len();
    invocation.out.talk(&match open {
        0 => "nothing else is open.".to_owned(),
        number => format!("{number} more open\nnext: flota escalation list"),
    });
    Ok(Exit::Good)
}

async fn fetch(session: &Session, which: Which) -> Result<Vec<Escalation>, Failure> {
    let answer = session.escalations().list(session.ask(ListEscalationsRequest { all: which == Which::All })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().escalations)
}

#[cfg(test)]
mod tests;
