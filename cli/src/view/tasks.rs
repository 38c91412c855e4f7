//! Work that hosts were asked to do: one line a host.

use flota_proto::v1::Task;

use crate::output::Style;
use crate::output::signs::Sign;
use crate::output::text::{clean, words};

/// How a task is judged.
pub(crate) fn sign(task: &Task) -> Sign {
    match (task.state.as_str(), task.health.as_str()) {
        ("done", "unavailable") | ("failed", _) => Sign::Failed,
        ("done", "degraded") => Sign::Warning,
        ("done", _) => Sign::Ok,
        ("expired", _) => Sign::Silent,
        ("waiting", _) => Sign::Waiting,
        _ => Sign::Working,
    }
}

/// Nothing more happens.
pub(crate) fn is_over(task: &Task) -> bool {
    matches!(task.state.as_str(), "done" | "failed" | "expired")
}

/// One line, the name padded to `width`.
pub(crate) fn line(task: &Task, width: usize, style: Style) -> String {
    let name = format!("{:<width$}", clean(&task.host_name));
    let outcome = match (task.state.as_str(), task.kind.as_str()) {
        ("done", "export") => format!("export {}", clean(&task.export_id)),
        ("done", "health") => words(&task.health),
        ("expired", _) => "did not answer in time".to_owned(),
        (state, _) => words(state),
    };
    let detail = if task.detail.is_empty() { String::new() } else { format!("  {}", clean(&task.detail)) };
    style.say(sign(task), &format!("{name}  {outcome}{detail}"))
}

/// Columns of `-o tsv`.
pub(crate) const COLUMNS: [&str; 8] = ["host", "kind", "state", "export_id", "health", "detail", "finished_at", "id"];

/// One row of `-o tsv`.
pub(crate) fn row(task: &Task) -> Vec<String> {
    let fields = [
        &task.host_name,
        &task.kind,
        &task.state,
        &task.export_id,
        &task.health,
        &task.detail,
        &task.finished_at,
        &task.id,
    ];
    fields.into_iter().cloned().collect()
}

/// What `-o name` prints: the export if there is one, for `flota export get`; otherwise the task.
pub(crate) fn name(task: &Task) -> String {
    if task.export_id.is_empty() { task.id.clone() } else { task.export_id.clone() }
}
