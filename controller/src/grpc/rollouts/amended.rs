//! A specification with the changes that a request asks for.

use std::num::NonZeroU32;

use flota_model::rollout::RolloutSpec;
use flota_model::update::Direction;
use flota_proto::v1;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::rollouts::pacing;
use crate::settings::Ticket;

/// Only how it goes on: what it brings, and to whom, is another rollout's business.
pub(super) fn amended(
    core: &Core,
    before: &RolloutSpec,
    request: &v1::AmendRolloutRequest,
) -> Result<RolloutSpec, Fault> {
    let mut after = before.clone();
    let at_least_one = |number: u32, what: &str| {
        NonZeroU32::new(number).ok_or_else(|| Fault::new(Code::BadRequest, format!("{what} is one at least")))
    };
    if let Some(number) = request.max_in_flight {
        after.max_in_flight = at_least_one(number, "the number of hosts at once")?;
    }
    if let Some(number) = request.max_failures {
        after.max_failures = at_least_one(number, "the number of failures")?;
    }
    if let Some(seconds) = request.bake_seconds {
        after.bake = pacing::bake(seconds)?;
    }
    if let Some(deadline) = &request.deadline {
        after.deadline = pacing::deadline(core, deadline)?;
    }
    if let Some(ticket) = &request.ticket {
        after.ticket = pacing::ticket(ticket)?;
        if after.ticket.is_empty() && core.settings.rollouts.ticket == Ticket::Required {
            return Err(Fault::new(Code::BadRequest, "on this controller every rollout names its change ticket"));
        }
    }
    if let Some(share) = request.min_success {
        after.gates.min_success = pacing::percent(share)?;
    }
    if let Some(number) = request.min_sample {
        after.gates.min_sample = at_least_one(number, "the sample")?;
    }
    if let Some(share) = request.min_coverage {
        after.gates.min_coverage = pacing::percent(share)?;
    }
    if let Some(share) = request.max_failure_rate {
        after.gates.max_failure_rate = Some(share).filter(|share| *share > 0).map(pacing::percent).transpose()?;
    }
    if let Some(wave) = &request.pause_after {
        after.pause_after = wave.parse().map_err(Fault::bad)?;
    }
    if request.no_windows || !request.windows.is_empty() {
        after.windows = pacing::windows(&request.windows)?;
    }
    if request.no_markets || !request.markets.is_empty() {
        after.markets = pacing::markets(core, &request.markets)?;
    }
    if before.direction == Direction::Back && after.windows.len() + after.markets.len() > 0 {
        return Err(Fault::new(Code::BadRequest, "a way back does not wait for hours"));
    }
    Ok(after)
}
