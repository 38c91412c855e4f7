//! Receivers are told what changed: once, gathered, and again until they take it.

use std::sync::Arc;
use std::time::Duration;

use flota_model::Timestamp;
use flota_model::alert::{Alert, AlertState, Severity};
use flota_store::{AlertRecord, Notice, Tell, Told};
use reqwest::Method;
use tokio_util::sync::CancellationToken;

use super::{message, micros};
use crate::core::Core;
use crate::fault::Fault;
use crate::outbound::{Credential, Message, pause};
use crate::settings::{Receiver, ReceiverFormat};

/// Looked for this often.
const INTERVAL: Duration = Duration::from_secs(1);
/// What one controller has begun is left to it for that long: longer than a receiver may take for its answer.
const CLAIM: Duration = Duration::from_secs(30);
/// First pause after a failure; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause between attempts. None is ever the last: what is told is how things are now.
const MAX_PAUSE: Duration = Duration::from_mins(5);
/// A receiver that was never told yet hears of what ended within that time.
const FIRST_LOOK_BACK: Duration = Duration::from_hours(24);
/// What ended so long before a receiver was told last is told again: the look that saw it end may have been stored after that. The
/// same alert has the same fingerprint.
const OVERLAP: Duration = Duration::from_mins(2);
/// The rule under which Alertmanager is told everything, again and again.
const EVERYTHING: &str = "*";
/// How often Alertmanager is told everything.
const REFRESH: Duration = Duration::from_mins(1);

/// Tells receivers until told to stop.
pub async fn keep_telling(core: Arc<Core>, stopping: CancellationToken) {
    let mut introduced = false;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let told = async {
            if !introduced {
                introduce(&core).await?;
            }
            introduced = true;
            round(&core).await
        };
        if let Err(fault) = told.await {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::error!(error, "receivers of alerts were not told; trying again");
        }
    }
}

/// Receivers that the settings name for the first time learn what is there.
async fn introduce(core: &Core) -> Result<(), Fault> {
    let now = core.now();
    let of = |format: Option<ReceiverFormat>| Tell {
        receivers: core
            .settings
            .alerts
            .receivers
            .iter()
            .filter(|receiver| format.is_none_or(|format| receiver.format == format))
            .map(|receiver| receiver.name.clone())
            .collect(),
        from: now,
        pause_micros: 0,
    };
    for rule in flota_alerts::rules::RULES {
        core.store.introduce(rule.name, &of(None)).await?;
    }
    core.store.introduce(EVERYTHING, &of(Some(ReceiverFormat::Alertmanager))).await?;
    Ok(())
}

async fn round(core: &Core) -> Result<(), Fault> {
    let now = core.now();
    let due = core.store.claim_notices(now, now.plus(CLAIM)).await?;
    if due.is_empty() {
        return Ok(());
    }
    let look_back = now.minus(FIRST_LOOK_BACK).unwrap_or(now);
    let since = |notice: &Notice| notice.told_at.map_or(look_back, |at| at.minus(OVERLAP).unwrap_or(at));
    let alerts = core.store.alerts(due.iter().map(since).min().unwrap_or(look_back)).await?;
    let told = due.iter().map(|notice| async {
        let told = tell(core, notice, &alerts, since(notice)).await;
        core.store.note_told(notice, &told).await
    });
    // Side by side: one that does not answer makes no other wait.
    for noted in futures_util::future::join_all(told).await {
        noted?;
    }
    Ok(())
}

async fn tell(core: &Core, notice: &Notice, alerts: &[AlertRecord], since: Timestamp) -> Told {
    let settings = &core.settings.alerts;
    let Some(receiver) = settings.receivers.iter().find(|receiver| receiver.name == notice.receiver) else {
        return Told::Failed { next: None, why: "the settings name no such receiver any more".into() };
    };
    let everything = notice.rule == EVERYTHING;
    if everything && receiver.format != ReceiverFormat::Alertmanager {
        return Told::Failed { next: None, why: "it is told of changes only".into() };
    }
    let of_rule = |alert: &&Alert| everything || alert.key.rule == notice.rule;
    let mut alerts: Vec<&Alert> = alerts
        .iter()
        .map(|record| &record.alert)
        .filter(of_rule)
        .filter(|alert| is_news(alert, receiver.least, since))
        .collect();
    // A message has room for so many: what is over would otherwise never be told, what fires is told again.
    alerts.sort_by_key(|alert| alert.ended_at.is_none());
    let at = core.now();
    let done = Told::Done { at, pause_micros: micros(settings.pause), again: everything.then(|| at.plus(REFRESH)) };
    if alerts.is_empty() {
        return done;
    }
    match send(core, receiver, &notice.rule, &alerts).await {
        Ok(()) => done,
        Err(fault) => {
            let attempts = notice.attempts.saturating_add(1);
            let why = flota_daemon::error_chain::chain(&fault);
            tracing::warn!(
                receiver = receiver.name,
                rule = notice.rule,
                attempts,
                error = why,
                "a receiver was not told"
            );
            Told::Failed { next: Some(at.plus(pause(attempts, FIRST_PAUSE, MAX_PAUSE))), why }
        }
    }
}

/// What fires, and what people were told of and has ended since.
fn is_news(alert: &Alert, least: Severity, since: Timestamp) -> bool {
    let told = match alert.state {
        AlertState::Firing => true,
        AlertState::Ended => alert.fired_at.is_some() && alert.ended_at.is_some_and(|ended| ended >= since),
        AlertState::Quiet | AlertState::Pending => false,
    };
    told && alert.finding.severity >= least
}

async fn send(core: &Core, receiver: &Receiver, rule: &str, alerts: &[&Alert]) -> Result<(), Fault> {
    let runbooks = &core.settings.alerts.runbooks;
    let (url, body) = match receiver.format {
        ReceiverFormat::Webhook => (receiver.url.clone(), message::webhook(&receiver.name, rule, alerts, runbooks)),
        ReceiverFormat::Alertmanager => (
            format!("{}/api/v2/alerts", receiver.url.trim_end_matches('/')),
            message::alertmanager(alerts, runbooks, core.now()),
        ),
    };
    let credential = receiver.token_file.as_deref().map_or(Credential::None, Credential::Bearer);
    let key_file = receiver.key_file.as_deref();
    core.outbound.send(Message { method: Method::POST, url: &url, body, key_file, credential }).await.map(drop)
}
