//! `flota host decommission`: the one verb on a host that nothing undoes.

use clap::Args;
use flota_proto::v1::{HostActionRequest, Rollout, ShowRolloutRequest};

use super::{in_it, known};
use crate::client::Session;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::signs::Sign;
use crate::output::text::{argument, clean};
use crate::view::host_end::Ending;

/// `flota host decommission`
#[derive(Debug, Args)]
pub(crate) struct Decommission {
    /// Name, id, or the beginning of an id
    host: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The host's name again, instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// Shows what ends, asks for the name, and ends it.
pub(crate) async fn run(invocation: &Invocation, args: Decommission) -> Result<Exit, Failure> {
    let Decommission { host, reason, confirm } = args;
    let line = |name: &str| {
        let (host, reason) = (argument(&host), argument(&reason));
        format!("flota host decommission {host} --confirm {} --reason {reason}", argument(name))
    };
    confirm::require_answerable(invocation, Assent::of_flag(confirm.is_some()), &line(&host))?;
    let session = invocation.session().await?;
    let before = in_it(known(&session, &host).await?.host)?;
    let rollout = rollout(&session, &before.rollout).await;
    let place = in_context(invocation)?;
    let ending = Ending { host: &before, rollout: rollout.as_ref(), place: &place, now: invocation.now() };
    invocation.out.talk(&ending.decommission(invocation.out.talk_style));
    let accepted = [before.name.clone(), before.id.clone()];
    let question = "Type the host name to go on";
    confirm::severe(invocation, question, &accepted, confirm.as_deref(), &line(&before.name))?;
    // By its id: the host that was shown, whoever has its name by now.
    let request = session.ask(HostActionRequest { host: before.id, reason });
    let answer = session.hosts().decommission(request).await;
    let stake = Stake::LookFirst("flota host list");
    let host = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    let name = clean(&host.name);
    invocation.out.object("Host", &host, &name, |style| {
        style.say(Sign::Skipped, &format!("{name} is retired: its certificate has ended"))
    })?;
    let id = clean(&host.id);
    invocation.out.talk(&format!(
        "next: flota token create     without a name, admits its TPM again\nlog:  flota audit list --object host/{id}"
    ));
    Ok(Exit::Good)
}

/// The rollout that it would be missing from. What cannot be read is no reason to keep a host.
pub(crate) async fn rollout(session: &Session, id: &str) -> Option<Rollout> {
    if id.is_empty() {
        return None;
    }
    let answer = session.rollouts().show(session.ask(ShowRolloutRequest { id: id.to_owned() })).await;
    answer.ok().map(tonic::Response::into_inner)
}
