//! Health checks over the wire.

use std::sync::Arc;

use flota_alerts::{Blame, Cause, FleetFacts, HealthFact, HostFact, causes};
use flota_model::task::TaskKind;
use flota_model::{Selector, Timestamp};
use flota_proto::v1;
use flota_proto::v1::health_server::Health;
use tonic::{Request, Response, Status};

use super::{access, tasks};
use crate::alerting::facts::{self, Memory};
use crate::core::Core;
use crate::fault::Fault;

/// The service.
pub struct HealthService(pub Arc<Core>);

#[tonic::async_trait]
impl Health for HealthService {
    async fn run(&self, request: Request<v1::RunTaskRequest>) -> Result<Response<v1::TasksResponse>, Status> {
        let principal = access::principal(&request)?;
        let request = request.into_inner();
        let kind = TaskKind::Health { checks: request.checks.clone() };
        Ok(Response::new(tasks::run(&self.0, &principal, &request, kind).await?))
    }

    async fn show(&self, request: Request<v1::ShowHealthRequest>) -> Result<Response<v1::ShowHealthResponse>, Status> {
        let core = &self.0;
        let v1::ShowHealthRequest { selector, by } = request.into_inner();
        let selector: Selector = selector.parse().map_err(Fault::bad)?;
        let mut newest = std::collections::BTreeMap::new();
        for health in core.store.health(None).await.map_err(Fault::from)? {
            newest.insert(health.host.clone(), health);
        }
        let fleet = core.store.hosts().await.map_err(Fault::from)?;
        let hosts = fleet.into_iter().filter(|host| selector.matches(&host.name, &host.labels)).map(|host| {
            let (host_id, host_name) = (host.id.to_string(), host.name.to_string());
            match newest.remove(&host.id) {
                Some(health) => v1::HostHealth {
                    host_id,
                    host_name,
                    overall: health.overall,
                    at: health.at.to_string(),
                    report_json: health.report_json,
                },
                None => v1::HostHealth { host_id, host_name, overall: "unknown".into(), ..Default::default() },
            }
        });
        let hosts = hosts.collect();
        // The same facts as the rules of alerts have, so that both say the same.
        let mut facts = facts::gather(core, &mut Memory::default()).await?;
        facts.hosts.retain(|host| !host.shut_out);
        let now = core.now();
        // What hosts share is seen in the whole fleet, whoever of them was asked about.
        let causes = shared(&facts, now, |host| selector.matches(&host.name, &host.labels));
        facts.hosts.retain(|host| selector.matches(&host.name, &host.labels));
        let rows = counted(&facts, &by, now);
        Ok(Response::new(v1::ShowHealthResponse { hosts, rows, causes }))
    }
}

fn counted(facts: &FleetFacts, by: &str, now: Timestamp) -> Vec<v1::HealthRow> {
    let rows = if by.is_empty() || by == "exchange" {
        flota_alerts::by_exchange(facts, now)
    } else {
        flota_alerts::by_label(facts, now, by)
    };
    let row = |row: flota_alerts::HealthRow| {
        let flota_alerts::HealthRow { exchange, value, healthy, degraded, unavailable, unknown } = row;
        v1::HealthRow { exchange, value, healthy, degraded, unavailable, unknown }
    };
    rows.into_iter().map(row).collect()
}

/// Causes that at least one of these hosts has.
fn shared(facts: &FleetFacts, now: Timestamp, asked: impl Fn(&HostFact) -> bool) -> Vec<v1::HealthCause> {
    let reports: Vec<(&HostFact, &HealthFact)> =
        facts.hosts.iter().filter_map(|host| Some((host, facts.fresh(host, now)?))).collect();
    causes(&reports).iter().filter(|cause| cause.hosts.iter().any(|host| asked(host))).map(cause).collect()
}

fn cause(cause: &Cause<'_>) -> v1::HealthCause {
    let Cause { check, hosts, there, blame } = cause;
    v1::HealthCause {
        exchange: check.exchange.clone(),
        check: check.name.clone(),
        status: check.status.clone(),
        details: check.details.clone(),
        hosts: hosts.iter().map(|host| host.name.to_string()).collect(),
        there: u32::try_from(*there).unwrap_or(u32::MAX),
        blame: match blame {
            Blame::Exchange => "exchange".to_owned(),
            Blame::Label(key, value) => format!("{key}={value}"),
            Blame::Hosts => "hosts".to_owned(),
        },
    }
}
