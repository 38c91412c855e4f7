//! What a plan means for other rollouts: the one whose place it takes, and its own way back when it halts.

use flota_model::RolloutId;
use flota_model::rollout::{IntentVerb, OnHalt, RolloutIntent, RolloutPlan, RolloutSpec, RolloutState};
use flota_model::update::Direction;
use flota_store::RolloutRecord;
use serde_json::json;

use super::back::{self, Part};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Tries to change an intent that operators change at the same moment.
const TRIES: usize = 4;
/// Who does it.
const ACTOR: &str = "controller";

/// A rollout that runs ends the one that it supersedes. Said again until it is so.
pub(super) async fn take_the_place(core: &Core, spec: &RolloutSpec, plan: &RolloutPlan) -> Result<(), Fault> {
    let waits = matches!(plan.state, RolloutState::Draft | RolloutState::AwaitingApproval);
    let Some(other) = spec.supersedes.filter(|_| !waits) else { return Ok(()) };
    let ended = |intent: &RolloutIntent| {
        let mut ended = intent.with(IntentVerb::Abort);
        ended.wishes.superseded_by = Some(spec.id);
        ended
    };
    want(core, other, "rollout.supersede", |record| {
        let open = record.finished_at.is_none() && record.intent.verb != IntentVerb::Abort;
        open.then(|| ended(&record.intent))
    })
    .await
}

/// A rollout that is to go back when it halts does so: once, with a rollout of its own. In this order every step finds what
/// the one before it left, wherever the controller is killed.
pub(super) async fn go_back(core: &Core, spec: &RolloutSpec, plan: &RolloutPlan) -> Result<(), Fault> {
    let asked = spec.on_halt == OnHalt::RollBack && spec.direction == Direction::Forward;
    if !asked || plan.state != RolloutState::Halted {
        return Ok(());
    }
    let known = core.store.rollouts().await?;
    let Some(original) = known.iter().find(|record| record.spec.id == spec.id) else { return Ok(()) };
    let there = known.iter().find(|record| is_our_way_back(record, spec.id)).map(|record| record.spec.id);
    let way_back = match there {
        Some(id) => id,
        None => match back::back(core, ACTOR, original, &Part::default()).await {
            Ok(id) => id,
            // Nobody has anything to go back to: a person decides, as without the wish.
            Err(fault) if fault.code == Code::WrongState => return Ok(()),
            Err(fault) => return Err(fault),
        },
    };
    want(core, way_back, "rollout.rollback", |record| {
        (record.intent.verb == IntentVerb::Draft).then(|| record.intent.with(IntentVerb::Run))
    })
    .await?;
    want(core, spec.id, "rollout.abort", |record| {
        let mut ended = record.intent.with(IntentVerb::Abort);
        ended.wishes.taken_back_by = Some(way_back);
        (record.intent.verb != IntentVerb::Abort).then_some(ended)
    })
    .await
}

/// What this made before; a person may have taken a part of it back.
fn is_our_way_back(record: &RolloutRecord, id: RolloutId) -> bool {
    record.spec.rollback_of == Some(id) && record.spec.created_by == ACTOR
}

/// Changes the intent of a rollout, if `next` has another one for it.
async fn want(
    core: &Core,
    id: RolloutId,
    action: &str,
    next: impl Fn(&RolloutRecord) -> Option<RolloutIntent>,
) -> Result<(), Fault> {
    for _ in 0..TRIES {
        let Some(record) = core.store.rollout(id).await? else { return Ok(()) };
        let Some(to) = next(&record) else { return Ok(()) };
        let details = json!({ "superseded_by": to.wishes.superseded_by, "taken_back_by": to.wishes.taken_back_by });
        let audit = core.audit(action, format!("rollout/{id}"), "ok", &details);
        if core.store.set_intent(id, &record.intent, &to, &audit).await? {
            core.fleet_changed.notify_one();
            return Ok(());
        }
    }
    // The next step says it again.
    Ok(())
}
