//! What the ticket system is told.

use async_trait::async_trait;
use flota_model::Timestamp;
use flota_model::audit::AuditEntry;
use flota_store::{NoteState, StoreError, TicketEvent, TicketNote, TicketStore};

use crate::SqliteStore;
use crate::audit::append;
use crate::row::Origin;

const EVENTS: [(&str, TicketEvent); 2] =
    [(TicketEvent::Started.as_str(), TicketEvent::Started), (TicketEvent::Ended.as_str(), TicketEvent::Ended)];

macro_rules! columns {
    () => {
        "rollout, event, ticket, attempts, next_attempt, recorded_at, reference, failure"
    };
}

#[async_trait]
impl TicketStore for SqliteStore {
    async fn raise_ticket_notes(&self, since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut writing = self.write("entering notes for tickets").await?;
        let mut raised = 0_u64;
        for insert in [
            "insert into ticket_notes (rollout, event, ticket, state, attempts, next_attempt) \
             select id, 'started', json_extract(spec, '$.ticket'), 'waiting', 0, $2 from rollouts \
             where started_at >= $1 and json_extract(spec, '$.ticket') <> '' on conflict do nothing",
            "insert into ticket_notes (rollout, event, ticket, state, attempts, next_attempt) \
             select id, 'ended', json_extract(spec, '$.ticket'), 'waiting', 0, $2 from rollouts \
             where finished_at >= $1 and started_at is not null and json_extract(spec, '$.ticket') <> '' \
             on conflict do nothing",
        ] {
            let query = sqlx::query(insert).bind(since.as_micros()).bind(now.as_micros());
            raised = raised.saturating_add(writing.run(query).await?);
        }
        writing.commit().await?;
        Ok(raised)
    }

    async fn claim_ticket_notes(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<TicketNote>, StoreError> {
        let mut writing = self.write("claiming notes for tickets").await?;
        let update = concat!(
            "update ticket_notes set next_attempt = $2 where (rollout, event) in (select rollout, event from ticket_notes \
             where state = 'waiting' and next_attempt <= $1 order by next_attempt, rollout, event desc limit $3) returning ",
            columns!()
        );
        let query = sqlx::query_as::<_, NoteRow>(update).bind(now.as_micros()).bind(until.as_micros()).bind(limit);
        let rows = writing.all(query).await?;
        writing.commit().await?;
        rows.into_iter().map(TicketNote::try_from).collect()
    }

    async fn note_ticket(
        &self,
        note: &TicketNote,
        state: &NoteState,
        audit: Option<&AuditEntry>,
    ) -> Result<(), StoreError> {
        let (word, attempts, next, recorded, reference, failure) = match state {
            NoteState::Waiting { attempts, next, why } => {
                ("waiting", Some(*attempts), Some(next.as_micros()), None, None, why.as_ref())
            }
            NoteState::Recorded { at, reference } => {
                ("recorded", None, None, Some(at.as_micros()), Some(reference), None)
            }
            NoteState::Failed { why } => ("failed", None, None, None, None, Some(why)),
        };
        let mut writing = self.write("noting what became of a note for a ticket").await?;
        let update = "update ticket_notes set state = $3, attempts = coalesce($4, attempts), next_attempt = $5, \
                      recorded_at = $6, reference = $7, failure = $8 where rollout = $1 and event = $2";
        let query = sqlx::query(update)
            .bind(note.rollout.number())
            .bind(note.event.as_str())
            .bind(word)
            .bind(attempts)
            .bind(next)
            .bind(recorded)
            .bind(reference)
            .bind(failure);
        writing.run(query).await?;
        if let Some(audit) = audit {
            append(&mut writing, audit).await?;
        }
        writing.commit().await
    }

    async fn ticket_notes(&self) -> Result<Vec<TicketNote>, StoreError> {
        let select = concat!("select ", columns!(), " from ticket_notes order by rollout, event desc");
        let query = sqlx::query_as::<_, NoteRow>(select);
        self.read("listing notes for tickets").all(query).await?.into_iter().map(TicketNote::try_from).collect()
    }
}

#[derive(sqlx::FromRow)]
struct NoteRow {
    rollout: i64,
    event: String,
    ticket: String,
    attempts: i64,
    next_attempt: Option<i64>,
    recorded_at: Option<i64>,
    reference: Option<String>,
    failure: Option<String>,
}

impl TryFrom<NoteRow> for TicketNote {
    type Error = StoreError;

    fn try_from(row: NoteRow) -> Result<Self, StoreError> {
        let NoteRow { rollout, event, ticket, attempts, next_attempt, recorded_at, reference, failure } = row;
        let key = format!("{rollout} {event}");
        let origin = Origin { table: "ticket_notes", row: &key };
        let state = match (next_attempt, recorded_at, reference) {
            (Some(next), ..) => NoteState::Waiting {
                attempts: origin.number("attempts", attempts)?,
                next: Timestamp::from_micros(next),
                why: failure,
            },
            (None, Some(at), Some(reference)) => NoteState::Recorded { at: Timestamp::from_micros(at), reference },
            _ => NoteState::Failed { why: failure.unwrap_or_default() },
        };
        Ok(Self {
            rollout: origin.rollout("rollout", rollout)?,
            event: origin.word("event", &event, &EVENTS)?,
            ticket,
            state,
        })
    }
}
