//! The use-cases, grouped by who has them.

mod alerts;
mod audit;
mod hosts;
mod recoveries;
mod rollouts;
mod tickets;
mod trust;
mod work;

pub use alerts::AlertStore;
pub use audit::AuditStore;
pub use hosts::{EnrolmentStore, HostStore, OperatorStore};
pub use recoveries::RecoveryStore;
pub use rollouts::{FreezeStore, ReleaseMetadata, ReleaseStore, RolloutStore};
pub use tickets::TicketStore;
pub use trust::{AttestationStore, EscalationStore, PolicyStore, Which};
pub use work::{ArchiveStore, TaskStore};

/// Everything.
pub trait Store:
    OperatorStore
    + EnrolmentStore
    + HostStore
    + AttestationStore
    + PolicyStore
    + EscalationStore
    + TaskStore
    + ArchiveStore
    + ReleaseStore
    + RolloutStore
    + FreezeStore
    + AlertStore
    + RecoveryStore
    + TicketStore
    + AuditStore
{
}

impl<T> Store for T where
    T: OperatorStore
        + EnrolmentStore
        + HostStore
        + AttestationStore
        + PolicyStore
        + EscalationStore
        + TaskStore
        + ArchiveStore
        + ReleaseStore
        + RolloutStore
        + FreezeStore
        + AlertStore
        + RecoveryStore
        + TicketStore
        + AuditStore
{
}
