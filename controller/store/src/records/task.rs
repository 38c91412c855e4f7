//! What comes of tasks.

use flota_model::task::{Export, HostHealth, Task, TaskState};
use flota_model::{Selector, Timestamp};

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

/// A legal hold: exports of hosts that it selects are kept whatever the retention says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHold {
    /// Its number, counted from one.
    pub id: u32,
    /// Which hosts; empty: all.
    pub selector: Selector,
    /// Why: the case, the request.
    pub reason: String,
    /// By which operator.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// By whom and when it was released; none: it holds.
    pub released: Option<(String, Timestamp)>,
}

/// Which holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Those that hold.
    Open,
    /// Also those that are released.
    All,
}
