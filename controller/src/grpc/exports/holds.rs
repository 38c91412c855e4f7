//! Legal holds over the wire.

use flota_model::Selector;
use flota_model::host::Host;
use flota_proto::v1;
use flota_store::{ExportHold, Holds};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::MAX_REASON_BYTES;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::access;

pub(super) async fn hold(
    core: &Core,
    request: Request<v1::HoldExportsRequest>,
) -> Result<Response<v1::ExportHold>, Status> {
    let principal = access::principal(&request)?;
    let v1::HoldExportsRequest { selector, all_hosts, reason } = request.into_inner();
    if selector.is_empty() && !all_hosts {
        return Err(Fault::new(Code::NothingSelected, "no hosts were named").fix("-l SELECTOR, or --all").into());
    }
    let selector: Selector = selector.parse().map_err(Fault::bad)?;
    if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
        return Err(Fault::new(Code::BadRequest, "a hold needs a reason, of 500 bytes at most").into());
    }
    let details = json!({ "selector": selector, "reason": reason });
    let audit = core.audit_by(&principal.actor(), "export.hold", "exports".to_owned(), "ok", &details);
    let (created_by, created_at) = (principal.name(), core.now());
    let hold = ExportHold { id: 0, selector, reason, created_by, created_at, released: None };
    let id = core.store.add_export_hold(&hold, &audit).await.map_err(Fault::from)?;
    let fleet = core.store.hosts().await.map_err(Fault::from)?;
    Ok(Response::new(shown(&ExportHold { id, ..hold }, &fleet)))
}

pub(super) async fn list(core: &Core, all: bool) -> Result<Response<v1::ListHoldsResponse>, Status> {
    let holds = core.store.export_holds(if all { Holds::All } else { Holds::Open }).await.map_err(Fault::from)?;
    let fleet = core.store.hosts().await.map_err(Fault::from)?;
    Ok(Response::new(v1::ListHoldsResponse { holds: holds.iter().map(|hold| shown(hold, &fleet)).collect() }))
}

pub(super) async fn release(
    core: &Core,
    request: Request<v1::ReleaseHoldRequest>,
) -> Result<Response<v1::ExportHold>, Status> {
    let principal = access::principal(&request)?;
    let v1::ReleaseHoldRequest { id, reason } = request.into_inner();
    let reason: String = reason.chars().take(MAX_REASON_BYTES).collect();
    let details = json!({ "hold": id, "reason": reason });
    let audit = core.audit_by(&principal.actor(), "export.release", "exports".to_owned(), "ok", &details);
    let released = core.store.release_export_hold(id, &principal.name(), &audit).await.map_err(Fault::from)?;
    let holds = core.store.export_holds(Holds::All).await.map_err(Fault::from)?;
    let fleet = core.store.hosts().await.map_err(Fault::from)?;
    match holds.iter().find(|hold| hold.id == id) {
        None => Err(Fault::not_found("hold", &id.to_string()).fix("flota export holds").into()),
        Some(_) if !released => Err(Fault::new(Code::WrongState, format!("hold {id} is released already")).into()),
        Some(hold) => Ok(Response::new(shown(hold, &fleet))),
    }
}

fn shown(hold: &ExportHold, fleet: &[Host]) -> v1::ExportHold {
    let ExportHold { id, selector, reason, created_by, created_at, released } = hold;
    let hosts = fleet.iter().filter(|host| selector.matches(&host.name, &host.labels)).count();
    let (released_by, released_at) = released.clone().map_or_else(Default::default, |(by, at)| (by, at.to_string()));
    v1::ExportHold {
        id: *id,
        selector: selector.to_string(),
        reason: reason.clone(),
        created_by: created_by.clone(),
        created_at: created_at.to_string(),
        released_by,
        released_at,
        hosts: u32::try_from(hosts).unwrap_or(u32::MAX),
    }
}
