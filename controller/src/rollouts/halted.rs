//! What a plan means for other rollouts: the one whose place it takes, and its own way back when it halts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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
    let runs = [
        RolloutState::Running,
        RolloutState::Halted,
        RolloutState::Inconclusive,
        RolloutState::Succeeded,
        RolloutState::SucceededWithExceptions,
    ];
    // Not what was aborted or ran out of time before anybody let it begin.
    let Some(other) = spec.supersedes.filter(|_| runs.contains(&plan.state)) else { return Ok(()) };
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

/// A rollout that is to go back when it halts does so: once, with a rollout of its own; not while a person has paused it. In
/// this order every step finds what the one before it left, wherever the controller is killed.
pub(super) async fn go_back(core: &Core, record: &RolloutRecord, plan: &RolloutPlan) -> Result<(), Fault> {
    let spec = &record.spec;
    let asked = spec.on_halt == OnHalt::RollBack && spec.direction == Direction::Forward;
    let halted = plan.state == RolloutState::Halted && record.intent.verb == IntentVerb::Run;
    if !asked || !halted || core.no_way_back.knows(spec.id, plan.revision) {
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
            Err(fault) if fault.code == Code::WrongState => {
                core.no_way_back.note(spec.id, plan.revision);
                return Ok(());
            }
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

/// Halted rollouts without anybody to take back, as of which plan: to look for the way back of one reads every rollout, and
/// nothing has changed until there is another plan. A restart forgets it, and looks again.
#[derive(Debug, Default)]
pub struct NoWayBack(Mutex<BTreeMap<RolloutId, u64>>);

impl NoWayBack {
    fn knows(&self, rollout: RolloutId, revision: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&rollout) == Some(&revision)
    }

    fn note(&self, rollout: RolloutId, revision: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(rollout, revision);
    }
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
