//! `flota enrolment`.

use clap::{Args, Subcommand};
use flota_proto::v1::{Host, HostActionRequest, ListEnrolmentsRequest, PendingEnrolment};
use tonic::{Response, Status};

use crate::client::Session;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::Listing;
use crate::output::signs::Sign;
use crate::output::text::{argument, clean, count};
use crate::view::enrolment::{self, Waiting};

/// Verbs on enrolments.
#[derive(Debug, Subcommand)]
pub(crate) enum EnrolmentCommand {
    /// List hosts that have enrolled and wait for a person
    List,
    /// Show one of them, with all that there is to compare before it is let in
    Show(Show),
    /// Let a host in. Asks first
    Approve(Approve),
    /// Do not let a host in; it needs a new token to ask again. Asks first
    Deny(Deny),
}

/// `flota enrolment show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Name, id, or the beginning of an id
    host: String,
}

/// `flota enrolment approve`
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    which: Which,
}

/// `flota enrolment deny`
#[derive(Debug, Args)]
pub(crate) struct Deny {
    #[command(flatten)]
    which: Which,
}

/// Which host, and why.
#[derive(Debug, Args)]
struct Which {
    /// Name, id, or the beginning of an id
    host: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// What is decided about a host that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Approve,
    Deny,
}

/// Runs one of them.
pub(crate) async fn run(invocation: &Invocation, command: EnrolmentCommand) -> Result<Exit, Failure> {
    match command {
        EnrolmentCommand::List => list(invocation).await,
        EnrolmentCommand::Show(args) => show(invocation, args).await,
        EnrolmentCommand::Approve(args) => decide(invocation, args.which, Decision::Approve).await,
        EnrolmentCommand::Deny(args) => decide(invocation, args.which, Decision::Deny).await,
    }
}

async fn list(invocation: &Invocation) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let enrolments = fetch(&session).await?;
    let (out, now, format) = (&invocation.out, invocation.now(), invocation.out.format);
    let listing = Listing {
        kind: "Enrolment",
        items: &enrolments,
        columns: &enrolment::COLUMNS,
        row: enrolment::row,
        name: |pending| enrolment::name(pending).to_owned(),
    };
    out.listing(&listing, |style| enrolment::table(&enrolments, format, now, style))?;
    out.talk(&match enrolments.as_slice() {
        [] => "no host awaits approval.".to_owned(),
        [first, ..] => {
            let waiting = count(enrolments.len(), "host");
            format!("{waiting} awaiting approval\nnext: flota enrolment show {}", clean(enrolment::name(first)))
        }
    });
    Ok(Exit::Good)
}

async fn show(invocation: &Invocation, args: Show) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let found = find(fetch(&session).await?, &args.host)?;
    let name = enrolment::name(&found);
    let text = |style| {
        Waiting::of(&found).map_or_else(String::new, |waiting| enrolment::show(waiting, invocation.now(), style))
    };
    invocation.out.object("Enrolment", &found, name, text)?;
    let name = clean(name);
    invocation.out.talk(&format!(
        "next: flota enrolment approve {name}     if this is the machine that you expect\nor    flota enrolment deny {name}"
    ));
    Ok(Exit::Good)
}

async fn decide(invocation: &Invocation, which: Which, decision: Decision) -> Result<Exit, Failure> {
    let Which { host, reason, yes } = which;
    let because = if reason.is_empty() { String::new() } else { format!(" --reason {}", argument(&reason)) };
    let verb = if decision == Decision::Approve { "approve" } else { "deny" };
    let line = format!("flota enrolment {verb} {}{because} --yes", argument(&host));
    let yes = Assent::of_flag(yes);
    confirm::require_answerable(invocation, yes, &line)?;
    let session = invocation.session().await?;
    let found = find(fetch(&session).await?, &host)?;
    let waiting = Waiting::of(&found).ok_or_else(|| not_waiting(&host))?;
    let (out, name) = (&invocation.out, clean(&waiting.host.name));
    out.talk(&enrolment::show(waiting, invocation.now(), out.talk_style));
    let place = in_context(invocation)?;
    let question = match decision {
        Decision::Approve => format!("Let {name} into the fleet{place}?"),
        Decision::Deny => format!("Refuse {name}{place}? Its certificate ends, and it needs a new token to ask again."),
    };
    confirm::moderate(invocation, &question, yes, &line)?;
    let request = session.ask(HostActionRequest { host: waiting.host.id.clone(), reason });
    match decision {
        Decision::Approve => {
            let host = answered(session.enrolments().approve(request).await)?;
            out.object("Host", &host, &name, |style| style.say(Sign::Ok, &format!("{name} is let in")))?;
            out.talk(&format!("next: flota attest status {name}\nundo: flota attest quarantine {name} --reason TEXT"));
        }
        Decision::Deny => {
            let host = answered(session.enrolments().deny(request).await)?;
            out.object("Host", &host, &name, |style| {
                style.say(Sign::Skipped, &format!("{name} is refused, and retired"))
            })?;
            out.talk("next: flota token create     if it shall ask again");
        }
    }
    Ok(Exit::Good)
}

async fn fetch(session: &Session) -> Result<Vec<PendingEnrolment>, Failure> {
    let answer = session.enrolments().list(session.ask(ListEnrolmentsRequest {})).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner().enrolments)
}

/// By name, by id, or by the beginning of an id that no other of them has.
fn find(enrolments: Vec<PendingEnrolment>, text: &str) -> Result<PendingEnrolment, Failure> {
    let named = |enrolment: &PendingEnrolment| enrolment.host.as_ref().is_some_and(|host| host.name == text);
    let begins = |enrolment: &PendingEnrolment| {
        enrolment.host.as_ref().is_some_and(|host| !text.is_empty() && host.id.starts_with(text))
    };
    let matching = if enrolments.iter().any(named) {
        enrolments.into_iter().filter(named).collect::<Vec<_>>()
    } else {
        enrolments.into_iter().filter(begins).collect()
    };
    let only = <[PendingEnrolment; 1]>::try_from(matching);
    only.map(|[one]| one).map_err(|_| not_waiting(text))
}

fn not_waiting(host: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("no host `{}` awaits approval", clean(host)))
        .nothing_changed()
        .fix("those that do:  flota enrolment list")
        .fix(format!("what became of it:  flota host show {}", argument(host)))
}

fn answered(answer: Result<Response<Host>, Status>) -> Result<Host, Failure> {
    let stake = Stake::LookFirst("flota enrolment list");
    answer.map(Response::into_inner).map_err(|status| Failure::of_status(&status, stake))
}

#[cfg(test)]
mod tests;
