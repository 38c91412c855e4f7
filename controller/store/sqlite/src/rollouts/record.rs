//! Rows of rollouts.

use flota_model::rollout::{IntentVerb, PlanId, RolloutApproval, RolloutIntent, RolloutSpec, TargetSpec};
use flota_model::{Digest, HostId, Timestamp};
use flota_store::{LATE_JOINERS, RolloutRecord, StoreError};
use serde::Deserialize;

use crate::row::Origin;

macro_rules! select_rollouts {
    ($rest:literal) => {
        concat!(
            "select r.id, r.spec, r.verb, r.accepted_failures, r.wishes, r.plan_id, p.document as plan, r.started_at, \
             r.finished_at, \
             (select json_group_array(json_object('spec', a.spec, 'by', a.approver, 'at', a.at, 'reason', a.reason)) \
              from (select * from rollout_approvals where rollout = r.id order by at, approver) a) as approvals, \
             (select json_group_array(json_object('host', j.host, 'target', json(j.target))) \
              from (select * from rollout_joiners where rollout = r.id order by host) j) as joiners \
             from rollouts r left join plans p on p.id = r.plan_id ",
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
    wishes: String,
    plan_id: Option<String>,
    plan: Option<String>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    approvals: String,
    joiners: String,
}

/// An approval as the query puts it together.
#[derive(Deserialize)]
struct ApprovalRow {
    spec: Digest,
    by: String,
    at: i64,
    reason: String,
}

/// A joiner as the query puts it together.
#[derive(Deserialize)]
struct JoinerRow {
    host: HostId,
    target: TargetSpec,
}

impl From<ApprovalRow> for RolloutApproval {
    fn from(row: ApprovalRow) -> Self {
        let ApprovalRow { spec, by, at, reason } = row;
        Self { spec, by, at: Timestamp::from_micros(at), reason }
    }
}

impl TryFrom<RolloutRow> for RolloutRecord {
    type Error = StoreError;

    fn try_from(row: RolloutRow) -> Result<Self, StoreError> {
        let RolloutRow {
            id,
            spec,
            verb,
            accepted_failures,
            wishes,
            plan_id,
            plan,
            started_at,
            finished_at,
            approvals,
            joiners,
        } = row;
        let key = id.to_string();
        let origin = Origin { table: "rollouts", row: &key };
        let plan = match (plan_id, plan) {
            (Some(id), Some(document)) => {
                let plan = Origin { table: "plans", row: &id }.json("document", &document)?;
                Some((PlanId(origin.parse("plan_id", &id)?), plan))
            }
            _ => None,
        };
        let digest = Digest::of(spec.as_bytes());
        let approvals = Origin { table: "rollout_approvals", ..origin }.json::<Vec<ApprovalRow>>("*", &approvals)?;
        let joiners = Origin { table: "rollout_joiners", ..origin }.json::<Vec<JoinerRow>>("*", &joiners)?;
        let mut spec: RolloutSpec = origin.json("spec", &spec)?;
        if !joiners.is_empty() {
            spec.waves.push(LATE_JOINERS.to_owned());
            spec.targets.extend(joiners.into_iter().map(|JoinerRow { host, target }| (host, target)));
        }
        Ok(Self {
            spec,
            digest,
            approvals: approvals.into_iter().map(RolloutApproval::from).collect(),
            intent: RolloutIntent {
                verb: origin.word("verb", &verb, &VERBS)?,
                accepted_failures: origin.number("accepted_failures", accepted_failures)?,
                wishes: origin.json("wishes", &wishes)?,
            },
            plan,
            started_at: started_at.map(Timestamp::from_micros),
            finished_at: finished_at.map(Timestamp::from_micros),
        })
    }
}
