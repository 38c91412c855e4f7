//! The agent's stream. What arrives is stored before it is acknowledged; what goes down is read from the store.

mod outcome;
mod run;

use std::pin::Pin;
use std::sync::Arc;

use flota_proto::v1;
use flota_proto::v1::agent_session_server::AgentSession;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::access::{self, Principal};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Messages a slow host may have waiting; then its stream is closed, and it starts again from what is stored.
const OUTGOING: usize = 32;

/// The service.
pub struct SessionService(pub Arc<Core>);

type Outgoing = Pin<Box<dyn Stream<Item = Result<v1::ControllerMessage, Status>> + Send>>;

#[tonic::async_trait]
impl AgentSession for SessionService {
    type ConnectStream = Outgoing;

    async fn connect(&self, request: Request<Streaming<v1::AgentMessage>>) -> Result<Response<Outgoing>, Status> {
        let Principal::Host(host) = access::principal(&request)? else {
            return Err(Fault::new(Code::RoleMissing, "only hosts have sessions").into());
        };
        let peer = access::peer(&request)?;
        let (sender, receiver) = mpsc::channel(OUTGOING);
        let session = run::Session::new(Arc::clone(&self.0), host, peer, sender);
        // Ends when the stream does, when a newer session begins, or when the host is shut out.
        drop(tokio::spawn(session.run(request.into_inner())));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn archive(&self, request: Request<v1::ExportResult>) -> Result<Response<v1::ArchiveResponse>, Status> {
        let Principal::Host(host) = access::principal(&request)? else {
            return Err(Fault::new(Code::RoleMissing, "only hosts archive exports").into());
        };
        outcome::archive(&self.0, &host, request.into_inner()).await?;
        Ok(Response::new(v1::ArchiveResponse {}))
    }
}
