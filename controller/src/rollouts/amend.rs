//! Changes how a rollout goes on. What it brings, to whom, in which waves and under which budgets stays: for that there is
//! another rollout.

use std::num::NonZeroU32;

use flota_model::rollout::RolloutSpec;
use flota_model::update::Direction;
use flota_proto::v1;
use flota_store::RolloutRecord;
use serde_json::{Map, Value, json};

use super::create::{check_expiry, digest};
use super::pacing;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::settings::Ticket;

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// Amends it. What was approved before counts no longer; what runs waits for new approvals.
pub async fn amend(
    core: &Core,
    actor: &str,
    looked_at: &RolloutRecord,
    request: &v1::AmendRolloutRequest,
) -> Result<(), Fault> {
    // Nobody is started between the look at what is in motion and the change.
    let _planning = core.planning.lock().await;
    let id = looked_at.spec.id;
    let record = core.store.rollout(id).await?.ok_or_else(|| Fault::not_found("rollout", &id.to_string()))?;
    let before = record.specified();
    let mut after = amended(core, &before, request)?;
    let changes = changes(&before, &after)?;
    after.amended_by.insert(actor.to_owned());
    check_in_motion(&record, &after)?;
    check_expiry(core, &after.release, after.deadline.filter(|_| after.deadline != before.deadline)).await?;
    if changes.is_empty() {
        return Err(Fault::new(Code::BadRequest, format!("{id} is like that already: nothing was changed")));
    }
    let reason: String = request.reason.chars().take(MAX_REASON).collect();
    let details = json!({
        "reason": reason, "spec": looked_at.digest, "amended": digest(&after)?, "changes": changes,
    });
    let audit = core.audit_by(actor, "rollout.amend", format!("rollout/{id}"), "ok", &details);
    if core.store.amend_rollout(id, &looked_at.digest, &after, &audit).await? {
        return Ok(());
    }
    let sentence = format!("somebody else amended {id} at the same moment; nothing was changed by you");
    Err(Fault::new(Code::Changed, sentence).fix(format!("flota rollout status {id}")))
}

/// Fewer at once than are in motion already cannot be.
fn check_in_motion(record: &RolloutRecord, after: &RolloutSpec) -> Result<(), Fault> {
    let targets = record.plan.iter().flat_map(|(_, plan)| plan.targets.values());
    let moving = targets.filter(|target| target.state.is_in_flight()).count();
    let limit = after.max_in_flight.get();
    if u32::try_from(moving).is_ok_and(|moving| moving <= limit) {
        return Ok(());
    }
    let sentence = format!("{moving} hosts are in motion: {limit} at once cannot be before they have ended");
    Err(Fault::new(Code::WrongState, sentence).fix(format!("flota rollout pause {}, and again", after.id)))
}

fn amended(core: &Core, before: &RolloutSpec, request: &v1::AmendRolloutRequest) -> Result<RolloutSpec, Fault> {
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

/// What differs, for the audit log: each field with what it was and what it is.
fn changes(before: &RolloutSpec, after: &RolloutSpec) -> Result<Map<String, Value>, Fault> {
    let fields = |spec: &RolloutSpec| match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Fault::new(Code::Bug, "a specification is no object")),
        Err(error) => Err(Fault::new(Code::Bug, "a specification could not be written").because(error)),
    };
    let (before, after) = (fields(before)?, fields(after)?);
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let differs = names.filter(|name| before.get(*name) != after.get(*name));
    Ok(differs.map(|name| (name.clone(), json!({ "from": before.get(name), "to": after.get(name) }))).collect())
}
