//! Security exports over the wire.

use std::sync::Arc;

use flota_model::task::TaskKind;
use flota_proto::v1;
use flota_proto::v1::exports_server::Exports;
use tonic::{Request, Response, Status};

use super::{access, select, tasks, view};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Exports listed when no limit is given: years of daily exports of a host.
const NO_LIMIT: u32 = 100_000;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 500;

/// The service.
pub struct ExportsService(pub Arc<Core>);

#[tonic::async_trait]
impl Exports for ExportsService {
    async fn run(&self, request: Request<v1::RunTaskRequest>) -> Result<Response<v1::TasksResponse>, Status> {
        let principal = access::principal(&request)?;
        let request = request.into_inner();
        if request.reason.len() > MAX_REASON_BYTES {
            return Err(Fault::new(Code::BadRequest, "the reason is longer than 500 bytes").into());
        }
        let reason = if request.reason.is_empty() { "on demand".to_owned() } else { request.reason.clone() };
        Ok(Response::new(tasks::run(&self.0, &principal, &request, TaskKind::Export { reason }).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListExportsRequest>,
    ) -> Result<Response<v1::ListExportsResponse>, Status> {
        let v1::ListExportsRequest { host, limit } = request.into_inner();
        let limit = if limit == 0 { NO_LIMIT } else { limit };
        let exports = match host.as_str() {
            "" => self.0.store.exports(None, limit).await,
            name => {
                let hosts = self.0.store.hosts().await.map_err(Fault::from)?;
                self.0.store.exports(Some(&select::find(&hosts, name)?.id), limit).await
            }
        };
        let exports = exports.map_err(Fault::from)?;
        Ok(Response::new(v1::ListExportsResponse { exports: exports.iter().map(view::export).collect() }))
    }
}
