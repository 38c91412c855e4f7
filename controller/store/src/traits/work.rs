//! Tasks, and the archive of exports.

use async_trait::async_trait;
use flota_model::audit::AuditEntry;
use flota_model::task::{Export, HostHealth, Task};
use flota_model::{Digest, ExportId, HostId, TaskId, Timestamp};

use crate::{EndedCheck, ExportHold, ExportsOf, FinishedTask, Holds, Removed, StoreError, TaskResultOutcome};

/// Tasks, exports, health.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Adds tasks, all or none.
    async fn add_tasks(&self, tasks: &[Task], audit: &[AuditEntry]) -> Result<(), StoreError>;

    /// Tasks by id, in the order asked for; unknown ones are left out.
    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<Task>, StoreError>;

    /// Tasks of a host that have not ended, oldest first.
    async fn open_tasks(&self, host: &HostId) -> Result<Vec<Task>, StoreError>;

    /// Notes that a waiting task was offered.
    async fn task_offered(&self, id: &TaskId) -> Result<(), StoreError>;

    /// Ends a task of this host with its export or health report, in one transaction. When this blob of this host is
    /// archived already, the task names the export that is there.
    async fn finish_task(
        &self,
        host: &HostId,
        id: &TaskId,
        result: &FinishedTask,
        audit: &AuditEntry,
    ) -> Result<TaskResultOutcome, StoreError>;

    /// Ends every task whose deadline is not after `now`; returns how many. Writes the audit entry of each itself:
    /// `task.expire` of `task/<id>` by `controller`.
    async fn expire_tasks(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Stores an export that no task asked for (before an update). False: this blob of this host is there already.
    async fn add_export(&self, export: &Export, audit: &AuditEntry) -> Result<bool, StoreError>;

    /// Newest exports, newest first; of one host, or of all.
    async fn exports(&self, which: ExportsOf<'_>, limit: u32) -> Result<Vec<Export>, StoreError>;

    /// Hosts whose export this blob is.
    async fn exporters(&self, blob: &Digest) -> Result<Vec<HostId>, StoreError>;

    /// Blobs of all exports.
    async fn exported_blobs(&self) -> Result<Vec<Digest>, StoreError>;

    /// Of each host: what came of the health check that was asked for last, of those that asked for every check and have
    /// ended.
    async fn newest_checks(&self) -> Result<Vec<EndedCheck>, StoreError>;

    /// Newest health report of each host that has one; with a time, of those whose report arrived then or later.
    async fn health(&self, since: Option<Timestamp>) -> Result<Vec<HostHealth>, StoreError>;
}

/// How long exports are kept.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// When the newest export of each host that has one was made.
    async fn newest_exports(&self) -> Result<Vec<(HostId, Timestamp)>, StoreError>;

    /// Exports that were made before that, the oldest first, `limit` at most: none of these hosts, and never the newest of a
    /// host.
    async fn old_exports(&self, before: Timestamp, held: &[HostId], limit: u32) -> Result<Vec<Export>, StoreError>;

    /// Removes these, if the newest open hold has that number still.
    async fn remove_exports(
        &self,
        exports: &[ExportId],
        newest_hold: Option<u32>,
        audit: &AuditEntry,
    ) -> Result<Removed, StoreError>;

    /// Enters a legal hold, and gives it the next number; that of `hold` is not looked at. The entry's object is
    /// `hold/NUMBER`.
    async fn add_export_hold(&self, hold: &ExportHold, audit: &AuditEntry) -> Result<u32, StoreError>;

    /// Legal holds, by number.
    async fn export_holds(&self, which: Holds) -> Result<Vec<ExportHold>, StoreError>;

    /// Releases one. False: it is released already, or there is none of that number.
    async fn release_export_hold(&self, id: u32, by: &str, audit: &AuditEntry) -> Result<bool, StoreError>;
}
