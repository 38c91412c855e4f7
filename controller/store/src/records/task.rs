//! What comes of tasks.

use flota_model::Timestamp;
use flota_model::task::{Export, HostHealth, Task, TaskState};

/// A task's result.
pub struct FinishedTask {
    /// Terminal state.
    pub state: TaskState,
    /// A sentence.
    pub detail: String,
    /// The export it made, to be stored with it.
    pub export: Option<Export>,
    /// The health report it made, to be stored with it.
    pub health: Option<HostHealth>,
    /// When.
    pub at: Timestamp,
}

/// Whether a result was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskResultOutcome {
    /// It was.
    Stored,
    /// The task had ended already; nothing changed.
    AlreadyFinished(Box<Task>),
    /// The host has no such task.
    NoSuchTask,
}
