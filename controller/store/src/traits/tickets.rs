//! What the ticket system is told.

use async_trait::async_trait;
use flota_model::Timestamp;
use flota_model::audit::AuditEntry;

use crate::{NoteState, StoreError, TicketNote};

/// Notes for the tickets that rollouts name.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Enters a note, due at `now`, of every rollout that names a ticket and started or ended at `since` or later, unless
    /// there is one about that; returns how many. Not audited: what comes of them is.
    async fn raise_ticket_notes(&self, since: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// Notes that are due at `now`, `limit` at most. Until `until` they are due for nobody else.
    async fn claim_ticket_notes(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<TicketNote>, StoreError>;

    /// Notes what came of one; logged where there is an entry.
    async fn note_ticket(
        &self,
        note: &TicketNote,
        state: &NoteState,
        audit: Option<&AuditEntry>,
    ) -> Result<(), StoreError>;

    /// All notes, by rollout and event.
    async fn ticket_notes(&self) -> Result<Vec<TicketNote>, StoreError>;
}
