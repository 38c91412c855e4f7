//! Freezes over the wire.

use std::sync::Arc;
use std::time::Duration;

use flota_model::freeze::{Freeze, MAX_FREEZE_REASON};
use flota_model::{Selector, Timestamp};
use flota_proto::v1;
use flota_proto::v1::freezes_server::Freezes;
use serde_json::json;
use tonic::{Request, Response, Status};

use super::access::{self, Principal};
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Longest freeze: a quarter. What is to hold longer is a decision about the fleet, not about a time.
const MAX_FREEZE: Duration = Duration::from_hours(92 * 24);

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
    if selector.is_empty() && !all_hosts {
        return Err(Fault::new(Code::NothingSelected, "no hosts were named").fix("-l SELECTOR, or --all"));
    }
    let selector: Selector = selector.parse().map_err(Fault::bad)?;
    if reason.trim().is_empty() || reason.chars().count() > MAX_FREEZE_REASON {
        let sentence =
            format!("a freeze needs a reason, of {MAX_FREEZE_REASON} characters at most: people will wait for it");
        return Err(Fault::new(Code::BadRequest, sentence));
    }
    let now = core.now();
    let from: Timestamp = if from.is_empty() { now } else { from.parse().map_err(Fault::bad)? };
    let until: Timestamp = until.parse().map_err(Fault::bad)?;
    if until <= from || until <= now || until.since(from) > MAX_FREEZE {
        return Err(Fault::new(
            Code::BadRequest,
            "a freeze ends after it begins, in the future, and lasts 92 days at most",
        ));
    }
    Ok(Freeze { id: 0, selector, from, until, reason, created_by: principal.name() })
}

fn shown(freeze: &Freeze, now: Timestamp) -> v1::Freeze {
    let Freeze { id, selector, from, until, reason, created_by } = freeze;
    let state = match (*from <= now, now < *until) {
        (_, false) => "over",
        (true, true) => "holds",
        (false, true) => "ahead",
    };
    v1::Freeze {
        id: *id,
        selector: selector.to_string(),
        from: from.to_string(),
        until: until.to_string(),
        reason: reason.clone(),
        created_by: created_by.clone(),
        state: state.to_owned(),
    }
}
