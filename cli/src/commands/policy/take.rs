//! What takes a policy out of use: retire, rollback.

use std::time::Duration;

use clap::Args;
use flota_proto::v1::{PolicyActionRequest, RetirePolicyRequest};

use super::act::{Before, Which, answered, ask, because, seconds, told};
use crate::confirm::{self, Assent};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::argument;
use crate::output::time::parse_duration;

/// `flota policy retire`
#[derive(Debug, Args)]
pub(crate) struct Retire {
    #[command(flatten)]
    which: Which,
    /// How long it stays accepted, as in 7d [default: not at all]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    after: Option<Duration>,
    /// The policy's name again, instead of an answer
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// `flota policy rollback`
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Name of the policy
    name: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// The policy's name again, instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// Ends it. A draft is dropped without a question: no host knows it.
pub(crate) async fn retire(invocation: &Invocation, args: Retire) -> Result<Exit, Failure> {
    let grace = args.after.unwrap_or_default();
    let after = if grace.is_zero() { String::new() } else { format!(" --after {}s", grace.as_secs()) };
    let line = args.which.line("retire", &after);
    let session = invocation.session().await?;
    let before = Before::look(invocation, &session, &args.which.policy).await?;
    let outlook = before.outlook(invocation)?;
    let digest = outlook.this.policy.digest.clone();
    let (danger, text) = outlook.retirement(grace, invocation.out.talk_style);
    ask(invocation, outlook.this.policy, danger, &text, args.confirm.as_deref(), &line)?;
    let request = RetirePolicyRequest { policy: digest, reason: args.which.reason, after_seconds: seconds(grace) };
    let policy = answered(session.policies().retire(session.ask(request)).await)?;
    told(invocation, &policy)
}

/// Brings back the version before.
pub(crate) async fn rollback(invocation: &Invocation, args: Rollback) -> Result<Exit, Failure> {
    let Rollback { name, reason, confirm } = args;
    let line = format!("flota policy rollback {0} --confirm {0}{1}", argument(&name), because(&reason));
    confirm::require_answerable(invocation, Assent::of_flag(confirm.is_some()), &line)?;
    let session = invocation.session().await?;
    let before = Before::look(invocation, &session, &name).await?;
    let outlook = before.outlook(invocation)?;
    let name = outlook.this.policy.name.clone();
    let (danger, text) = outlook.rollback(invocation.out.talk_style);
    ask(invocation, outlook.this.policy, danger, &text, confirm.as_deref(), &line)?;
    let policy = answered(
        session
            .policies()
            .rollback(session.ask(PolicyActionRequest { policy: name, reason, ..Default::default() }))
            .await,
    )?;
    told(invocation, &policy)
}
