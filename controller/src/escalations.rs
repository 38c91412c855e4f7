//! Tells the security role's webhook what needs a person: signed, repeated until it is taken, each with an id that the
//! other side can use to tell a repetition.

use std::sync::Arc;
use std::time::Duration;

use flota_model::Timestamp;
use flota_store::{Delivery, EscalationRecord};
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::Fault;
use crate::outbound::{Credential, Message, pause};
use crate::settings::Webhook;

/// Looked for this often.
const INTERVAL: Duration = Duration::from_secs(2);
/// Deliveries of one round.
const ROUND: u32 = 32;
/// First pause after a failure; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between attempts.
const MAX_PAUSE: Duration = Duration::from_mins(15);
/// After so many attempts, about three days, it is given up; the escalation stays open.
const MAX_ATTEMPTS: u32 = 300;

/// Delivers until told to stop.
pub async fn keep_delivering(core: Arc<Core>, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if let Err(fault) = round(&core).await {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::error!(error, "escalations were not delivered; trying again");
        }
    }
}

async fn round(core: &Core) -> Result<(), Fault> {
    let due = core.store.undelivered(core.now(), ROUND).await?;
    for escalation in due {
        let delivery = match &core.settings.webhook {
            None => Delivery::Failed { why: "no webhook is configured (webhook_url in controller.toml)".into() },
            Some(webhook) => attempt(core, webhook, &escalation).await,
        };
        core.store.note_delivery(&escalation.id, &delivery).await?;
    }
    Ok(())
}

async fn attempt(core: &Core, webhook: &Webhook, escalation: &EscalationRecord) -> Delivery {
    let attempts = match escalation.delivery {
        Delivery::Waiting { attempts, .. } => attempts.saturating_add(1),
        _ => 1,
    };
    match post(core, webhook, escalation).await {
        Ok(()) => Delivery::Delivered { at: core.now() },
        Err(fault) if attempts >= MAX_ATTEMPTS => {
            Delivery::Failed { why: format!("given up after {attempts} attempts: {}", fault.sentence) }
        }
        Err(fault) => {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::warn!(escalation = %escalation.id, attempts, error, "the webhook did not take an escalation");
            Delivery::Waiting { attempts, next: core.now().plus(pause(attempts, FIRST_PAUSE, MAX_PAUSE)) }
        }
    }
}

async fn post(core: &Core, webhook: &Webhook, escalation: &EscalationRecord) -> Result<(), Fault> {
    let message = Message {
        method: Method::POST,
        url: &webhook.url,
        body: body(escalation),
        key_file: Some(&webhook.key_file),
        credential: Credential::None,
    };
    core.outbound.send(message).await.map(drop)
}

fn body(escalation: &EscalationRecord) -> String {
    let EscalationRecord { id, kind, host, host_name, summary, opened_at, .. } = escalation;
    let opened_at: &Timestamp = opened_at;
    json!({
        "apiVersion": "flota/v1", "kind": "Escalation", "id": id, "escalation": kind, "role": "security",
        "host": { "id": host, "name": host_name }, "summary": summary, "opened_at": opened_at,
    })
    .to_string()
}
