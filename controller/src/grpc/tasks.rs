//! Tasks over the wire, and how exports and health checks become tasks.

use std::sync::Arc;
use std::time::Duration;

use flota_model::host::Host;
use flota_model::task::{Task, TaskKind, TaskState};
use flota_model::{TaskId, Timestamp};
use flota_proto::v1;
use flota_proto::v1::tasks_server::Tasks;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::access::Principal;
use super::{select, view};
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::sessions::Command;

/// A host must answer in this time unless told otherwise; an export of a 10 GiB log takes well under it.
const DEFAULT_TIMEOUT_SECONDS: u32 = 120;
/// Longest time a host may be given.
const MAX_TIMEOUT_SECONDS: u32 = 24 * 60 * 60;
/// Tasks that can be asked about at once.
const MAX_IDS: usize = 10_000;

/// The service.
pub struct TasksService(pub Arc<Core>);

#[tonic::async_trait]
impl Tasks for TasksService {
    async fn status(&self, request: Request<v1::TaskStatusRequest>) -> Result<Response<v1::TasksResponse>, Status> {
        let ids = request.into_inner().ids;
        if ids.len() > MAX_IDS {
            return Err(Fault::new(Code::TooMuch, "more than 10,000 tasks at once").into());
        }
        let ids: Vec<TaskId> = ids.iter().map(|id| id.parse()).collect::<Result<_, _>>().map_err(Fault::bad)?;
        let tasks = self.0.store.tasks(&ids).await.map_err(Fault::from)?;
        Ok(Response::new(v1::TasksResponse { tasks: tasks.iter().map(view::task).collect() }))
    }
}

/// Gives every selected host a task of this kind.
pub async fn run(
    core: &Core,
    principal: &Principal,
    request: &v1::RunTaskRequest,
    kind: TaskKind,
) -> Result<v1::TasksResponse, Fault> {
    let selection = select::Selection { selector: &request.selector, names: &request.hosts, all: request.all_hosts };
    let hosts = select::hosts(core, selection).await?;
    let seconds = match request.timeout_seconds {
        0 => DEFAULT_TIMEOUT_SECONDS,
        seconds if seconds <= MAX_TIMEOUT_SECONDS => seconds,
        _ => return Err(Fault::new(Code::BadRequest, "a task's timeout is 24 hours at most")),
    };
    let deadline = core.now().plus(Duration::from_secs(u64::from(seconds)));
    let tasks = give(core, &principal.actor(), hosts, &kind, deadline).await?;
    Ok(v1::TasksResponse { tasks: tasks.iter().map(view::task).collect() })
}

/// Gives these hosts a task of this kind.
pub async fn give(
    core: &Core,
    actor: &str,
    hosts: Vec<Host>,
    kind: &TaskKind,
    deadline: Timestamp,
) -> Result<Vec<Task>, Fault> {
    let now = core.now();
    let task = |host: Host| Task {
        id: TaskId::from_uuid(uuid::Uuid::now_v7()),
        host: host.id,
        host_name: host.name,
        kind: kind.clone(),
        state: TaskState::Waiting,
        detail: String::new(),
        created_at: now,
        deadline,
        finished_at: None,
        export: None,
        health: None,
    };
    let tasks: Vec<Task> = hosts.into_iter().map(task).collect();
    let action = format!("{}.run", kind.name());
    let audit: Vec<_> = tasks
        .iter()
        .map(|task| {
            let details = json!({ "task": task.id, "kind": kind });
            core.audit_by(actor, &action, format!("host/{}", task.host), "ok", &details)
        })
        .collect();
    core.store.add_tasks(&tasks, &audit).await?;
    for task in &tasks {
        // A host without a session looks for its tasks when it connects.
        let _connected = core.sessions.ask(&task.host, Command::Look);
    }
    Ok(tasks)
}
