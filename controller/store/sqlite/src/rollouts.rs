//! Rollouts and their plans.

mod record;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::rollout::{IntentVerb, PlanId, RolloutApproval, RolloutIntent, RolloutPlan, RolloutSpec, TargetSpec};
use flota_model::{Digest, HostId, RolloutId};
use flota_store::{ApproveRollout, RENEWED_AFTER, RolloutDocuments, RolloutRecord, RolloutStore, SetPlan, StoreError};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use crate::transaction::Writing;
use record::{RolloutRow, verb_word};

#[async_trait]
impl RolloutStore for SqliteStore {
    async fn next_rollout_id(&self) -> Result<RolloutId, StoreError> {
        let query = sqlx::query_as::<_, (i64,)>(
            "select max(coalesce((select max(id) from rollouts), 0) + 1, (select floor from rollout_numbers))",
        );
        let next = self.read("numbering a rollout").find(query).await?.map_or(1, |(next,)| next);
        Origin { table: "rollouts", row: "the newest" }.rollout("id", next)
    }

    async fn create_rollout(
        &self,
        spec: &RolloutSpec,
        intent: &RolloutIntent,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write("creating a rollout").await?;
        let started_at = (intent.verb == IntentVerb::Run).then_some(spec.created_at.as_micros());
        let insert = "insert into rollouts (id, spec, verb, accepted_failures, started_at, wishes) \
                      values ($1, $2, $3, $4, $5, $6) on conflict (id) do nothing";
        let (document, wishes) = (writing.json(spec)?, writing.json(&intent.wishes)?);
        let query = sqlx::query(insert)
            .bind(spec.id.number())
            .bind(document)
            .bind(verb_word(intent.verb))
            .bind(intent.accepted_failures)
            .bind(started_at)
            .bind(wishes);
        let changed = writing.run(query).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn rollouts(&self) -> Result<Vec<RolloutRecord>, StoreError> {
        let query = sqlx::query_as::<_, RolloutRow>(record::ALL_ROLLOUTS);
        self.read("listing rollouts").all(query).await?.into_iter().map(RolloutRecord::try_from).collect()
    }

    async fn active_rollouts(&self) -> Result<Vec<RolloutRecord>, StoreError> {
        let query = sqlx::query_as::<_, RolloutRow>(record::ACTIVE_ROLLOUTS);
        self.read("listing active rollouts").all(query).await?.into_iter().map(RolloutRecord::try_from).collect()
    }

    async fn rollout_documents(&self, id: RolloutId) -> Result<Option<RolloutDocuments>, StoreError> {
        let doing = "reading what there is of a rollout";
        let spec = sqlx::query_as::<_, (String,)>("select spec from rollouts where id = $1").bind(id.number());
        let Some((specification,)) = self.read(doing).find(spec).await? else { return Ok(None) };
        let select = "select p.document from plans p left join plans q on q.id = p.parent where p.rollout = $1 \
                      and (q.id is null or q.state <> p.state \
                           or p.id = (select plan_id from rollouts where id = $1)) order by p.revision";
        let plans = sqlx::query_as::<_, (String,)>(select).bind(id.number());
        let plans = self.read(doing).all(plans).await?.into_iter().map(|(plan,)| plan).collect();
        let select = "select coalesce(min(sequence), 1), coalesce(max(sequence), 0) from audit where object = $1";
        let span = sqlx::query_as::<_, (i64, i64)>(select).bind(format!("rollout/{id}"));
        let (first, last) = self.read(doing).find(span).await?.unwrap_or((1, 0));
        let origin = Origin { table: "audit", row: "of a rollout" };
        let (first_sequence, last_sequence) = (origin.number("sequence", first)?, origin.number("sequence", last)?);
        Ok(Some(RolloutDocuments { specification, plans, first_sequence, last_sequence }))
    }

    async fn rollout(&self, id: RolloutId) -> Result<Option<RolloutRecord>, StoreError> {
        let query = sqlx::query_as::<_, RolloutRow>(record::ONE_ROLLOUT).bind(id.number());
        self.read("looking up a rollout").find(query).await?.map(RolloutRecord::try_from).transpose()
    }

    async fn set_intent(
        &self,
        id: RolloutId,
        from: &RolloutIntent,
        to: &RolloutIntent,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write("changing what is wanted of a rollout").await?;
        let update = "update rollouts set verb = $4, accepted_failures = $5, started_at = coalesce(started_at, $6), \
                      wishes = $8 where id = $1 and verb = $2 and accepted_failures = $3 and wishes = $7";
        let (wished_before, wishes) = (writing.json(&from.wishes)?, writing.json(&to.wishes)?);
        let started_at = (to.verb == IntentVerb::Run).then_some(audit.at.as_micros());
        let query = sqlx::query(update)
            .bind(id.number())
            .bind(verb_word(from.verb))
            .bind(from.accepted_failures)
            .bind(verb_word(to.verb))
            .bind(to.accepted_failures)
            .bind(started_at)
            .bind(wished_before)
            .bind(wishes);
        let changed = writing.run(query).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn approve_rollout(
        &self,
        id: RolloutId,
        approval: &RolloutApproval,
        audit: &AuditEntry,
    ) -> Result<ApproveRollout, StoreError> {
        let mut writing = self.write("approving a rollout").await?;
        if stored_digest(&mut writing, id).await? != Some(approval.spec) {
            return Ok(ApproveRollout::Changed);
        }
        let insert = "insert into rollout_approvals (rollout, spec, approver, at, reason) \
                      values ($1, $2, $3, $4, $5) on conflict (rollout, spec, approver) \
                      do update set at = excluded.at, reason = excluded.reason where excluded.at - at >= $6";
        let query = sqlx::query(insert)
            .bind(id.number())
            .bind(approval.spec.to_string())
            .bind(&approval.by)
            .bind(approval.at.as_micros())
            .bind(&approval.reason)
            .bind(i64::try_from(RENEWED_AFTER.as_micros()).unwrap_or(i64::MAX));
        let changed = writing.run(query).await?;
        let is_new = writing.commit_if(changed > 0, audit).await?;
        Ok(if is_new { ApproveRollout::Approved } else { ApproveRollout::AlreadyThere })
    }

    async fn amend_rollout(
        &self,
        id: RolloutId,
        from: &Digest,
        to: &RolloutSpec,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write("amending a rollout").await?;
        if stored_digest(&mut writing, id).await?.as_ref() != Some(from) {
            return Ok(false);
        }
        let document = writing.json(to)?;
        let update = sqlx::query("update rollouts set spec = $2 where id = $1").bind(id.number()).bind(document);
        let changed = writing.run(update).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn join_rollout(
        &self,
        id: RolloutId,
        joiners: &[(HostId, TargetSpec, AuditEntry)],
    ) -> Result<usize, StoreError> {
        let mut writing = self.write("adding hosts to a rollout").await?;
        let insert = "insert into rollout_joiners (rollout, host, target, joined_at) \
                      select $1, $2, $3, $4 where exists (select 1 from rollouts where id = $1 and finished_at is null) \
                      on conflict (rollout, host) do nothing";
        let mut added = 0;
        for (host, target, audit) in joiners {
            let document = writing.json(target)?;
            let at = audit.at.as_micros();
            let query = sqlx::query(insert).bind(id.number()).bind(host.as_str()).bind(document).bind(at);
            if writing.run(query).await? > 0 {
                append(&mut writing, audit).await?;
                added += 1;
            }
        }
        writing.commit().await?;
        Ok(added)
    }

    async fn set_plan(&self, id: PlanId, plan: &RolloutPlan, audit: &AuditEntry) -> Result<SetPlan, StoreError> {
        let mut writing = self.write("setting a rollout's plan").await?;
        if !move_pointer(&mut writing, id, plan).await? {
            let there = sqlx::query_as::<_, (i64,)>("select 1 from rollouts where id = $1").bind(plan.rollout.number());
            return Ok(match writing.find(there).await? {
                Some(_) => SetPlan::ParentMoved,
                None => SetPlan::NoSuchRollout(plan.rollout),
            });
        }
        insert_plan(&mut writing, id, plan).await?;
        if state_of_parent(&mut writing, plan).await?.as_deref() != Some(plan.state.as_str()) {
            append(&mut writing, audit).await?;
        }
        writing.commit().await?;
        Ok(SetPlan::Done)
    }
}

/// What approvals are bound to.
async fn stored_digest(writing: &mut Writing, id: RolloutId) -> Result<Option<Digest>, StoreError> {
    let query = sqlx::query_as::<_, (String,)>("select spec from rollouts where id = $1").bind(id.number());
    Ok(writing.find(query).await?.map(|(spec,)| Digest::of(spec.as_bytes())))
}

/// The compare and swap. The plan that the pointer names follows in the same transaction. `finished_at` is set exactly
/// while the current plan is terminal: `active_rollouts` relies on it.
async fn move_pointer(writing: &mut Writing, id: PlanId, plan: &RolloutPlan) -> Result<bool, StoreError> {
    let update = "update rollouts set plan_id = $3, \
                  finished_at = case when $4 then coalesce(finished_at, $5) end \
                  where id = $1 and plan_id is not distinct from $2";
    let query = sqlx::query(update)
        .bind(plan.rollout.number())
        .bind(plan.parent.map(|parent| parent.to_string()))
        .bind(id.to_string())
        .bind(plan.state.is_terminal())
        .bind(plan.made_at.as_micros());
    Ok(writing.run(query).await? == 1)
}

async fn insert_plan(writing: &mut Writing, id: PlanId, plan: &RolloutPlan) -> Result<(), StoreError> {
    let insert = "insert into plans (id, rollout, revision, parent, state, document, made_at) \
                  values ($1, $2, $3, $4, $5, $6, $7)";
    let document = writing.json(plan)?;
    let revision = writing.number(plan.revision)?;
    let query = sqlx::query(insert)
        .bind(id.to_string())
        .bind(plan.rollout.number())
        .bind(revision)
        .bind(plan.parent.map(|parent| parent.to_string()))
        .bind(plan.state.as_str())
        .bind(document)
        .bind(plan.made_at.as_micros());
    writing.run(query).await.map(drop)
}

async fn state_of_parent(writing: &mut Writing, plan: &RolloutPlan) -> Result<Option<String>, StoreError> {
    let Some(parent) = plan.parent else { return Ok(None) };
    let query = sqlx::query_as::<_, (String,)>("select state from plans where id = $1").bind(parent.to_string());
    Ok(writing.find(query).await?.map(|(state,)| state))
}
