//! `flota attest quarantine` and `flota attest clear`: both are undone by the other, and ask y/N.

use clap::Args;
use flota_proto::v1::{Host, HostActionRequest};
use tonic::{Response, Status};

use crate::commands::host::decommission::rollout;
use crate::commands::host::{in_it, known};
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::text::{argument, clean};
use crate::view::host_end::Ending;

/// `flota attest quarantine`
#[derive(Debug, Args)]
pub(crate) struct Quarantine {
    #[command(flatten)]
    which: Which,
}

/// `flota attest clear`
#[derive(Debug, Args)]
pub(crate) struct Clear {
    #[command(flatten)]
    which: Which,
}

/// Which host, and why.
#[derive(Debug, Args)]
struct Which {
    /// Name, id, or the beginning of an id
    host: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Which {
    /// The command line that needs no answer.
    fn line(&self, verb: &str) -> String {
        format!("flota attest {verb} {} --reason {} --yes", argument(&self.host), argument(&self.reason))
    }
}

/// Shuts a host out.
pub(crate) async fn quarantine(invocation: &Invocation, args: Quarantine) -> Result<Exit, Failure> {
    let (line, yes) = (args.which.line("quarantine"), Assent::of_flag(args.which.yes));
    confirm::require_answerable(invocation, yes, &line)?;
    let session = invocation.session().await?;
    let before = in_it(known(&session, &args.which.host).await?.host)?;
    let rollout = rollout(&session, &before.rollout).await;
    let place = in_context(invocation)?;
    let ending = Ending { host: &before, rollout: rollout.as_ref(), place: &place, now: invocation.now() };
    invocation.out.talk(&ending.quarantine(invocation.out.talk_style));
    confirm::moderate(invocation, &format!("Quarantine {}?", clean(&before.name)), yes, &line)?;
    let request = session.ask(HostActionRequest { host: before.id, reason: args.which.reason });
    let host = answered(session.attestation().quarantine(request).await)?;
    let name = clean(&host.name);
    invocation.out.object("Host", &host, &name, |style| {
        style.say(Sign::Failed, &format!("{name} is quarantined: no session, no new work"))
    })?;
    invocation.out.talk(&format!("next: flota escalation list\nundo: flota attest clear {name} --reason TEXT"));
    Ok(Exit::Good)
}

/// Lets a host in again.
pub(crate) async fn clear(invocation: &Invocation, args: Clear) -> Result<Exit, Failure> {
    let (line, yes) = (args.which.line("clear"), Assent::of_flag(args.which.yes));
    confirm::require_answerable(invocation, yes, &line)?;
    let session = invocation.session().await?;
    let before = in_it(known(&session, &args.which.host).await?.host)?;
    let place = in_context(invocation)?;
    let ending = Ending { host: &before, rollout: None, place: &place, now: invocation.now() };
    invocation.out.talk(&ending.clearance(invocation.out.talk_style));
    confirm::moderate(invocation, &format!("Clear {}?", clean(&before.name)), yes, &line)?;
    let request = session.ask(HostActionRequest { host: before.id, reason: args.which.reason });
    let host = answered(session.attestation().clear(request).await)?;
    let name = clean(&host.name);
    invocation.out.object("Host", &host, &name, |style| {
        style.say(Sign::Warning, &format!("{name} may connect again; it is trusted after its next quote has passed"))
    })?;
    invocation
        .out
        .talk(&format!("next: flota attest challenge {name}\nundo: flota attest quarantine {name} --reason TEXT"));
    Ok(Exit::Good)
}

fn answered(answer: Result<Response<Host>, Status>) -> Result<Host, Failure> {
    let stake = Stake::LookFirst("flota attest status");
    answer.map(Response::into_inner).map_err(|status| Failure::of_status(&status, stake))
}
