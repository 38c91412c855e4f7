//! Attestation policies: frozen documents whose state changes.

mod record;

use async_trait::async_trait;
use flota_model::Digest;
use flota_model::audit::AuditEntry;
use flota_store::{
    AddPolicy, ApprovePolicy, NewPolicy, PolicyChange, PolicyRecord, PolicyRequest, PolicyState, PolicyStore, Previous,
    StoreError,
};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use crate::transaction::Writing;
use record::{PolicyRow, ProposalRow};

/// `set_policy_state` was asked for what only `activate_policy` does.
#[derive(Debug, thiserror::Error)]
#[error("a policy becomes active by its activation only, which ends the one before it")]
struct OnlyByActivation;

#[async_trait]
impl PolicyStore for SqliteStore {
    async fn add_policy(&self, policy: &NewPolicy, audit: &AuditEntry) -> Result<AddPolicy, StoreError> {
        let NewPolicy { digest, name, document_json, author, note, at } = policy;
        let digest = digest.to_string();
        let origin = Origin { table: "policies", row: &digest };
        let mut writing = self.write("entering a policy").await?;
        let there = sqlx::query_as::<_, (i64,)>("select version from policies where digest = $1").bind(&digest);
        if let Some((version,)) = writing.find(there).await? {
            return Ok(AddPolicy::AlreadyThere { version: origin.number("version", version)? });
        }

        let insert = "insert into policies (digest, name, version, state, document, author, note, created_at) \
                      select $1, $2, coalesce(max(version), 0) + 1, 'draft', $3, $4, $5, $6 \
                      from policies where name = $2 returning version";
        let query = sqlx::query_as::<_, (i64,)>(insert)
            .bind(&digest)
            .bind(name)
            .bind(document_json)
            .bind(author)
            .bind(note)
            .bind(at.as_micros());
        let (version,) = writing.one(query).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(AddPolicy::Added { version: origin.number("version", version)? })
    }

    async fn policies(&self) -> Result<Vec<PolicyRecord>, StoreError> {
        let query = sqlx::query_as::<_, PolicyRow>(record::ALL_POLICIES);
        self.read("listing policies").all(query).await?.into_iter().map(PolicyRecord::try_from).collect()
    }

    async fn approve_policy(
        &self,
        digest: &Digest,
        approver: &str,
        audit: &AuditEntry,
    ) -> Result<ApprovePolicy, StoreError> {
        let digest = digest.to_string();
        let mut writing = self.write("approving a policy").await?;
        let select = "select author, state, valid_from, valid_until from policies where digest = $1";
        let found = sqlx::query_as::<_, ProposalRow>(select).bind(&digest);
        let Some(ProposalRow { author, state }) = writing.find(found).await? else {
            return Ok(ApprovePolicy::NoSuchPolicy);
        };
        let state = state.read(Origin { table: "policies", row: &digest })?;
        if state != PolicyState::Draft {
            return Ok(ApprovePolicy::NoDraft { state });
        }
        if author == approver {
            return Ok(ApprovePolicy::AuthorMayNot);
        }
        // It may have been approved before and become a draft again.
        let insert = "insert into policy_approvals (policy, approver, at) values ($1, $2, $3) \
                      on conflict (policy, approver) do update set at = excluded.at";
        writing.run(sqlx::query(insert).bind(&digest).bind(approver).bind(audit.at.as_micros())).await?;
        writing.run(sqlx::query("update policies set state = 'approved' where digest = $1").bind(&digest)).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(ApprovePolicy::Approved)
    }

    async fn ask_policy_change(
        &self,
        digest: &Digest,
        request: &PolicyRequest,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let PolicyRequest { change, author, reason, at } = request;
        let mut writing = self.write("asking for a change of a policy").await?;
        let upsert = "insert into policy_requests (policy, change, after_seconds, author, reason, at) \
                      select digest, $2, $3, $4, $5, $6 from policies where digest = $1 \
                      on conflict (policy) do update set change = excluded.change, \
                      after_seconds = excluded.after_seconds, author = excluded.author, reason = excluded.reason, \
                      at = excluded.at";
        let query = sqlx::query(upsert)
            .bind(digest.to_string())
            .bind(change.as_str())
            .bind(after_seconds(*change))
            .bind(author)
            .bind(reason)
            .bind(at.as_micros());
        let changed = writing.run(query).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn take_policy_request(
        &self,
        digest: &Digest,
        request: &PolicyRequest,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let PolicyRequest { change, author, reason: _, at } = request;
        let mut writing = self.write("agreeing to a change of a policy").await?;
        let delete = "delete from policy_requests \
                      where policy = $1 and change = $2 and after_seconds = $3 and author = $4 and at = $5";
        let query = sqlx::query(delete)
            .bind(digest.to_string())
            .bind(change.as_str())
            .bind(after_seconds(*change))
            .bind(author)
            .bind(at.as_micros());
        let changed = writing.run(query).await?;
        writing.commit_if(changed > 0, audit).await
    }

    async fn set_policy_state(
        &self,
        digest: &Digest,
        from: &[&str],
        to: PolicyState,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let mut writing = self.write("changing a policy's state").await?;
        let (valid_from, valid_until) = match to {
            PolicyState::Active => return Err(writing.rejected(OnlyByActivation)),
            PolicyState::Staged { from, until } => (Some(from.as_micros()), Some(until.as_micros())),
            PolicyState::Retiring { until } => (None, Some(until.as_micros())),
            PolicyState::Draft | PolicyState::Approved | PolicyState::Retired => (None, None),
        };
        let from = writing.json(from)?;
        let update = "update policies set state = $2, valid_from = $3, valid_until = $4 \
                      where digest = $1 and state in (select value from json_each($5))";
        let query = sqlx::query(update)
            .bind(digest.to_string())
            .bind(to.as_str())
            .bind(valid_from)
            .bind(valid_until)
            .bind(from);
        if writing.run(query).await? == 0 {
            return Ok(false);
        }
        end_request(&mut writing, digest).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(true)
    }

    async fn activate_policy(
        &self,
        digest: &Digest,
        from: &[&str],
        previous: Previous,
        audit: &AuditEntry,
    ) -> Result<bool, StoreError> {
        let (given, digest) = (digest, digest.to_string());
        let mut writing = self.write("activating a policy").await?;
        let from = writing.json(from)?;
        let select = "select name from policies where digest = $1 and state in (select value from json_each($2))";
        let found = sqlx::query_as::<_, (String,)>(select).bind(&digest).bind(from);
        let Some((name,)) = writing.find(found).await? else { return Ok(false) };

        let (state, until) = match previous {
            Previous::Retired => (PolicyState::Retired.as_str(), None),
            Previous::AcceptedUntil(until) => (PolicyState::Retiring { until }.as_str(), Some(until.as_micros())),
        };
        // First: the index lets no second one be active even for a moment.
        let retire = "update policies set state = $3, valid_until = $4 \
                      where name = $1 and state = 'active' and digest <> $2";
        writing.run(sqlx::query(retire).bind(name).bind(&digest).bind(state).bind(until)).await?;
        let activate = "update policies set state = 'active', activated_at = $2, valid_from = null, \
                        valid_until = null where digest = $1";
        writing.run(sqlx::query(activate).bind(&digest).bind(audit.at.as_micros())).await?;
        end_request(&mut writing, given).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(true)
    }
}

fn after_seconds(change: PolicyChange) -> u32 {
    match change {
        PolicyChange::Retire { after_seconds } => after_seconds,
        PolicyChange::Rollback => 0,
    }
}

/// What was asked for of the state before is not asked for of this one.
async fn end_request(writing: &mut Writing, policy: &Digest) -> Result<(), StoreError> {
    let delete = sqlx::query("delete from policy_requests where policy = $1").bind(policy.to_string());
    writing.run(delete).await.map(drop)
}
