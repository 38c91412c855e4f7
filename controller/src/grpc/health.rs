//! Health checks over the wire.

use std::sync::Arc;

use flota_model::Selector;
use flota_model::task::TaskKind;
use flota_proto::v1;
use flota_proto::v1::health_server::Health;
use tonic::{Request, Response, Status};

use super::{access, hosts, tasks};
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
        let selector: Selector = request.into_inner().selector.parse().map_err(Fault::bad)?;
        let mut extras = hosts::extras(&self.0).await?;
        let fleet = self.0.store.hosts().await.map_err(Fault::from)?;
        let hosts = fleet
            .into_iter()
            .filter(|host| selector.matches(&host.name, &host.labels))
            .map(|host| {
                let (host_id, host_name) = (host.id.to_string(), host.name.to_string());
                match extras.health.remove(&host_id) {
                    Some(health) => v1::HostHealth {
                        host_id,
                        host_name,
                        overall: health.overall,
                        at: health.at.to_string(),
                        report_json: health.report_json,
                    },
                    None => v1::HostHealth { host_id, host_name, overall: "unknown".into(), ..Default::default() },
                }
            })
            .collect();
        Ok(Response::new(v1::ShowHealthResponse { hosts }))
    }
}
