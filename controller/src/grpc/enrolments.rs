//! Hosts that wait for a person.

use std::sync::Arc;

use flota_proto::v1;
use flota_proto::v1::enrolments_server::Enrolments;
use tonic::{Request, Response, Status};

use super::{access, hosts, select, view};
use crate::core::Core;
use crate::fault::Fault;
use crate::standing;

/// The service.
pub struct EnrolmentsService(pub Arc<Core>);

#[tonic::async_trait]
impl Enrolments for EnrolmentsService {
    async fn list(
        &self,
        _: Request<v1::ListEnrolmentsRequest>,
    ) -> Result<Response<v1::ListEnrolmentsResponse>, Status> {
        let core = &self.0;
        let extras = hosts::extras(core).await?;
        let tokens = core.store.tokens(core.now()).await.map_err(Fault::from)?;
        let mut enrolments = Vec::new();
        for host in core.store.hosts().await.map_err(Fault::from)? {
            if !host.awaits_approval || !host.trust.admits_connection() {
                continue;
            }
            let keys = core.store.host_keys(&host.id).await.map_err(Fault::from)?.map(|(keys, _)| keys);
            let token = tokens.iter().find(|token| token.used_by.as_ref() == Some(&host.id));
            enrolments.push(v1::PendingEnrolment {
                host: Some(view::host(&host, core.sessions.is_connected(&host.id), &extras)),
                ek_fingerprint: keys.as_ref().map(|keys| keys.ek_spki_sha256.to_string()).unwrap_or_default(),
                tpm_manufacturer: keys.map(|keys| keys.tpm_manufacturer).unwrap_or_default(),
                token: token.map(|token| token.id.to_string()).unwrap_or_default(),
                token_created_by: token.map(|token| token.created_by.clone()).unwrap_or_default(),
            });
        }
        Ok(Response::new(v1::ListEnrolmentsResponse { enrolments }))
    }

    async fn approve(&self, request: Request<v1::HostActionRequest>) -> Result<Response<v1::Host>, Status> {
        let (actor, host, reason) = host_action(&self.0, request).await?;
        standing::approve(&self.0, &actor, &host, &reason).await?;
        Ok(Response::new(hosts::shown(&self.0, &host.id).await?))
    }

    async fn deny(&self, request: Request<v1::HostActionRequest>) -> Result<Response<v1::Host>, Status> {
        let (actor, host, reason) = host_action(&self.0, request).await?;
        standing::deny(&self.0, &actor, &host, &reason).await?;
        Ok(Response::new(hosts::shown(&self.0, &host.id).await?))
    }
}

/// Longest reason, in characters: it stands in listings and in the audit log.
const MAX_REASON_CHARS: usize = 500;

/// Who does what to which host, and why.
pub async fn host_action(
    core: &Core,
    request: Request<v1::HostActionRequest>,
) -> Result<(String, flota_model::host::Host, String), Fault> {
    let actor = access::principal(&request)?.actor();
    let v1::HostActionRequest { host, reason } = request.into_inner();
    let fleet = core.store.hosts().await?;
    let host = select::find(&fleet, &host)?.clone();
    let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
    Ok((actor, host, reason))
}
