//! Rows of rollouts.

use flota_model::Timestamp;
use flota_model::rollout::{IntentVerb, PlanId, RolloutIntent};
use flota_store::{RolloutRecord, StoreError};

use crate::row::Origin;

macro_rules! select_rollouts {
    ($rest:literal) => {
        concat!(
            "select r.id, r.spec, r.verb, r.accepted_failures, r.plan_id, p.document as plan, r.started_at, \
             r.finished_at from rollouts r left join plans p on p.id = r.plan_id ",
            $rest
        )
    };
}

/// All, newest first.
pub(super) const ALL_ROLLOUTS: &str = select_rollouts!("order by r.id desc");
/// Those that have not ended, oldest first.
pub(super) const ACTIVE_ROLLOUTS: &str = select_rollouts!("where r.finished_at is null order by r.id");
/// The one whose number is `$1`.
pub(super) const ONE_ROLLOUT: &str = select_rollouts!("where r.id = $1");

const VERBS: [(&str, IntentVerb); 4] = [
    (verb_word(IntentVerb::Draft), IntentVerb::Draft),
    (verb_word(IntentVerb::Run), IntentVerb::Run),
    (verb_word(IntentVerb::Pause), IntentVerb::Pause),
    (verb_word(IntentVerb::Abort), IntentVerb::Abort),
];

/// The verb in the database.
pub(super) const fn verb_word(verb: IntentVerb) -> &'static str {
    match verb {
        IntentVerb::Draft => "draft",
        IntentVerb::Run => "run",
        IntentVerb::Pause => "pause",
        IntentVerb::Abort => "abort",
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct RolloutRow {
    id: i64,
    spec: String,
    verb: String,
    accepted_failures: i64,
    plan_id: Option<String>,
    plan: Option<String>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl TryFrom<RolloutRow> for RolloutRecord {
    type Error = StoreError;

    fn try_from(row: RolloutRow) -> Result<Self, StoreError> {
        let RolloutRow { id, spec, verb, accepted_failures, plan_id, plan, started_at, finished_at } = row;
        let key = id.to_string();
        let origin = Origin { table: "rollouts", row: &key };
        let plan = match (plan_id, plan) {
            (Some(id), Some(document)) => {
                let plan = Origin { table: "plans", row: &id }.json("document", &document)?;
                Some((PlanId(origin.parse("plan_id", &id)?), plan))
            }
            _ => None,
        };
        Ok(Self {
            spec: origin.json("spec", &spec)?,
            intent: RolloutIntent {
                verb: origin.word("verb", &verb, &VERBS)?,
                accepted_failures: origin.number("accepted_failures", accepted_failures)?,
            },
            plan,
            started_at: started_at.map(Timestamp::from_micros),
            finished_at: finished_at.map(Timestamp::from_micros),
        })
    }
}
