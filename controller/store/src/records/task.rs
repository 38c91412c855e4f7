//! What comes of tasks.

use flota_model::task::{Export, HostHealth, Task, TaskState};
use flota_model::{HostId, Selector, Timestamp};

/// A task's result.
pub struct FinishedTask {
    /// Terminal state.
    pub state: TaskState,
    /// A sentence.
    pub detail: String,
    /// The export it made, to be stored with it.
    pub export: Option<Export>,
    /// The health that it found.
    pub found: Option<String>,
    /// The host's newest health report after it, to be stored with it.
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

/// Which exports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportsOf<'a> {
    /// Of this host; none: of all.
    pub host: Option<&'a HostId>,
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
}

impl<'a> ExportsOf<'a> {
    /// Every one.
    pub const ALL: Self = Self { host: None, since: None, until: None };

    /// Those of one host.
    pub const fn host(host: &'a HostId) -> Self {
        Self { host: Some(host), ..Self::ALL }
    }
}

/// Whether exports were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// They are gone.
    Done,
    /// A hold was entered or released meanwhile: nothing was removed.
    HoldsChanged,
}

/// What came of a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedCheck {
    /// Of which host.
    pub host: HostId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The report's one word, or why there is none.
    pub outcome: Result<String, String>,
}

/// Which holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Those that hold.
    Open,
    /// Also those that are released.
    All,
}
