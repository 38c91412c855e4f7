//! Security exports over the wire.

mod holds;
mod search;

use std::pin::Pin;
use std::sync::Arc;

use flota_model::task::TaskKind;
use flota_proto::v1;
use flota_proto::v1::exports_server::Exports;
use flota_store::ExportsOf;
use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use search::Hearer;

use super::{access, select, tasks, view};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Exports listed when no limit is given: years of daily exports of a host.
const NO_LIMIT: u32 = 100_000;
/// Hits that wait for a slow reader.
const HITS_BUFFERED: usize = 64;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 500;

/// The service.
pub struct ExportsService(pub Arc<Core>);

type Hits = Pin<Box<dyn Stream<Item = Result<v1::SearchHit, Status>> + Send>>;

#[tonic::async_trait]
impl Exports for ExportsService {
    type SearchStream = Hits;

    async fn search(&self, request: Request<v1::SearchExportsRequest>) -> Result<Response<Hits>, Status> {
        let actor = access::principal(&request)?.actor();
        let search = search::Search::of(&self.0, request.into_inner()).await?;
        let audit = self.0.audit_by(&actor, "export.search", "exports".to_owned(), "ok", &search.particulars());
        self.0.store.append_audit(&[audit]).await.map_err(Fault::from)?;
        let (sender, receiver) = mpsc::channel(HITS_BUFFERED);
        let blobs = self.0.blobs.clone();
        let searches = Arc::clone(&self.0.searches);
        let turn = searches.acquire_owned().await.map_err(|_| Status::unavailable("the controller ends"))?;
        // It ends when it is through, or when nobody takes what it finds; only then is it another's turn.
        drop(tokio::task::spawn_blocking(move || {
            search.run(&blobs, &Hearer { sender, runtime: Handle::current() });
            drop(turn);
        }));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn hold(&self, request: Request<v1::HoldExportsRequest>) -> Result<Response<v1::ExportHold>, Status> {
        holds::hold(&self.0, request).await
    }

    async fn holds(&self, request: Request<v1::ListHoldsRequest>) -> Result<Response<v1::ListHoldsResponse>, Status> {
        holds::list(&self.0, request.into_inner().all).await
    }

    async fn release(&self, request: Request<v1::ReleaseHoldRequest>) -> Result<Response<v1::ExportHold>, Status> {
        holds::release(&self.0, request).await
    }

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
            "" => self.0.store.exports(ExportsOf::ALL, limit).await,
            name => {
                let hosts = self.0.store.hosts().await.map_err(Fault::from)?;
                self.0.store.exports(ExportsOf::host(&select::find(&hosts, name)?.id), limit).await
            }
        };
        let exports = exports.map_err(Fault::from)?;
        Ok(Response::new(v1::ListExportsResponse { exports: exports.iter().map(view::export).collect() }))
    }
}
