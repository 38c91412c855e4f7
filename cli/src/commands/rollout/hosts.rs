//! Single hosts of a rollout: `retry` and `skip`.

use clap::Args;
use flota_proto::v1::RolloutHostsRequest;

use super::act::{Which, answered, told};
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::clean;

/// `flota rollout retry` and `flota rollout skip`
#[derive(Debug, Args)]
pub(crate) struct OfHosts {
    #[command(flatten)]
    which: Which,
    /// Which host, by name or id; repeat for more
    #[arg(long = "host", value_name = "HOST", required = true)]
    hosts: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Try it again.
    Retry,
    /// Leave it out.
    Skip,
}

/// Asks, and says so to the controller.
pub(crate) async fn act(invocation: &Invocation, args: OfHosts, wish: Wish) -> Result<Exit, Failure> {
    let OfHosts { which: Which { id, reason }, hosts, yes } = args;
    let names: Vec<String> = hosts.iter().map(|host| clean(host)).collect();
    let names = names.join(", ");
    let (verb, question, outcome) = match wish {
        Wish::Retry => ("retry", format!("Try {names} again"), format!("tries {names} again")),
        Wish::Skip => ("skip", format!("Leave {names} out of {id}"), format!("leaves {names} out")),
    };
    let flags: Vec<String> = hosts.iter().map(|host| format!("--host {}", clean(host))).collect();
    let repeat = format!("flota rollout {verb} {id} {} --yes", flags.join(" "));
    let question = format!("{question}{}?", in_context(invocation)?);
    confirm::moderate(invocation, &question, Assent::of_flag(yes), &repeat)?;
    let session = invocation.session().await?;
    let request = session.ask(RolloutHostsRequest { id: id.to_string(), hosts, reason });
    let mut rollouts = session.rollouts();
    let answer = match wish {
        Wish::Retry => rollouts.retry(request).await,
        Wish::Skip => rollouts.skip(request).await,
    };
    told(invocation, &answered(answer)?, &outcome)?;
    invocation.out.talk(&format!("follow:   flota rollout status {id} --watch"));
    Ok(Exit::Good)
}
