//! `flota rollout create`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use flota_model::budget::BudgetWish;
use flota_model::window::Window;
use flota_proto::v1::{CreateRolloutRequest, Rollout};

use super::act;
use crate::args::Many;
use crate::confirm::{self, Assent};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::clean;
use crate::output::time::parse_duration;
use crate::view::rollout_plan;
use crate::view::rollout_words::next_lines;

/// `flota rollout create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What to bring: version, digest, or the beginning of a digest
    #[arg(long, value_name = "RELEASE")]
    release: String,
    #[command(flatten)]
    targets: Many,
    /// Hosts in the canary wave
    #[arg(long, value_name = "N", default_value = "1")]
    canary: NonZeroU32,
    /// Hosts in each wave after it [default: all the rest in one wave]
    #[arg(long, value_name = "N")]
    wave_size: Option<NonZeroU32>,
    /// Most hosts changing at once [default: the wave size]
    #[arg(long, value_name = "N")]
    max_in_flight: Option<NonZeroU32>,
    /// Most hosts changing at once of those that share a label's value, as in venue=1 or account=25%; repeat for more
    #[arg(long = "budget", value_name = "LABEL=N")]
    budgets: Vec<BudgetWish>,
    /// Start hosts only then, as in "Mon-Fri 14:00-16:00 Europe/Warsaw" or "daily 22:00-02:00 UTC"; repeat for more
    #[arg(long = "window", value_name = "WINDOW")]
    windows: Vec<Window>,
    /// This many failed hosts halt it
    #[arg(long, value_name = "N", default_value = "1")]
    max_failures: NonZeroU32,
    /// Pause after each wave before the next may start
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    bake: Duration,
    /// Change ticket, for the audit log
    #[arg(long, value_name = "TICKET", default_value = "", hide_default_value = true)]
    ticket: String,
    /// Start it, after a look at the plan
    #[arg(long)]
    start: bool,
    /// With --start: do not ask
    #[arg(short, long, requires = "start")]
    yes: bool,
}

/// Creates it, shows its plan, and starts it if that was asked for.
pub(crate) async fn create(invocation: &Invocation, args: Create) -> Result<Exit, Failure> {
    let (start, yes, request) = request(args)?;
    if start {
        // Before anything is created, so that a script does not leave drafts behind.
        confirm::require_answerable(invocation, yes, "flota rollout create ... --start --yes")?;
    }
    let session = invocation.session().await?;
    let answer = session.rollouts().create(session.ask(request)).await;
    let stake = Stake::LookFirst("flota rollout list");
    let rollout = answer.map_err(|status| Failure::of_status(&status, stake))?.into_inner();
    if start {
        invocation.out.talk(rollout_plan::render(&rollout, invocation.out.talk_style).trim_end());
        return act::begin(invocation, session, rollout, yes, act::Wait::Not, String::new()).await;
    }
    print_plan(invocation, &rollout)?;
    invocation
        .out
        .talk(&format!("no host has changed.\n{}", next_lines(&rollout, invocation.out.talk_style).join("\n")));
    Ok(Exit::Good)
}

/// The plan as data.
pub(crate) fn print_plan(invocation: &Invocation, rollout: &Rollout) -> Result<(), Failure> {
    let name = clean(&rollout.id);
    invocation.out.object("Rollout", rollout, &name, |style| rollout_plan::render(rollout, style))
}

fn request(args: Create) -> Result<(bool, Assent, CreateRolloutRequest), Failure> {
    let chosen = args.targets.choose("flota rollout create --release RELEASE")?;
    let or_zero = |number: Option<NonZeroU32>| number.map_or(0, NonZeroU32::get);
    let request = CreateRolloutRequest {
        release: args.release,
        selector: chosen.selector,
        all_hosts: chosen.all,
        canary: args.canary.get(),
        wave_size: or_zero(args.wave_size),
        max_in_flight: or_zero(args.max_in_flight),
        max_failures: args.max_failures.get(),
        bake_seconds: u32::try_from(args.bake.as_secs()).unwrap_or(u32::MAX),
        ticket: args.ticket,
        windows: args.windows.iter().map(Window::to_string).collect(),
        budgets: args.budgets.iter().map(BudgetWish::to_string).collect(),
        // Started by a call of its own, once the plan has been seen.
        start: false,
    };
    Ok((args.start, Assent::of_flag(args.yes), request))
}
