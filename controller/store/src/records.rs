//! What goes into the store and comes out of it, beyond the model.

mod alert;
mod attestation;
mod enrolment;
mod escalation;
mod operator;
mod policy;
mod recovery;
mod rollout;
mod task;
mod ticket;

pub use alert::{AlertChange, AlertRecord, Notice, Tell, Told};
pub use attestation::{ATTESTATIONS_KEPT, AttestationRecord, BootLog, HostMeasurements, Lease, VerdictRecord};
pub use enrolment::{Admits, Approval, EnrolOutcome, Enrolment, HostKeys, NewToken, TokenKey, TokenRecord, TokenState};
pub use escalation::{Delivery, EscalationRecord, NewEscalation, Resolution};
pub use operator::OperatorRecord;
pub use policy::{
    AddPolicy, ApprovePolicy, NewPolicy, PolicyChange, PolicyRecord, PolicyRequest, PolicyState, Previous,
};
pub use recovery::RecoveryRecord;
pub use rollout::{
    ApproveRollout, LATE_JOINERS, Publish, RENEWED_AFTER, RolloutDocuments, RolloutRecord, SetDesired, SetPlan,
};
pub use task::{EndedCheck, ExportHold, ExportsOf, FinishedTask, Holds, Removed, TaskResultOutcome};
pub use ticket::{NoteState, TicketEvent, TicketNote};
