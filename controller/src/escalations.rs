//! Tells the security role's webhook what needs a person: signed, repeated until it is taken, each with an id that the
//! other side can use to tell a repetition.

use std::sync::Arc;
use std::time::Duration;

use flota_model::Timestamp;
use flota_seal::secret::Secret;
use flota_store::{Delivery, EscalationRecord};
use hmac::{Hmac, KeyInit, Mac};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::json;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::files;
use crate::settings::Webhook;

/// Looked for this often.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time that the other side has for its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Deliveries of one round.
const ROUND: u32 = 32;
/// First pause after a failure; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between attempts.
const MAX_PAUSE: Duration = Duration::from_mins(15);
/// After so many attempts, about three days, it is given up; the escalation stays open.
const MAX_ATTEMPTS: u32 = 300;
/// Header with the hex HMAC-SHA256 of the body.
const SIGNATURE_HEADER: &str = "Flota-Signature-256";

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
    match post(webhook, escalation).await {
        Ok(()) => Delivery::Delivered { at: core.now() },
        Err(fault) if attempts >= MAX_ATTEMPTS => {
            Delivery::Failed { why: format!("given up after {attempts} attempts: {}", fault.sentence) }
        }
        Err(fault) => {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::warn!(escalation = %escalation.id, attempts, error, "the webhook did not take an escalation");
            Delivery::Waiting { attempts, next: core.now().plus(pause(attempts)) }
        }
    }
}

fn pause(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE)
}

async fn post(webhook: &Webhook, escalation: &EscalationRecord) -> Result<(), Fault> {
    let body = body(escalation);
    let broken = |error: reqwest::Error| {
        Fault::new(Code::Unavailable, "the webhook does not answer").because(error.without_url())
    };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config()?)
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(broken)?;
    let request = client
        .post(&webhook.url)
        .header("Content-Type", "application/json")
        .header(SIGNATURE_HEADER, sign(webhook, body.as_bytes())?)
        .body(body);
    let status = request.send().await.map_err(broken)?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(Fault::new(Code::Unavailable, format!("the webhook answered {status}")))
    }
}

/// Trusts what the machine trusts.
fn tls_config() -> Result<rustls::ClientConfig, Fault> {
    let unusable =
        |error: rustls::Error| Fault::new(Code::Unavailable, "TLS to the webhook cannot be prepared").because(error);
    let mut config = rustls::ClientConfig::builder_with_provider(flota_net::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_platform_verifier()
        .map_err(unusable)?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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

fn sign(webhook: &Webhook, body: &[u8]) -> Result<String, Fault> {
    let unreadable =
        |error: files::FileError| Fault::new(Code::Unavailable, "the webhook's key cannot be read").because(error);
    let text = files::read_text(&webhook.key_file).map_err(unreadable)?;
    let key = Secret::decode(&text, "webhook_key_file")
        .map_err(|error| Fault::new(Code::Unavailable, "the webhook's key is malformed").because(error))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose())
        .map_err(|_| Fault::new(Code::Bug, "a key of any length makes an HMAC"))?;
    mac.update(body);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_quarter_of_an_hour() {
        assert_eq!(pause(1), Duration::from_secs(5));
        assert_eq!(pause(3), Duration::from_secs(20));
        assert_eq!(pause(300), MAX_PAUSE);
    }
}
