//! The audit log over the wire.

use std::sync::Arc;

use flota_model::audit::ChainVerifier;
use flota_model::evidence::SealedCheckpoint;
use flota_proto::v1;
use flota_proto::v1::audit_server::Audit;
use tonic::{Request, Response, Status};

use super::view;
use crate::checkpoints;
use crate::core::Core;
use crate::fault::Fault;

/// Entries listed at most; an answer of more would not fit into a message.
const MAX_LIMIT: u32 = 10_000;
/// Entries read at once while verifying.
const BATCH: u32 = 1000;

/// The service.
pub struct AuditService(pub Arc<Core>);

#[tonic::async_trait]
impl Audit for AuditService {
    async fn list(&self, request: Request<v1::ListAuditRequest>) -> Result<Response<v1::ListAuditResponse>, Status> {
        let v1::ListAuditRequest { object, action, limit } = request.into_inner();
        let limit = if limit == 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let object = Some(object.as_str()).filter(|object| !object.is_empty());
        let action = Some(action.as_str()).filter(|action| !action.is_empty());
        let rows = self.0.store.audit(object, action, limit).await.map_err(Fault::from)?;
        Ok(Response::new(v1::ListAuditResponse { entries: rows.iter().map(view::audit).collect() }))
    }

    async fn read(&self, request: Request<v1::ReadAuditRequest>) -> Result<Response<v1::ListAuditResponse>, Status> {
        let v1::ReadAuditRequest { from, limit } = request.into_inner();
        let limit = if limit == 0 { MAX_LIMIT } else { limit.min(MAX_LIMIT) };
        let rows = self.0.store.audit_from(from, limit).await.map_err(Fault::from)?;
        Ok(Response::new(v1::ListAuditResponse { entries: rows.iter().map(view::audit).collect() }))
    }

    async fn checkpoint(&self, request: Request<v1::CheckpointRequest>) -> Result<Response<v1::Checkpoint>, Status> {
        let (sealed, sequence) = checkpoints::sign(&self.0, request.into_inner().sequence).await?;
        let SealedCheckpoint { checkpoint, public_key, signature } = sealed;
        Ok(Response::new(v1::Checkpoint { checkpoint, public_key, signature, sequence }))
    }

    async fn verify(&self, _: Request<v1::VerifyAuditRequest>) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let mut verifier = ChainVerifier::default();
        loop {
            let next = verifier.accepted().saturating_add(1);
            let rows = self.0.store.audit_from(next, BATCH).await.map_err(Fault::from)?;
            let (intact, first_bad, problem) = match rows.iter().try_for_each(|row| verifier.accept(row)) {
                Ok(()) if !rows.is_empty() => continue,
                Ok(()) => (true, 0, String::new()),
                Err(broken) => (false, verifier.accepted().saturating_add(1), broken.to_string()),
            };
            return Ok(Response::new(v1::VerifyAuditResponse {
                intact,
                entries: verifier.accepted(),
                first_bad,
                problem,
                head: verifier.head().to_string(),
            }));
        }
    }
}
