//! Recoveries over the wire.

use std::sync::Arc;

use flota_model::HostName;
use flota_model::recovery::{Recovery, RecoveryEnd, RecoveryHealth, StepRecord};
use flota_proto::v1;
use flota_proto::v1::recoveries_server::Recoveries;
use flota_store::RecoveryRecord;
use tonic::{Request, Response, Status};

use super::{access, select};
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::recoveries::{self, Asked};

/// Recoveries of a listing.
const LISTED: u32 = 200;

/// The service.
pub struct RecoveriesService(pub Arc<Core>);

#[tonic::async_trait]
impl Recoveries for RecoveriesService {
    async fn plan(&self, request: Request<v1::RunRecoveryRequest>) -> Result<Response<v1::Recovery>, Status> {
        let actor = access::principal(&request)?.actor();
        let recovery = recoveries::plan(&self.0, &actor, asked(request.into_inner())).await?;
        Ok(Response::new(shown(0, &recovery)))
    }

    async fn run(&self, request: Request<v1::RunRecoveryRequest>) -> Result<Response<v1::Recovery>, Status> {
        let actor = access::principal(&request)?.actor();
        let record = recoveries::run(&self.0, &actor, asked(request.into_inner())).await?;
        Ok(Response::new(reported(&self.0, &record)))
    }

    async fn list(
        &self,
        _: Request<v1::ListRecoveriesRequest>,
    ) -> Result<Response<v1::ListRecoveriesResponse>, Status> {
        let records = self.0.store.recoveries(LISTED).await.map_err(Fault::from)?;
        let recoveries = records.iter().map(|record| shown(record.id, &record.recovery)).collect();
        Ok(Response::new(v1::ListRecoveriesResponse { recoveries }))
    }

    async fn status(&self, request: Request<v1::RecoveryStatusRequest>) -> Result<Response<v1::Recovery>, Status> {
        let host = named(&self.0, &request.into_inner().host).await?;
        Ok(Response::new(reported(&self.0, &recoveries::newest(&self.0, &host).await?)))
    }

    async fn abort(&self, request: Request<v1::AbortRecoveryRequest>) -> Result<Response<v1::Recovery>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::AbortRecoveryRequest { host, reason } = request.into_inner();
        if reason.trim().is_empty() {
            return Err(Fault::new(Code::BadRequest, "why it is ended must be said").fix("--reason TEXT").into());
        }
        let host = named(&self.0, &host).await?;
        Ok(Response::new(reported(&self.0, &recoveries::abort(&self.0, &actor, &host, &reason).await?)))
    }
}

fn asked(request: v1::RunRecoveryRequest) -> Asked {
    let v1::RunRecoveryRequest { host, onto, release, no_health_check, reason, ticket } = request;
    let health = if no_health_check { RecoveryHealth::NotAsked } else { RecoveryHealth::Asked };
    Asked { host, onto, release, health, reason, ticket }
}

async fn named(core: &Core, text: &str) -> Result<HostName, Fault> {
    let fleet = core.store.hosts().await?;
    select::find(&fleet, text).map(|host| host.name.clone())
}

fn reported(core: &Core, record: &RecoveryRecord) -> v1::Recovery {
    let sealed = recoveries::seal(core, record);
    v1::Recovery {
        document: sealed.document,
        public_key: sealed.public_key,
        signature: sealed.signature,
        ..shown(record.id, &record.recovery)
    }
}

fn shown(id: u32, recovery: &Recovery) -> v1::Recovery {
    let step = |record: &StepRecord| v1::RecoveryStep {
        step: record.step.to_string(),
        state: record.state.as_str().to_owned(),
        detail: record.detail.clone(),
        next: record.next.clone(),
        since: record.since.to_string(),
        proofs: record
            .proofs
            .iter()
            .map(|proof| v1::RecoveryProof { kind: proof.kind.clone(), name: proof.name.clone() })
            .collect(),
    };
    let (ended, ended_at) = match &recovery.ended {
        None => (String::new(), String::new()),
        Some((RecoveryEnd::Recovered, at)) => (String::new(), at.to_string()),
        Some((RecoveryEnd::Aborted(why), at)) => (why.clone(), at.to_string()),
    };
    v1::Recovery {
        id,
        host: recovery.host.to_string(),
        onto: recovery.onto.to_string(),
        state: recovery.state().to_owned(),
        release: recovery.release.digest.to_string(),
        version: recovery.release.version.clone(),
        release_from: recovery.release_from.clone(),
        begun_by: recovery.begun_by.clone(),
        begun_at: recovery.begun_at.to_string(),
        reason: recovery.reason.clone(),
        ticket: recovery.ticket.clone(),
        rollout: recovery.rollout.map(|id| id.to_string()).unwrap_or_default(),
        steps: recovery.steps.iter().map(step).collect(),
        ended_at,
        ended,
        ..v1::Recovery::default()
    }
}
