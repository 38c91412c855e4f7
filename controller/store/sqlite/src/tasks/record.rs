//! Rows of tasks, exports and health reports.

use flota_model::Timestamp;
use flota_model::task::{Export, ExportSignature, HostHealth, Task};
use flota_store::StoreError;

use crate::row::Origin;

macro_rules! select_tasks {
    ($from:literal) => {
        concat!(
            "select t.id, t.host, h.name as host_name, t.kind, t.state, t.detail, t.created_at, t.deadline, \
             t.finished_at, t.export, t.health from ",
            $from
        )
    };
}

/// The tasks whose ids are in the JSON list `$1`, in its order.
pub(super) const TASKS_ASKED_FOR: &str = select_tasks!(
    "json_each($1) asked join tasks t on t.id = asked.value join hosts h on h.id = t.host order by asked.key"
);
/// What the host `$1` has still to do.
pub(super) const OPEN_TASKS_OF_HOST: &str = select_tasks!(
    "tasks t join hosts h on h.id = t.host where t.host = $1 and t.finished_at is null order by t.created_at, t.id"
);
/// The task `$1` if it is the host `$2`'s.
pub(super) const TASK_OF_HOST: &str =
    select_tasks!("tasks t join hosts h on h.id = t.host where t.id = $1 and t.host = $2");

#[derive(sqlx::FromRow)]
pub(super) struct TaskRow {
    id: String,
    host: String,
    host_name: String,
    kind: String,
    state: String,
    detail: String,
    created_at: i64,
    deadline: i64,
    finished_at: Option<i64>,
    export: Option<String>,
    health: Option<String>,
}

impl TryFrom<TaskRow> for Task {
    type Error = StoreError;

    fn try_from(row: TaskRow) -> Result<Self, StoreError> {
        let TaskRow { id, host, host_name, kind, state, detail, created_at, deadline, finished_at, export, health } =
            row;
        let origin = Origin { table: "tasks", row: &id };
        Ok(Self {
            host_name: Origin { table: "hosts", row: &host }.parse("name", &host_name)?,
            host: origin.parse("host", &host)?,
            kind: origin.json("kind", &kind)?,
            state: origin.parse("state", &state)?,
            detail,
            created_at: Timestamp::from_micros(created_at),
            deadline: Timestamp::from_micros(deadline),
            finished_at: finished_at.map(Timestamp::from_micros),
            export: origin.parse_some("export", export.as_deref())?,
            health,
            id: origin.parse("id", &id)?,
        })
    }
}

macro_rules! select_exports {
    ($rest:literal) => {
        concat!(
            "select e.id, e.host, h.name as host_name, e.at, e.blob, e.size, e.audit_entries, e.alert_entries, \
             e.status, e.key_id, e.signature, e.reason, e.rollout from exports e join hosts h on h.id = e.host ",
            $rest
        )
    };
}

/// The newest `$1` from `$2` on and before `$3`.
pub(super) const EXPORTS: &str =
    select_exports!("where e.at >= $2 and e.at < $3 order by e.at desc, e.id desc limit $1");
/// The newest `$1` from `$2` on and before `$3` of the host `$4`.
pub(super) const EXPORTS_OF_HOST: &str =
    select_exports!("where e.host = $4 and e.at >= $2 and e.at < $3 order by e.at desc, e.id desc limit $1");
/// The oldest `$1` before `$2` that are not the newest of their host, of hosts that are not in `$3`.
pub(crate) const OLD_EXPORTS: &str = select_exports!(
    "where e.at < $2 and e.host not in (select value from json_each($3)) \
     and e.at < (select max(at) from exports o where o.host = e.host) order by e.at limit $1"
);

#[derive(sqlx::FromRow)]
pub(crate) struct ExportRow {
    id: String,
    host: String,
    host_name: String,
    at: i64,
    blob: String,
    size: i64,
    audit_entries: i64,
    alert_entries: i64,
    status: String,
    key_id: String,
    signature: String,
    reason: String,
    rollout: Option<i64>,
}

impl TryFrom<ExportRow> for Export {
    type Error = StoreError;

    fn try_from(row: ExportRow) -> Result<Self, StoreError> {
        let ExportRow {
            id,
            host,
            host_name,
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
        } = row;
        let origin = Origin { table: "exports", row: &id };
        let words = ExportSignature::ALL.map(|signature| (signature.as_str(), signature));
        Ok(Self {
            host_name: Origin { table: "hosts", row: &host }.parse("name", &host_name)?,
            host: origin.parse("host", &host)?,
            at: Timestamp::from_micros(at),
            blob: origin.parse("blob", &blob)?,
            size: origin.number("size", size)?,
            audit_entries: origin.number("audit_entries", audit_entries)?,
            alert_entries: origin.number("alert_entries", alert_entries)?,
            status,
            signature: origin.word("signature", &signature, &words)?,
            key_id,
            reason,
            rollout: rollout.map(|number| origin.rollout("rollout", number)).transpose()?,
            id: origin.parse("id", &id)?,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct HealthRow {
    host: String,
    overall: String,
    at: i64,
    report: String,
}

impl TryFrom<HealthRow> for HostHealth {
    type Error = StoreError;

    fn try_from(row: HealthRow) -> Result<Self, StoreError> {
        let HealthRow { host, overall, at, report } = row;
        let host = Origin { table: "host_health", row: &host }.parse("host", &host)?;
        Ok(Self { host, overall, at: Timestamp::from_micros(at), report_json: report })
    }
}
