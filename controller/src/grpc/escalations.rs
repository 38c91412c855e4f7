//! What a person of the security role must look at.

use std::sync::Arc;

use flota_proto::v1;
use flota_proto::v1::escalations_server::Escalations;
use flota_store::{Delivery, EscalationRecord, Resolution, Which};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::access;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Escalations of a listing; the newest ones.
const LISTED: u32 = 1000;

/// The service.
pub struct EscalationsService(pub Arc<Core>);

#[tonic::async_trait]
impl Escalations for EscalationsService {
    async fn list(
        &self,
        request: Request<v1::ListEscalationsRequest>,
    ) -> Result<Response<v1::ListEscalationsResponse>, Status> {
        let which = if request.into_inner().all { Which::All } else { Which::Open };
        let records = self.0.store.escalations(which, LISTED).await.map_err(Fault::from)?;
        Ok(Response::new(v1::ListEscalationsResponse { escalations: records.iter().map(shown).collect() }))
    }

    async fn resolve(
        &self,
        request: Request<v1::ResolveEscalationRequest>,
    ) -> Result<Response<v1::Escalation>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::ResolveEscalationRequest { id, resolution } = request.into_inner();
        if resolution.trim().is_empty() {
            return Err(Fault::new(Code::BadRequest, "how it was resolved must be said")
                .fix("--resolution TEXT")
                .into());
        }
        let find = async || {
            let all = core.store.escalations(Which::All, LISTED).await.map_err(Fault::from)?;
            all.into_iter().find(|one| one.id == id).ok_or_else(|| Fault::not_found("escalation", &id))
        };
        let known = find().await?;
        let text: String = resolution.chars().take(1000).collect();
        let done = Resolution { at: core.now(), by: actor.clone(), text: text.clone() };
        let details = json!({ "kind": known.kind, "host": known.host, "resolution": text });
        let audit = core.audit_by(&actor, "escalation.resolve", format!("escalation/{id}"), "ok", &details);
        if !core.store.resolve(&id, &done, &audit).await.map_err(Fault::from)? {
            return Err(Fault::new(Code::WrongState, format!("escalation {id} is resolved already")).into());
        }
        Ok(Response::new(shown(&find().await?)))
    }
}

fn shown(record: &EscalationRecord) -> v1::Escalation {
    let EscalationRecord { id, kind, host, host_name, summary, opened_at, resolved, delivery } = record;
    let ended = |field: fn(&Resolution) -> String| resolved.as_ref().map(field).unwrap_or_default();
    v1::Escalation {
        id: id.clone(),
        kind: kind.clone(),
        host_id: host.to_string(),
        host_name: host_name.to_string(),
        summary: summary.clone(),
        opened_at: opened_at.to_string(),
        state: if resolved.is_some() { "resolved" } else { "open" }.to_owned(),
        resolved_at: ended(|done| done.at.to_string()),
        resolved_by: ended(|done| done.by.clone()),
        resolution: ended(|done| done.text.clone()),
        delivery: match delivery {
            Delivery::Waiting { attempts: 0, .. } => "waiting".to_owned(),
            Delivery::Waiting { attempts, next } => {
                format!("waiting: {attempts} attempts failed, the next is at {next}")
            }
            Delivery::Delivered { at } => format!("delivered at {at}"),
            Delivery::Failed { why } => format!("failed: {why}"),
        },
    }
}
