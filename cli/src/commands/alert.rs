//! `flota alert`: what the controller tells people without being asked.

use clap::{Args, Subcommand};
use flota_proto::v1::{ListAlertsRequest, ListAlertsResponse};

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::text::clean;
use crate::view::alert;

/// Verbs on alerts.
#[derive(Debug, Subcommand)]
pub(crate) enum AlertCommand {
    /// List what is wrong now, the most important first, and who is told of it
    List(List),
    /// Show one of them: what it means, since when, which hosts, what to do
    Show(Show),
}

/// `flota alert list`
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those that are over too; they are kept for 90 days
    #[arg(long)]
    all: bool,
}

/// `flota alert show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its number, from the list
    id: u32,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Open,
    All,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: AlertCommand) -> Result<Exit, Failure> {
    match command {
        AlertCommand::List(args) => list(invocation, &args).await,
        AlertCommand::Show(args) => show(invocation, &args).await,
    }
}

async fn list(invocation: &Invocation, args: &List) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let which = if args.all { Which::All } else { Which::Open };
    let ListAlertsResponse { alerts, receivers } = fetch(&session, which).await?;
    let listing =
        Listing { kind: "Alert", items: &alerts, columns: &alert::COLUMNS, row: alert::row, name: alert::name };
    let now = invocation.now();
    invocation.out.listing(&listing, |style| alert::table(&alerts, now, style))?;
    invocation.out.talk(&alert::summed(&alerts));
    for line in alert::receivers(&receivers, now, invocation.out.talk_style) {
        invocation.out.talk(&line);
    }
    Ok(Exit::Good)
}

async fn show(invocation: &Invocation, args: &Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let alerts = fetch(&session, Which::All).await?.alerts;
    let Some(found) = alerts.iter().find(|alert| alert.id == args.id) else {
        return Err(
            Failure::new(Exit::NotFound, format!("there is no alert {}", args.id)).fix("flota alert list --all")
        );
    };
    let now = invocation.now();
    invocation.out.object("Alert", found, &found.id.to_string(), |style| alert::show(found, now, style))?;
    if found.state != "ended" {
        invocation.out.talk(&format!("next: {}", clean(&found.command)));
    }
    Ok(Exit::Good)
}

async fn fetch(session: &Session, which: Which) -> Result<ListAlertsResponse, Failure> {
    let answer = session.alerts().list(session.ask(ListAlertsRequest { all: which == Which::All })).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

#[cfg(test)]
mod tests;
