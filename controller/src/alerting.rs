//! Alerts: the fleet is looked at, what the rules say is stored, and receivers are told.
//!
//! `flota_alerts` decides; `facts` gathers what it needs, `telling` reaches receivers, `message` is what they are sent.

pub mod facts;
mod message;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flota_alerts::rules::{RULES, Rule};
use flota_alerts::{Observed, Step, Timing, step};
use flota_model::Timestamp;
use flota_model::alert::{Alert, AlertKey, AlertState, Finding};
use flota_model::audit::AuditEntry;
use flota_store::{AlertChange, AlertRecord, Tell};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::Fault;
use facts::Memory;

pub use telling::keep_telling;

/// Comings and goings are counted for that long at least, and for so many intervals of the health schedule.
const FLAP_WINDOW: (Duration, u32) = (Duration::from_hours(2), 6);
/// Alerts that have ended are kept that long; what was told of them stays in the audit log.
pub const KEPT: Duration = Duration::from_hours(90 * 24);

/// Looks at the fleet until told to stop.
pub async fn keep_looking(core: Arc<Core>, stopping: CancellationToken) {
    let mut memory = Memory::default();
    loop {
        if let Err(fault) = look(&core, &mut memory).await {
            let error = flota_daemon::error_chain::chain(&fault);
            tracing::error!(error, "alerts were not looked at; trying again");
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(core.settings.alerts.look) => {}
        }
    }
}

/// One look: every rule answers for each of its alerts.
async fn look(core: &Core, memory: &mut Memory) -> Result<(), Fault> {
    let now = core.now();
    let facts = facts::gather(core, memory).await?;
    let window = flap_window(core);
    let known = newest(core.store.alerts(now.minus(window).unwrap_or(now)).await?);
    let mut changes = Vec::new();
    for rule in RULES {
        let timing = Timing { after: patience(core, rule), settle: core.settings.alerts.settle, window };
        let open = known.values().filter(|record| record.alert.key.rule == rule.name && is_open(record));
        let open: BTreeSet<&AlertKey> = open.map(|record| &record.alert.key).collect();
        let observed = match core.settings.alerts.rules.get(rule.name) {
            // What is switched off is over.
            Some(wish) if wish.off => open.iter().map(|key| ((*key).clone(), Observed::Absent)).collect(),
            _ => rule.observe(&facts, now, open.iter().copied()),
        };
        for (key, observed) in observed {
            let record = known.get(&key);
            let observed = weighed(core, rule, observed);
            let step = step(record.map(|record| &record.alert), &key, &observed, timing, now);
            changes.extend(change(core, record, step));
        }
    }
    // A rule that this version does not have any more cannot say that it is over.
    let gone =
        known.values().filter(|record| is_open(record) && flota_alerts::rules::rule(&record.alert.key.rule).is_none());
    changes.extend(gone.map(|record| {
        let ended = Alert { state: AlertState::Ended, ended_at: Some(now), ..record.alert.clone() };
        let told = record.alert.fired_at.map(|_| entry(core, "alert.end", &ended));
        AlertChange { before: Some(place(record)), after: Some(ended), told }
    }));
    if changes.is_empty() {
        return Ok(());
    }
    let saved = core.store.save_alerts(&changes, &tell(core, now)).await?;
    let told = changes.iter().zip(saved).filter(|(change, saved)| *saved && change.told.is_some());
    for alert in told.filter_map(|(change, _)| change.after.as_ref()) {
        let (rule, subject) = (&alert.key.rule, alert.key.subject_words());
        tracing::warn!(rule, subject, state = alert.state.as_str(), summary = alert.finding.summary, "alert");
    }
    Ok(())
}

/// When receivers are told of what changes now.
fn tell(core: &Core, now: Timestamp) -> Tell {
    let alerts = &core.settings.alerts;
    let receivers = alerts.receivers.iter().map(|receiver| receiver.name.clone()).collect();
    Tell { receivers, from: now.plus(alerts.wait), pause_micros: micros(alerts.pause) }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn flap_window(core: &Core) -> Duration {
    let (least, intervals) = FLAP_WINDOW;
    core.settings.health_every.unwrap_or_default().saturating_mul(intervals).max(least)
}

fn patience(core: &Core, rule: &Rule) -> Duration {
    core.settings.alerts.rules.get(rule.name).and_then(|wish| wish.after).unwrap_or(rule.after)
}

/// As important as the settings say.
fn weighed(core: &Core, rule: &Rule, observed: Observed) -> Observed {
    let severity = core.settings.alerts.rules.get(rule.name).and_then(|wish| wish.severity);
    match (observed, severity) {
        (Observed::Present(finding), Some(severity)) => Observed::Present(Finding { severity, ..finding }),
        (observed, _) => observed,
    }
}

/// Of each key the alert that is open, or else the one that ended last.
fn newest(records: Vec<AlertRecord>) -> BTreeMap<AlertKey, AlertRecord> {
    let mut newest = BTreeMap::<AlertKey, AlertRecord>::new();
    for record in records {
        let known = newest.get(&record.alert.key);
        if known.is_none_or(|known| !is_open(known) && known.id < record.id) {
            newest.insert(record.alert.key.clone(), record);
        }
    }
    newest
}

fn is_open(record: &AlertRecord) -> bool {
    record.alert.state != AlertState::Ended
}

fn place(record: &AlertRecord) -> (u32, u64) {
    (record.id, record.revision)
}

fn change(core: &Core, record: Option<&AlertRecord>, step: Step) -> Option<AlertChange> {
    // What has ended stays as it is; when it comes back that is another alert.
    let before = record.filter(|record| is_open(record)).map(place);
    let (after, action) = match step {
        Step::Same => return None,
        Step::Forgotten => (None, None),
        Step::Kept(alert) => (Some(alert), None),
        Step::Fired(alert) => (Some(alert), Some("alert.fire")),
        Step::Ended(alert) => (Some(alert), Some("alert.end")),
    };
    let told = action.zip(after.as_ref()).map(|(action, alert)| entry(core, action, alert));
    Some(AlertChange { before, after, told })
}

fn entry(core: &Core, action: &str, alert: &Alert) -> AuditEntry {
    let Alert { key, finding, flapping, .. } = alert;
    let details = json!({
        "subject": key.subject, "severity": finding.severity, "summary": finding.summary, "hosts": finding.host_count,
        "flapping": flapping,
    });
    core.audit(action, format!("alert/{}/{}", key.rule, key.fingerprint()), "ok", &details)
}
