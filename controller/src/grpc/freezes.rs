//! Freezes over the wire.

use std::sync::Arc;

use flota_model::Timestamp;
use flota_model::freeze::{Freeze, MAX_FREEZE_REASON};
use flota_proto::v1;
use flota_proto::v1::freezes_server::Freezes;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::access::{self, Principal};
use super::spans;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Longest freeze: a quarter. What is to hold longer is a decision about the fleet, not about a time.
const BOUNDS: spans::Bounds = spans::Bounds { what: "a freeze", days: 92, reason: MAX_FREEZE_REASON };

/// The service.
pub struct FreezesService(pub Arc<Core>);

#[tonic::async_trait]
impl Freezes for FreezesService {
    async fn create(&self, request: Request<v1::CreateFreezeRequest>) -> Result<Response<v1::Freeze>, Status> {
        let core = &self.0;
        let principal = access::principal(&request)?;
        let freeze = asked(core, &principal, request.into_inner())?;
        let details = json!({
            "selector": freeze.selector, "from": freeze.from, "until": freeze.until, "reason": freeze.reason,
        });
        let audit = core.audit_by(&principal.actor(), "freeze.create", "freezes".to_owned(), "ok", &details);
        let id = core.store.add_freeze(&freeze, &audit).await.map_err(Fault::from)?;
        core.fleet_changed.notify_one();
        Ok(Response::new(shown(&Freeze { id, ..freeze }, core.now())))
    }

    async fn list(
        &self,
        request: Request<v1::ListFreezesRequest>,
    ) -> Result<Response<v1::ListFreezesResponse>, Status> {
        let now = self.0.now();
        let since = (!request.into_inner().all).then_some(now);
        let freezes = self.0.store.freezes(since).await.map_err(Fault::from)?;
        Ok(Response::new(v1::ListFreezesResponse { freezes: freezes.iter().map(|one| shown(one, now)).collect() }))
    }

    async fn end(&self, request: Request<v1::EndFreezeRequest>) -> Result<Response<v1::Freeze>, Status> {
        let core = &self.0;
        let actor = access::principal(&request)?.actor();
        let v1::EndFreezeRequest { id, reason } = request.into_inner();
        let reason: String = reason.chars().take(MAX_FREEZE_REASON).collect();
        let audit = core.audit_by(&actor, "freeze.end", format!("freeze/{id}"), "ok", &json!({ "reason": reason }));
        let ended = core.store.end_freeze(id, &audit).await.map_err(Fault::from)?;
        let freezes = core.store.freezes(None).await.map_err(Fault::from)?;
        match freezes.iter().find(|freeze| freeze.id == id) {
            None => Err(Fault::not_found("freeze", &id.to_string()).fix("flota freeze list").into()),
            Some(_) if !ended => Err(Fault::new(Code::WrongState, format!("freeze {id} is over already")).into()),
            Some(freeze) => {
                core.fleet_changed.notify_one();
                Ok(Response::new(shown(freeze, core.now())))
            }
        }
    }
}

fn asked(core: &Core, principal: &Principal, request: v1::CreateFreezeRequest) -> Result<Freeze, Fault> {
    let v1::CreateFreezeRequest { selector, all_hosts, from, until, reason } = request;
    let span = spans::read(spans::Asked { selector, all_hosts, from, until, reason }, &BOUNDS, core.now())?;
    let spans::Span { selector, from, until, reason } = span;
    Ok(Freeze { id: 0, selector, from, until, reason, created_by: principal.name() })
}

fn shown(freeze: &Freeze, now: Timestamp) -> v1::Freeze {
    let Freeze { id, selector, from, until, reason, created_by } = freeze;
    v1::Freeze {
        id: *id,
        selector: selector.to_string(),
        from: from.to_string(),
        until: until.to_string(),
        reason: reason.clone(),
        created_by: created_by.clone(),
        state: spans::state(*from, *until, now).to_owned(),
    }
}
