//! `flota rollout approve`: what is approved is what was shown.

use clap::Args;
use flota_proto::v1::{Rollout, RolloutActionRequest};

use super::act::{Which, answered, told};
use super::{plan, show};
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::{clean, count, short};
use crate::view::rollout_forecast;
use crate::view::rollout_words::next_lines;

/// Least part of a digest that names a plan: eight digits are not met by chance.
const LEAST_DIGEST: usize = 8;

/// `flota rollout approve`
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    which: Which,
    /// The plan that was looked at, by its digest or the beginning of it; another one is not approved
    #[arg(long, value_name = "DIGEST")]
    plan: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Shows it and how it would go, asks, and approves that and nothing else.
pub(crate) async fn approve(invocation: &Invocation, args: Approve) -> Result<Exit, Failure> {
    let Approve { which: Which { id, reason }, plan: looked_at, yes } = args;
    let yes = Assent::of_flag(yes);
    confirm::require_answerable(invocation, yes, &format!("flota rollout approve {id} --plan DIGEST --yes"))?;
    let session = invocation.session().await?;
    let rollout = show(&session, id).await?;
    is_the_one(&rollout, looked_at.as_deref())?;
    match plan::foresee(&session, id, 0).await {
        Ok(forecast) => {
            invocation.out.talk(rollout_forecast::render(&forecast, invocation.out.talk_style).trim_end());
        }
        // It can be judged without one: the controller may be too busy to say how it would go.
        Err(failure) if failure.exit() == Exit::Unreachable => {
            invocation.out.talk("! there is no forecast: the controller did not answer in time");
        }
        Err(failure) => return Err(failure),
    }
    let repeat = format!("flota rollout approve {id} --plan {} --yes", short(&rollout.spec));
    let question = format!("{}Approve {id}{}?", consequence(&rollout), in_context(invocation)?);
    confirm::moderate(invocation, &question, yes, &repeat)?;
    let request = RolloutActionRequest {
        id: id.to_string(),
        reason,
        spec: rollout.spec.clone(),
        ..RolloutActionRequest::default()
    };
    let approved = answered(session.rollouts().approve(session.ask(request)).await)?;
    told(invocation, &approved, &format!("has {}", approvals(&approved)))?;
    invocation.out.talk(&next_lines(&approved, invocation.out.talk_style).join("\n"));
    Ok(Exit::Good)
}

fn is_the_one(rollout: &Rollout, looked_at: Option<&str>) -> Result<(), Failure> {
    let Some(digest) = looked_at else { return Ok(()) };
    let digest = digest.to_ascii_lowercase();
    if digest.len() >= LEAST_DIGEST && rollout.spec.starts_with(&digest) {
        return Ok(());
    }
    let id = clean(&rollout.id);
    Err(Failure::new(Exit::Conflict, format!("{id} is planned as {}, not as {}", short(&rollout.spec), clean(&digest)))
        .nothing_changed()
        .fix(format!("flota rollout plan {id}")))
}

/// An approval may be the one that lets it begin; who gives it should know.
fn consequence(rollout: &Rollout) -> String {
    let given = u32::try_from(rollout.approvals.len()).unwrap_or(u32::MAX);
    let begins = rollout.state == "awaiting_approval" && given.saturating_add(1) >= rollout.approvals_needed;
    if begins { format!("It begins at once on {}. ", count(rollout.targets.len(), "host")) } else { String::new() }
}

/// `2 of 2 approvals (anna, piotr)`
fn approvals(rollout: &Rollout) -> String {
    let names: Vec<String> = rollout.approvals.iter().map(|approval| clean(&approval.by)).collect();
    format!("{} of {} approvals ({})", names.len(), rollout.approvals_needed, names.join(", "))
}
