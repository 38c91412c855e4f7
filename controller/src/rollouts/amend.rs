//! Changes how a rollout goes on. What it brings, to whom, in which waves and under which budgets stays: for that there is
//! another rollout.

use flota_model::rollout::RolloutSpec;
use flota_store::RolloutRecord;
use serde_json::{Map, Value, json};

use super::create::{check_expiry, digest};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// Amends it to what `amended` makes of it. What was approved before counts no longer; what runs waits for new approvals.
pub async fn amend(
    core: &Core,
    actor: &str,
    looked_at: &RolloutRecord,
    reason: &str,
    amended: impl Fn(&RolloutSpec) -> Result<RolloutSpec, Fault>,
) -> Result<(), Fault> {
    // Nobody is started between the look at what is in motion and the change.
    let _planning = core.planning.lock().await;
    let id = looked_at.spec.id;
    let record = core.store.rollout(id).await?.ok_or_else(|| Fault::not_found("rollout", &id.to_string()))?;
    let before = record.specified();
    let mut after = amended(&before)?;
    let changes = changes(&before, &after)?;
    after.amended_by.insert(actor.to_owned());
    check_in_motion(&record, &after)?;
    check_expiry(core, &after.release, after.deadline.filter(|_| after.deadline != before.deadline)).await?;
    if changes.is_empty() {
        return Err(Fault::new(Code::BadRequest, format!("{id} is like that already: nothing was changed")));
    }
    let reason: String = reason.chars().take(MAX_REASON).collect();
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
