//! Tickets: what happens to a rollout that names one is written into it, so that nobody has to (manual §7, the last item).
//!
//! [`TicketSystem`] is all that a ticket system has to say of itself; to add one, a file beside `jira` and a word in the settings.

mod github;
mod jira;
mod text;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use flota_store::{NoteState, TicketNote};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::Fault;
use crate::outbound::{Credential, Message, pause};
use crate::settings::{TicketSettings, TicketSystemKind};

pub(crate) use github::is_repository;

/// Looked for this often.
const INTERVAL: Duration = Duration::from_secs(2);
/// Rollouts that started or ended longer ago are not noted: the settings may be new.
pub const LOOK_BACK: Duration = Duration::from_hours(24);
/// What one controller has begun is left to it for that long: longer than the other side may take.
const CLAIM: Duration = Duration::from_secs(30);
/// Notes of one round.
const ROUND: u32 = 16;
/// First pause after a failure; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between attempts.
const MAX_PAUSE: Duration = Duration::from_mins(30);
/// After so many attempts, about three days, it is given up; the checklist says so.
const MAX_ATTEMPTS: u32 = 150;

/// A ticket system, as far as notes need it. Pure: it says what is to be sent, and reads what was answered.
trait TicketSystem: Send + Sync {
    /// How a note is sent to a ticket. Err: no ticket of this system has that name; a sentence.
    fn request(&self, note: &TicketText) -> Result<TicketRequest, String>;

    /// What the system calls the note that it took: an address, or an id.
    fn reference(&self, answer: &Value) -> Option<String>;
}

/// A note.
struct TicketText {
    ticket: String,
    /// `started` or `ended`, and of which rollout: what a webhook reads.
    event: &'static str,
    rollout: String,
    text: String,
}

/// What is to be sent.
#[derive(Debug, PartialEq)]
struct TicketRequest {
    url: String,
    body: Value,
}

/// Writes notes until told to stop; without a ticket system at once.
pub async fn keep_noting(core: Arc<Core>, stopping: CancellationToken) {
    let Some(settings) = &core.settings.tickets else { return stopping.cancelled().await };
    let system = system(settings);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(fault) = round(&core, settings, &*system).await {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::error!(error, "tickets were not noted; trying again");
        }
    }
}

fn system(settings: &TicketSettings) -> Box<dyn TicketSystem> {
    let url = settings.url.trim_end_matches('/').to_owned();
    match settings.system {
        TicketSystemKind::Webhook => Box::new(webhook::Webhook { url }),
        TicketSystemKind::Jira => Box::new(jira::Jira { url }),
        TicketSystemKind::GitHub => Box::new(github::GitHub { url, repository: settings.repository.clone() }),
    }
}

async fn round(core: &Core, settings: &TicketSettings, system: &dyn TicketSystem) -> Result<(), Fault> {
    let now = core.now();
    core.store.raise_ticket_notes(now.minus(LOOK_BACK).unwrap_or(now), now).await?;
    for note in core.store.claim_ticket_notes(now, now.plus(CLAIM), ROUND).await? {
        let state = write(core, settings, system, &note).await?;
        let object = format!("rollout/{}", note.rollout);
        let details = |more: &Value| json!({ "ticket": note.ticket, "event": note.event.as_str(), "result": more });
        let audit = match &state {
            NoteState::Waiting { .. } => None,
            NoteState::Recorded { reference, .. } => {
                Some(core.audit("ticket.note", object, "ok", &details(&json!(reference))))
            }
            NoteState::Failed { why } => Some(core.audit("ticket.note", object, "failed", &details(&json!(why)))),
        };
        core.store.note_ticket(&note, &state, audit.as_ref()).await?;
    }
    Ok(())
}

async fn write(
    core: &Core,
    settings: &TicketSettings,
    system: &dyn TicketSystem,
    note: &TicketNote,
) -> Result<NoteState, Fault> {
    let record = core.store.rollout(note.rollout).await?;
    let record = record.ok_or_else(|| Fault::not_found("rollout", &note.rollout.to_string()))?;
    let request = match system.request(&text::of(note, &record)) {
        Ok(request) => request,
        Err(why) => return Ok(NoteState::Failed { why }),
    };
    let token = settings.token_file.as_deref();
    let credential = match (settings.user.as_deref(), token) {
        (Some(user), Some(file)) => Credential::Basic(user, file),
        (None, Some(file)) => Credential::Bearer(file),
        (_, None) => Credential::None,
    };
    let (body, key_file) = (request.body.to_string(), settings.key_file.as_deref());
    let sent =
        core.outbound.send(Message { method: Method::POST, url: &request.url, body, key_file, credential }).await;
    Ok(match sent {
        Ok(answer) => {
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
            let reference = system.reference(&answer).unwrap_or_else(|| "it was taken without a name".to_owned());
            NoteState::Recorded { at: core.now(), reference: reference.chars().take(300).collect() }
        }
        Err(fault) => {
            let attempts = match &note.state {
                NoteState::Waiting { attempts, .. } => attempts.saturating_add(1),
                NoteState::Recorded { .. } | NoteState::Failed { .. } => 1,
            };
            let why = flota_daemon::error_chain::chain(&fault);
            tracing::warn!(rollout = %note.rollout, ticket = note.ticket, attempts, error = why, "a ticket was not noted");
            if attempts >= MAX_ATTEMPTS {
                NoteState::Failed { why: format!("given up after {attempts} attempts: {why}") }
            } else {
                let next = core.now().plus(pause(attempts, FIRST_PAUSE, MAX_PAUSE));
                NoteState::Waiting { attempts, next, why: Some(why) }
            }
        }
    })
}
