//! Tasks, and the exports and health reports that come of them.

pub(crate) mod record;

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::task::{Export, HostHealth, Task, TaskState};
use flota_model::{Digest, ExportId, HostId, RolloutId, TaskId, Timestamp};
use flota_store::{EndedCheck, ExportsOf, FinishedTask, StoreError, TaskResultOutcome, TaskStore};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;
use crate::transaction::Writing;
use record::{ExportRow, HealthRow, TaskRow};

#[async_trait]
impl TaskStore for SqliteStore {
    async fn add_tasks(&self, tasks: &[Task], audit: &[AuditEntry]) -> Result<(), StoreError> {
        let mut writing = self.write("adding tasks").await?;
        for task in tasks {
            insert_task(&mut writing, task).await?;
        }
        for entry in audit {
            append(&mut writing, entry).await?;
        }
        writing.commit().await
    }

    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError> {
        let reading = self.read("looking up tasks");
        let query = sqlx::query_as::<_, TaskRow>(record::TASKS_ASKED_FOR).bind(reading.json(ids)?);
        reading.all(query).await?.into_iter().map(Task::try_from).collect()
    }

    async fn open_tasks(&self, host: &HostId) -> Result<Vec<Task>, StoreError> {
        let query = sqlx::query_as::<_, TaskRow>(record::OPEN_TASKS_OF_HOST).bind(host.as_str());
        self.read("listing a host's tasks").all(query).await?.into_iter().map(Task::try_from).collect()
    }

    async fn task_offered(&self, id: &TaskId) -> Result<(), StoreError> {
        let mut writing = self.write("noting that a task was offered").await?;
        let update = sqlx::query("update tasks set state = 'offered' where id = $1 and state = 'waiting'");
        writing.run(update.bind(id.as_str())).await?;
        writing.commit().await
    }

    async fn finish_task(
        &self,
        host: &HostId,
        id: &TaskId,
        result: &FinishedTask,
        audit: &AuditEntry,
    ) -> Result<TaskResultOutcome, StoreError> {
        let mut writing = self.write("ending a task").await?;
        let stored = sqlx::query_as::<_, TaskRow>(record::TASK_OF_HOST).bind(id.as_str()).bind(host.as_str());
        let Some(stored) = writing.find(stored).await? else {
            return Ok(TaskResultOutcome::NoSuchTask);
        };
        let stored = Task::try_from(stored)?;
        if stored.state.is_terminal() {
            return Ok(TaskResultOutcome::AlreadyFinished(Box::new(stored)));
        }

        let FinishedTask { state, detail, export, found, health, at } = result;
        let export = match export {
            Some(export) => Some(put_export(&mut writing, export).await?.id),
            None => None,
        };
        if let Some(health) = health {
            put_health(&mut writing, health).await?;
        }
        let update = "update tasks set state = $2, detail = $3, finished_at = $4, export = $5, health = $6 \
                      where id = $1";
        let query = sqlx::query(update)
            .bind(id.as_str())
            .bind(state.as_str())
            .bind(detail)
            .bind(at.as_micros())
            .bind(export.as_ref().map(ExportId::as_str))
            .bind(found);
        writing.run(query).await?;
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(TaskResultOutcome::Stored)
    }

    async fn expire_tasks(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut writing = self.write("ending tasks past their deadline").await?;
        let update = "update tasks set state = 'expired', finished_at = $1, detail = 'no result by the deadline' \
                      where finished_at is null and deadline <= $1 returning id, host";
        let expired = sqlx::query_as::<_, (String, String)>(update).bind(now.as_micros());
        let expired = writing.all(expired).await?;
        for (task, host) in &expired {
            append(&mut writing, &expiry(task, host, now)).await?;
        }
        writing.commit().await?;
        Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
    }

    async fn add_export(&self, export: &Export, audit: &AuditEntry) -> Result<bool, StoreError> {
        let mut writing = self.write("storing an export").await?;
        if put_export(&mut writing, export).await?.entry == Entry::WasThere {
            return Ok(false);
        }
        append(&mut writing, audit).await?;
        writing.commit().await?;
        Ok(true)
    }

    async fn exports(&self, which: ExportsOf<'_>, limit: u32) -> Result<Vec<Export>, StoreError> {
        let ExportsOf { host, since, until } = which;
        let select = if host.is_some() { record::EXPORTS_OF_HOST } else { record::EXPORTS };
        let query = sqlx::query_as::<_, ExportRow>(select)
            .bind(limit)
            .bind(since.map_or(i64::MIN, Timestamp::as_micros))
            .bind(until.map_or(i64::MAX, Timestamp::as_micros));
        let query = match host {
            Some(host) => query.bind(host.as_str()),
            None => query,
        };
        self.read("listing exports").all(query).await?.into_iter().map(Export::try_from).collect()
    }

    async fn exporters(&self, blob: &Digest) -> Result<Vec<HostId>, StoreError> {
        let blob = blob.to_string();
        let origin = Origin { table: "exports", row: &blob };
        let query = sqlx::query_as::<_, (String,)>("select host from exports where blob = $1").bind(&blob);
        let rows = self.read("looking up an export").all(query).await?;
        rows.iter().map(|(host,)| origin.parse("host", host)).collect()
    }

    async fn exported_blobs(&self) -> Result<Vec<Digest>, StoreError> {
        let query = sqlx::query_as::<_, (String,)>("select distinct blob from exports");
        let rows = self.read("listing exported blobs").all(query).await?;
        rows.iter().map(|(blob,)| Origin { table: "exports", row: blob }.parse("blob", blob)).collect()
    }

    async fn newest_checks(&self) -> Result<Vec<EndedCheck>, StoreError> {
        let select = "select h.id, t.state, t.detail, t.health, t.created_at from hosts h join tasks t on t.id = \
                      (select o.id from tasks o where o.host = h.id and json_extract(o.kind, '$.kind') = 'health' \
                       and json_array_length(o.kind, '$.checks') = 0 and o.finished_at is not null \
                       order by o.created_at desc, o.finished_at desc limit 1) order by h.id";
        let query = sqlx::query_as::<_, (String, String, String, Option<String>, i64)>(select);
        let rows = self.read("reading how the newest health checks ended").all(query).await?.into_iter();
        rows.map(|(host, state, detail, health, asked_at)| {
            let origin = Origin { table: "tasks", row: &host };
            let outcome = match (origin.parse("state", &state)?, health) {
                (TaskState::Done, Some(word)) => Ok(word),
                _ => Err(detail),
            };
            let host = origin.parse("host", &host)?;
            Ok(EndedCheck { host, asked_at: Timestamp::from_micros(asked_at), outcome })
        })
        .collect()
    }

    async fn health(&self, since: Option<Timestamp>) -> Result<Vec<HostHealth>, StoreError> {
        let select = "select host, overall, at, report from host_health where at >= $1 order by host";
        let query = sqlx::query_as::<_, HealthRow>(select).bind(since.map_or(i64::MIN, Timestamp::as_micros));
        self.read("listing health reports").all(query).await?.into_iter().map(HostHealth::try_from).collect()
    }
}

async fn insert_task(writing: &mut Writing, task: &Task) -> Result<(), StoreError> {
    let Task { id, host, host_name: _, kind, state, detail, created_at, deadline, finished_at, export, health } = task;
    let insert = "insert into tasks (id, host, kind, state, detail, created_at, deadline, finished_at, export, health) \
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let kind = writing.json(kind)?;
    let query = sqlx::query(insert)
        .bind(id.as_str())
        .bind(host.as_str())
        .bind(kind)
        .bind(state.as_str())
        .bind(detail)
        .bind(created_at.as_micros())
        .bind(deadline.as_micros())
        .bind(finished_at.map(Timestamp::as_micros))
        .bind(export.as_ref().map(ExportId::as_str))
        .bind(health);
    writing.run(query).await.map(drop)
}

/// Nobody asks for an expiry, so no caller has an entry for it.
fn expiry(task: &str, host: &str, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: "controller".into(),
        action: "task.expire".into(),
        object: format!("task/{task}"),
        outcome: TaskState::Expired.as_str().into(),
        details_json: serde_json::json!({ "host": host }).to_string(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Made,
    WasThere,
}

struct ArchivedExport {
    id: ExportId,
    entry: Entry,
}

/// A host sends again what it got no answer for: the same blob is the same export, under the id it got first.
async fn put_export(writing: &mut Writing, export: &Export) -> Result<ArchivedExport, StoreError> {
    let Export {
        id,
        host,
        host_name: _,
        at,
        blob,
        size,
        audit_entries,
        alert_entries,
        status,
        key_id,
        signature,
        reason,
        rollout,
    } = export;
    let there = sqlx::query_as::<_, (String,)>("select id from exports where host = $1 and blob = $2");
    if let Some((id,)) = writing.find(there.bind(host.as_str()).bind(blob.to_string())).await? {
        let id = Origin { table: "exports", row: &id }.parse("id", &id)?;
        return Ok(ArchivedExport { id, entry: Entry::WasThere });
    }
    let insert = "insert into exports (id, host, at, blob, size, audit_entries, alert_entries, status, key_id, reason, \
                  rollout, signature) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let (size, audit_entries, alert_entries) =
        (writing.number(*size)?, writing.number(*audit_entries)?, writing.number(*alert_entries)?);
    let query = sqlx::query(insert)
        .bind(id.as_str())
        .bind(host.as_str())
        .bind(at.as_micros())
        .bind(blob.to_string())
        .bind(size)
        .bind(audit_entries)
        .bind(alert_entries)
        .bind(status)
        .bind(key_id)
        .bind(reason)
        .bind(rollout.map(RolloutId::number))
        .bind(signature.as_str());
    writing.run(query).await?;
    Ok(ArchivedExport { id: id.clone(), entry: Entry::Made })
}

async fn put_health(writing: &mut Writing, health: &HostHealth) -> Result<(), StoreError> {
    let HostHealth { host, overall, at, report_json } = health;
    let upsert = "insert into host_health (host, overall, at, report) values ($1, $2, $3, $4) \
                  on conflict (host) do update set overall = excluded.overall, at = excluded.at, \
                  report = excluded.report where excluded.at >= host_health.at";
    let query = sqlx::query(upsert).bind(host.as_str()).bind(overall).bind(at.as_micros()).bind(report_json);
    writing.run(query).await.map(drop)
}
