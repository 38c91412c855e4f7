//! What the ticket system is told.

use flota_model::rollout::{IntentVerb, RolloutIntent, RolloutSpec, RolloutState};

use super::fixtures::{entry, logged, plan, second, spec};
use crate::{NoteState, Store, TicketEvent, TicketNote};

async fn started(store: &dyn Store, number: u32, ticket: &str) {
    let draft = RolloutIntent::new(IntentVerb::Draft);
    let spec = RolloutSpec { ticket: ticket.into(), ..spec(number) };
    let mut audit = entry("rollout.start", "rollout");
    audit.at = second(10);
    assert!(store.create_rollout(&spec, &draft, &audit).await.unwrap());
    assert!(store.set_intent(spec.id, &draft, &draft.with(IntentVerb::Run), &audit).await.unwrap());
}

fn note(number: u32, event: TicketEvent, next: i64) -> TicketNote {
    let state = NoteState::Waiting { attempts: 0, next: second(next), why: None };
    TicketNote { rollout: flota_model::RolloutId::new(number), event, ticket: "OPS-912".into(), state }
}

/// That it started, and that it ended; of those without a ticket nothing.
pub async fn a_rollout_with_a_ticket_is_noted_once_for_each_event(store: &dyn Store) {
    started(store, 1, "OPS-912").await;
    started(store, 2, "").await;
    assert_eq!(store.raise_ticket_notes(second(11), second(12)).await.unwrap(), 0, "that was before");
    assert_eq!(store.raise_ticket_notes(second(10), second(12)).await.unwrap(), 1);
    assert_eq!(store.raise_ticket_notes(second(10), second(13)).await.unwrap(), 0);
    assert_eq!(store.ticket_notes().await.unwrap(), [note(1, TicketEvent::Started, 12)]);
    let (id, plan) = plan(1, None, 1, RolloutState::Aborted, "a person ended it");
    store.set_plan(id, &plan, &entry("rollout.plan", "rollout/R-1")).await.unwrap();
    assert_eq!(store.raise_ticket_notes(second(10), second(21)).await.unwrap(), 1);
    let events: Vec<_> = store.ticket_notes().await.unwrap().into_iter().map(|note| note.event).collect();
    assert_eq!(events, [TicketEvent::Started, TicketEvent::Ended]);
}

/// What is claimed is due for nobody else for a while; what came of it is kept, and logged where it is said so.
pub async fn a_note_is_claimed_and_what_came_of_it_is_kept(store: &dyn Store) {
    started(store, 1, "OPS-912").await;
    store.raise_ticket_notes(second(10), second(12)).await.unwrap();
    assert_eq!(store.claim_ticket_notes(second(11), second(40), 9).await.unwrap(), []);
    let [claimed] = store.claim_ticket_notes(second(12), second(40), 9).await.unwrap().try_into().unwrap();
    assert_eq!(claimed, note(1, TicketEvent::Started, 40));
    assert_eq!(store.claim_ticket_notes(second(12), second(40), 9).await.unwrap(), []);
    let before = logged(store).await;
    let waits = NoteState::Waiting { attempts: 1, next: second(50), why: Some("it answered 503".into()) };
    store.note_ticket(&claimed, &waits, None).await.unwrap();
    assert_eq!(store.ticket_notes().await.unwrap()[0].state, waits);
    let recorded = NoteState::Recorded { at: second(50), reference: "10042".into() };
    store.note_ticket(&claimed, &recorded, Some(&entry("ticket.note", "rollout/R-1"))).await.unwrap();
    assert_eq!(store.ticket_notes().await.unwrap()[0].state, recorded);
    assert_eq!(logged(store).await, before + 1);
    let failed = NoteState::Failed { why: "no such ticket".into() };
    store.note_ticket(&claimed, &failed, None).await.unwrap();
    assert_eq!(store.ticket_notes().await.unwrap()[0].state, failed);
    assert_eq!(store.claim_ticket_notes(second(99), second(100), 9).await.unwrap(), [], "it is not tried again");
}
