//! `flota rollout amend`: how a rollout goes on, not what it brings to whom.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;
use flota_model::Timestamp;
use flota_model::market::MarketWish;
use flota_model::rollout::{PauseAfter, Percent};
use flota_model::window::Window;
use flota_proto::v1::{AmendRolloutRequest, Rollout};

use super::act::{Which, answered, told};
use super::show;
use crate::confirm::{self, Assent, in_context};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::output::text::clean;
use crate::output::time::{Moment, parse_duration, parse_moment};
use crate::view::rollout_words::next_lines;

/// `flota rollout amend`
#[derive(Debug, Args)]
pub(crate) struct Amend {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    pace: Pace,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// What may be amended.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Pace {
    /// Most hosts changing at once
    #[arg(long, value_name = "N")]
    max_in_flight: Option<NonZeroU32>,
    /// This many failed hosts halt it
    #[arg(long, value_name = "N")]
    max_failures: Option<NonZeroU32>,
    /// So does this share of the hosts that have ended; 0 for none
    #[arg(long, value_name = "PERCENT")]
    max_failure_rate: Option<Percent>,
    /// Least share of a wave's ended hosts that must have succeeded
    #[arg(long, value_name = "PERCENT")]
    min_success: Option<Percent>,
    /// Least share of a wave that must have ended before the next
    #[arg(long, value_name = "PERCENT")]
    min_coverage: Option<Percent>,
    /// Least number of a wave's hosts that must have ended before the next
    #[arg(long, value_name = "N")]
    min_sample: Option<NonZeroU32>,
    /// Pause after each wave
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    bake: Option<Duration>,
    /// Wait for a person after this: nothing, canary or each-wave
    #[arg(long, value_name = "WAVE")]
    pause_after: Option<PauseAfter>,
    /// Start no host from then on: a time, or how long from now
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_moment)]
    deadline: Option<Moment>,
    /// Take the deadline away
    #[arg(long, conflicts_with = "deadline")]
    no_deadline: bool,
    /// Start hosts only then, in the place of the windows that are there; repeat for more
    #[arg(long = "window", value_name = "WINDOW")]
    windows: Vec<Window>,
    /// Take the windows away
    #[arg(long, conflicts_with = "windows")]
    no_windows: bool,
    /// Only while a market is open or closed, in the place of the markets that are there; repeat for more
    #[arg(long = "market", value_name = "MARKET=STATE")]
    markets: Vec<MarketWish>,
    /// Take the markets away
    #[arg(long, conflicts_with = "markets")]
    no_markets: bool,
    /// Change ticket
    #[arg(long, value_name = "TICKET")]
    ticket: Option<String>,
}

/// Amends it, after a question: what was approved does not count any more.
pub(crate) async fn amend(invocation: &Invocation, args: Amend) -> Result<Exit, Failure> {
    let Amend { which: Which { id, reason }, pace, yes } = args;
    let yes = Assent::of_flag(yes);
    let repeat = format!("flota rollout amend {id} ... --yes");
    confirm::require_answerable(invocation, yes, &repeat)?;
    let session = invocation.session().await?;
    let before = show(&session, id).await?;
    let question = format!("{}Amend {id}{}?", consequence(&before), in_context(invocation)?);
    confirm::moderate(invocation, &question, yes, &repeat)?;
    let request = request(pace, invocation.now());
    let request = AmendRolloutRequest { id: id.to_string(), spec: before.spec, reason, ..request };
    let after = answered(session.rollouts().amend(session.ask(request)).await)?;
    told(invocation, &after, "is amended")?;
    invocation.out.talk(&next_lines(&after, invocation.out.talk_style).join("\n"));
    Ok(Exit::Good)
}

fn consequence(rollout: &Rollout) -> String {
    let names: Vec<String> = rollout.approvals.iter().map(|approval| clean(&approval.by)).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("The approval of {} will not count any more. ", names.join(", "))
    }
}

fn request(pace: Pace, now: Timestamp) -> AmendRolloutRequest {
    let deadline = pace.deadline.map(|moment| moment.counted_from(now).to_string());
    AmendRolloutRequest {
        max_in_flight: pace.max_in_flight.map(NonZeroU32::get),
        max_failures: pace.max_failures.map(NonZeroU32::get),
        max_failure_rate: pace.max_failure_rate.map(u32::from),
        min_success: pace.min_success.map(u32::from),
        min_coverage: pace.min_coverage.map(u32::from),
        min_sample: pace.min_sample.map(NonZeroU32::get),
        bake_seconds: pace.bake.map(|bake| u32::try_from(bake.as_secs()).unwrap_or(u32::MAX)),
        pause_after: pace.pause_after.map(|wave| wave.to_string()),
        deadline: deadline.or_else(|| pace.no_deadline.then(String::new)),
        windows: pace.windows.iter().map(Window::to_string).collect(),
        no_windows: pace.no_windows,
        markets: pace.markets.iter().map(MarketWish::to_string).collect(),
        no_markets: pace.no_markets,
        ticket: pace.ticket,
        ..AmendRolloutRequest::default()
    }
}
