//! `flota rollout create`.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use flota_model::budget::BudgetWish;
use flota_model::market::MarketWish;
use flota_model::rollout::{OnHalt, PauseAfter, Percent};
use flota_model::window::Window;
use flota_model::{RolloutId, Timestamp};
use flota_proto::v1::{CreateRolloutRequest, Rollout};

use super::{act, plan};
use crate::args::Many;
use crate::confirm::{self, Assent};
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::text::clean;
use crate::output::time::{Moment, parse_duration, parse_moment};
use crate::view::rollout_plan;
use crate::view::rollout_words::next_lines;

/// `flota rollout create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    draft: Draft,
    /// Show what would be created, and how it would go; create nothing
    #[arg(long, conflicts_with = "start")]
    dry_run: bool,
    /// Start it, after a look at the plan
    #[arg(long)]
    start: bool,
    /// With --start: do not ask
    #[arg(short, long, requires = "start")]
    yes: bool,
}

/// What a rollout is to do.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line are bools")]
pub(crate) struct Draft {
    /// What to bring: version, digest, or the beginning of a digest
    #[arg(long, value_name = "RELEASE")]
    release: String,
    #[command(flatten)]
    targets: Many,
    /// Hosts that match later are added while it runs, in a last wave of their own
    #[arg(long)]
    late_joiners: bool,
    /// Hosts in the canary wave
    #[arg(long, value_name = "N", default_value = "1")]
    canary: NonZeroU32,
    /// Begin each wave with as many hosts, which must pass before the others of it are started
    #[arg(long)]
    canary_in_each_wave: bool,
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
    /// Start hosts only while a market is open or closed, as in xnys=closed; the controller has the calendars; all hold
    #[arg(long = "market", value_name = "MARKET=STATE")]
    markets: Vec<MarketWish>,
    /// Start no host from then on: a time, or how long from now
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    deadline: Option<Moment>,
    /// This many failed hosts halt it
    #[arg(long, value_name = "N", default_value = "1")]
    max_failures: NonZeroU32,
    /// So does this share of the hosts that have ended, once ten have
    #[arg(long, value_name = "PERCENT")]
    max_failure_rate: Option<Percent>,
    /// Least share of a wave's ended hosts that must have succeeded
    #[arg(long, value_name = "PERCENT", default_value = "98")]
    min_success: Percent,
    /// Least share of a wave that must have ended before the next; the others are stragglers
    #[arg(long, value_name = "PERCENT", default_value = "50")]
    min_coverage: Percent,
    /// Least number of a wave's hosts that must have ended before the next
    #[arg(long, value_name = "N", default_value = "1")]
    min_sample: NonZeroU32,
    /// Take a quote for success, without a health check after it
    #[arg(long)]
    no_health_check: bool,
    /// Pause after each wave before the next may start
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    bake: Duration,
    /// Wait for a person after this: nothing, canary or each-wave
    #[arg(long, value_name = "WAVE", default_value = "nothing")]
    pause_after: PauseAfter,
    /// When it halts: wait for a person, or rollback by itself
    #[arg(long, value_name = "WHAT", default_value = "wait")]
    on_halt: OnHalt,
    /// Persons beside you who must approve it; the controller's settings may ask for more
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    approvals: u32,
    /// End this rollout when the new one starts
    #[arg(long, value_name = "ROLLOUT")]
    supersedes: Option<RolloutId>,
    /// Go through windows, markets and freezes; two persons must approve it
    #[arg(long, requires = "reason")]
    emergency: bool,
    /// Change ticket, for the audit log
    #[arg(long, value_name = "TICKET", default_value = "", hide_default_value = true)]
    ticket: String,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Creates it, shows its plan, and starts it if that was asked for.
pub(crate) async fn create(invocation: &Invocation, args: Create) -> Result<Exit, Failure> {
    let Create { draft, dry_run, start, yes } = args;
    let (yes, request) = (Assent::of_flag(yes), request(draft, invocation.now())?);
    let reason = request.reason.clone();
    if dry_run {
        return plan::dry_run(invocation, request).await;
    }
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
        return act::begin(invocation, session, rollout, yes, act::Wait::Not, reason).await;
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

fn request(draft: Draft, now: Timestamp) -> Result<CreateRolloutRequest, Failure> {
    let chosen = draft.targets.choose("flota rollout create --release RELEASE")?;
    let or_zero = |number: Option<NonZeroU32>| number.map_or(0, NonZeroU32::get);
    let deadline = draft.deadline.map(|moment| moment.counted_from(now).to_string());
    // On the wire zero asks for the default: who wants none says one percent, which is none of a hundred hosts.
    let share = |percent: Percent| u32::from(percent).max(1);
    Ok(CreateRolloutRequest {
        release: draft.release,
        selector: chosen.selector,
        all_hosts: chosen.all,
        late_joiners: draft.late_joiners,
        canary: draft.canary.get(),
        canary_in_each_wave: draft.canary_in_each_wave,
        wave_size: or_zero(draft.wave_size),
        max_in_flight: or_zero(draft.max_in_flight),
        budgets: draft.budgets.iter().map(BudgetWish::to_string).collect(),
        windows: draft.windows.iter().map(Window::to_string).collect(),
        markets: draft.markets.iter().map(MarketWish::to_string).collect(),
        deadline: deadline.unwrap_or_default(),
        max_failures: draft.max_failures.get(),
        max_failure_rate: draft.max_failure_rate.map_or(0, u32::from),
        min_success: share(draft.min_success),
        min_coverage: share(draft.min_coverage),
        min_sample: draft.min_sample.get(),
        no_health_check: draft.no_health_check,
        bake_seconds: u32::try_from(draft.bake.as_secs()).unwrap_or(u32::MAX),
        pause_after: draft.pause_after.to_string(),
        on_halt: draft.on_halt.to_string(),
        approvals: draft.approvals,
        supersedes: draft.supersedes.map(|id| id.to_string()).unwrap_or_default(),
        emergency: draft.emergency,
        ticket: draft.ticket,
        reason: draft.reason.unwrap_or_default(),
        // Started by a call of its own, once the plan has been seen.
        start: false,
    })
}
