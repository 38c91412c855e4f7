//! Whatever else people have: the note as JSON to an address of theirs, signed.

use serde_json::{Value, json};

use super::{TicketRequest, TicketSystem, TicketText};

/// An address.
pub(super) struct Webhook {
    /// Where notes go.
    pub(super) url: String,
}

impl TicketSystem for Webhook {
    fn request(&self, note: &TicketText) -> Result<TicketRequest, String> {
        let TicketText { ticket, event, rollout, text } = note;
        let body = json!({
            "apiVersion": "flota/v1", "kind": "TicketNote", "ticket": ticket, "event": event, "rollout": rollout,
            "text": text,
        });
        Ok(TicketRequest { url: self.url.clone(), body })
    }

    fn reference(&self, answer: &Value) -> Option<String> {
        Some(answer.get("reference")?.as_str()?.to_owned())
    }
}
