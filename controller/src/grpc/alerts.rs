//! Alerts over the wire.

use std::sync::Arc;

use flota_alerts::rules;
use flota_model::Timestamp;
use flota_model::alert::{Alert, AlertState, Severity, Silence};
use flota_model::host::Host;
use flota_proto::v1;
use flota_proto::v1::alerts_server::Alerts;
use flota_store::{AlertRecord, Notice};
use tonic::{Request, Response, Status};

use super::view::time;
use crate::core::Core;
use crate::fault::Fault;
use crate::settings::{Receiver, ReceiverFormat};

/// The service.
pub struct AlertsService(pub Arc<Core>);

#[tonic::async_trait]
impl Alerts for AlertsService {
    async fn list(&self, request: Request<v1::ListAlertsRequest>) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let core = &self.0;
        let all = request.into_inner().all;
        let now = core.now();
        let since = if all { Timestamp::from_micros(0) } else { now };
        let mut records = core.store.alerts(since).await.map_err(Fault::from)?;
        records.retain(|record| match record.alert.state {
            AlertState::Quiet => false,
            AlertState::Ended => all,
            AlertState::Pending | AlertState::Firing => true,
        });
        records.sort_by_key(|record| order(&record.alert));
        let fleet = core.store.hosts().await.map_err(Fault::from)?;
        let silences = core.store.silences(Some(now)).await.map_err(Fault::from)?;
        let runbooks = &core.settings.alerts.runbooks;
        let silence = |alert: &Alert| silence(alert, &fleet, &silences, now);
        let alerts = records.iter().map(|record| shown(record, runbooks, silence(&record.alert))).collect();
        let notices = core.store.notices().await.map_err(Fault::from)?;
        let receivers = core.settings.alerts.receivers.iter().map(|receiver| told(receiver, &notices)).collect();
        Ok(Response::new(v1::ListAlertsResponse { alerts, receivers }))
    }
}

/// What fires, what is about to, what is over; the most important, then the oldest first.
fn order(alert: &Alert) -> (u8, std::cmp::Reverse<Severity>, std::cmp::Reverse<Option<Timestamp>>, Timestamp) {
    let state = match alert.state {
        AlertState::Firing => 0,
        AlertState::Pending => 1,
        AlertState::Ended | AlertState::Quiet => 2,
    };
    // Of those that are over the newest first.
    (state, std::cmp::Reverse(alert.finding.severity), std::cmp::Reverse(alert.ended_at), alert.since)
}

/// The silence that keeps it from being looked at: of all its hosts, as far as they are named.
fn silence(alert: &Alert, fleet: &[Host], silences: &[Silence], now: Timestamp) -> Option<u32> {
    let named: Vec<&Host> = fleet.iter().filter(|host| alert.finding.hosts.contains(&host.name)).collect();
    let holds = |silence: &&Silence| {
        !named.is_empty() && named.iter().all(|host| silence.holds(&alert.key.rule, &host.name, &host.labels, now))
    };
    silences.iter().find(holds).map(|silence| silence.id)
}

fn shown(record: &AlertRecord, runbooks: &str, silence: Option<u32>) -> v1::Alert {
    let AlertRecord { id, revision: _, alert } = record;
    let Alert { key, finding, state, flapping, since, fired_at, gone_since, ended_at, edges: _ } = alert;
    v1::Alert {
        id: *id,
        rule: key.rule.clone(),
        severity: finding.severity.to_string(),
        state: state.as_str().to_owned(),
        subject: key.subject.clone(),
        summary: finding.summary.clone(),
        description: finding.description.clone(),
        command: finding.command.clone(),
        runbook: format!("{runbooks}{}.md", key.rule),
        hosts: finding.hosts.iter().map(ToString::to_string).collect(),
        host_count: finding.host_count,
        since: since.to_string(),
        fired_at: time(*fired_at),
        ended_at: time(*ended_at),
        gone_since: time(*gone_since),
        flapping: *flapping,
        fingerprint: key.fingerprint(),
        silence: silence.map(|id| id.to_string()).unwrap_or_default(),
        means: rules::rule(&key.rule).map(|rule| rule.means.to_owned()).unwrap_or_default(),
    }
}

/// When it was told last, and what is in the way.
fn told(receiver: &Receiver, notices: &[Notice]) -> v1::AlertReceiver {
    let notices = notices.iter().filter(|notice| notice.receiver == receiver.name);
    let told_at = notices.clone().filter_map(|notice| notice.told_at).max();
    let waits = notices.clone().any(|notice| notice.rule != "*" && notice.due_at.is_some());
    // What was given up is not tried any more, and says nothing of the present.
    let failing = notices.filter(|notice| notice.failure.is_some() && notice.due_at.is_some());
    let worst = failing.max_by_key(|notice| notice.attempts);
    v1::AlertReceiver {
        name: receiver.name.clone(),
        format: match receiver.format {
            ReceiverFormat::Webhook => "webhook",
            ReceiverFormat::Alertmanager => "alertmanager",
        }
        .to_owned(),
        severity: receiver.least.to_string(),
        told_at: time(told_at),
        failure: worst.and_then(|notice| notice.failure.clone()).unwrap_or_default(),
        attempts: worst.map_or(0, |notice| notice.attempts),
        waits,
    }
}
