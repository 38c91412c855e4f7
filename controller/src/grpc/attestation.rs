//! Attestation on demand.

use std::sync::Arc;
use std::time::Duration;

use flota_model::audit::AuditEntry;
use flota_model::host::Host;
use flota_proto::v1;
use flota_proto::v1::attestation_server::Attestation;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::enrolments::host_action;
use super::{access, hosts, select};
use crate::core::Core;
use crate::fault::Fault;
use crate::sessions::Command;
use crate::standing;

/// How long verdicts are waited for unless told otherwise: a hardware TPM quotes in about a second.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait.
const MAX_TIMEOUT: Duration = Duration::from_mins(2);

/// The service.
pub struct AttestationService(pub Arc<Core>);

#[tonic::async_trait]
impl Attestation for AttestationService {
    async fn challenge(
        &self,
        request: Request<v1::ChallengeRequest>,
    ) -> Result<Response<v1::ChallengeResponse>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::ChallengeRequest { selector, all_hosts, hosts, timeout_seconds } = request.into_inner();
        let selection = select::Selection { selector: &selector, names: &hosts, all: all_hosts };
        let hosts = select::hosts(core, selection).await?;
        let timeout = match timeout_seconds {
            0 => DEFAULT_TIMEOUT,
            seconds => Duration::from_secs(u64::from(seconds)).min(MAX_TIMEOUT),
        };
        let asked =
            |host: &Host| core.audit_by(&actor, "attest.challenge", format!("host/{}", host.id), "ok", &json!({}));
        let audit: Vec<AuditEntry> = hosts.iter().map(asked).collect();
        core.store.append_audit(&audit).await.map_err(Fault::from)?;
        let outcomes = join_all(hosts.iter().map(|host| challenge(core, host, timeout))).await;
        Ok(Response::new(v1::ChallengeResponse { outcomes }))
    }

    async fn quarantine(&self, request: Request<v1::HostActionRequest>) -> Result<Response<v1::Host>, Status> {
        let (actor, host, reason) = host_action(&self.0, request).await?;
        standing::quarantine(&self.0, &actor, &host, &reason).await?;
        Ok(Response::new(hosts::shown(&self.0, &host.id).await?))
    }

    async fn clear(&self, request: Request<v1::HostActionRequest>) -> Result<Response<v1::Host>, Status> {
        let (actor, host, reason) = host_action(&self.0, request).await?;
        standing::clear(&self.0, &actor, &host, &reason).await?;
        Ok(Response::new(hosts::shown(&self.0, &host.id).await?))
    }
}

async fn challenge(core: &Core, host: &Host, timeout: Duration) -> v1::ChallengeOutcome {
    let (verdict, answer) = oneshot::channel();
    let asked = core.sessions.ask(&host.id, Command::Attest { verdict });
    let outcome = v1::ChallengeOutcome {
        host_id: host.id.to_string(),
        host_name: host.name.to_string(),
        verdict: "silent".into(),
        trust: host.trust.to_string(),
        reasons: Vec::new(),
    };
    if !asked {
        return v1::ChallengeOutcome { reasons: vec!["the host has no session".into()], ..outcome };
    }
    match tokio::time::timeout(timeout, answer).await {
        Ok(Ok(judged)) => v1::ChallengeOutcome {
            verdict: judged.verdict.as_str().to_owned(),
            trust: judged.trust.to_string(),
            reasons: judged.reasons,
            ..outcome
        },
        Ok(Err(_)) => v1::ChallengeOutcome { reasons: vec!["its session ended meanwhile".into()], ..outcome },
        Err(_) => v1::ChallengeOutcome { reasons: vec!["no answer in time".into()], ..outcome },
    }
}
