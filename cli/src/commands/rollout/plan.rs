//! How a rollout would go: `flota rollout plan`, and `create --dry-run`.

use std::time::Duration;

use clap::Args;
use flota_model::RolloutId;
use flota_proto::v1::{CreateRolloutRequest, Forecast, SimulateRolloutRequest};

use crate::client::Session;
use crate::exit::Exit;
use crate::failure::{Failure, Stake};
use crate::invocation::Invocation;
use crate::output::time::parse_duration;
use crate::view::rollout_forecast;
use crate::view::rollout_words::next_lines;

/// `flota rollout plan`
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Which, as in R-3
    id: RolloutId,
    /// How long a host takes [default: as long as the last canaries took]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    host_takes: Option<Duration>,
}

/// Plays a rollout that is there.
pub(crate) async fn plan(invocation: &Invocation, args: Plan) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let seconds = args.host_takes.map_or(0, |takes| u32::try_from(takes.as_secs()).unwrap_or(u32::MAX));
    let forecast = foresee(&session, args.id, seconds).await?;
    print(invocation, &forecast)?;
    if let Some(rollout) = &forecast.rollout {
        invocation.out.talk(&next_lines(rollout, invocation.out.talk_style).join("\n"));
    }
    Ok(Exit::Good)
}

/// Plays one that is not.
pub(crate) async fn dry_run(invocation: &Invocation, draft: CreateRolloutRequest) -> Result<Exit, Failure> {
    let session = invocation.session().await?;
    let request = SimulateRolloutRequest { draft: Some(draft), ..SimulateRolloutRequest::default() };
    print(invocation, &simulate(&session, request).await?)?;
    invocation.out.talk("nothing was created.");
    Ok(Exit::Good)
}

/// The forecast of a rollout.
pub(crate) async fn foresee(session: &Session, id: RolloutId, host_seconds: u32) -> Result<Forecast, Failure> {
    let request = SimulateRolloutRequest { id: id.to_string(), draft: None, host_seconds };
    simulate(session, request).await
}

async fn simulate(session: &Session, request: SimulateRolloutRequest) -> Result<Forecast, Failure> {
    let answer = session.rollouts().simulate(session.ask(request)).await;
    Ok(answer.map_err(|status| Failure::of_status(&status, Stake::Reads))?.into_inner())
}

fn print(invocation: &Invocation, forecast: &Forecast) -> Result<(), Failure> {
    let name = forecast.rollout.as_ref().map(|rollout| rollout.id.clone()).unwrap_or_default();
    invocation.out.object("Forecast", forecast, &name, |style| rollout_forecast::render(forecast, style))
}
