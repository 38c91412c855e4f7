//! What the controller remembers, as use-cases: one method is one transaction, a conflict is a value and not an error.
//!
//! Every method that changes something writes its audit entry in the same transaction. No SQL here, and no tables:
//! those are in the backends (`sqlite/`, later `postgres/`), which pass one contract suite. Times and ids come in as
//! arguments. Start at [`Store`]; to add a use-case, see CONTRIBUTING.md.

#[cfg(feature = "contract")]
pub mod contract;
mod error;
mod records;
mod traits;

pub use error::StoreError;
pub use records::{
    ATTESTATIONS_KEPT, AddPolicy, Admits, AlertChange, AlertRecord, Approval, ApprovePolicy, ApproveRollout,
    AttestationRecord, BootLog, Delivery, EndedCheck, EnrolOutcome, Enrolment, EscalationRecord, ExportHold, ExportsOf,
    FinishedTask, Holds, HostKeys, HostMeasurements, LATE_JOINERS, Lease, NewEscalation, NewPolicy, NewToken,
    NoteState, Notice, OperatorRecord, PolicyChange, PolicyRecord, PolicyRequest, PolicyState, Previous, Publish,
    RENEWED_AFTER, RecoveryRecord, Removed, Resolution, RolloutDocuments, RolloutRecord, SetDesired, SetPlan,
    TaskResultOutcome, Tell, TicketEvent, TicketNote, TokenKey, TokenRecord, TokenState, Told, VerdictRecord,
};
pub use traits::{
    AlertStore, ArchiveStore, AttestationStore, AuditStore, EnrolmentStore, EscalationStore, FreezeStore, HostStore,
    OperatorStore, PolicyStore, RecoveryStore, ReleaseMetadata, ReleaseStore, RolloutStore, Store, TaskStore,
    TicketStore, Which,
};
