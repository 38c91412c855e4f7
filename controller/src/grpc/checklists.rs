//! Checklists over the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use flota_model::evidence::DocumentKind;
use flota_model::host::Host;
use flota_model::rollout::TargetState;
use flota_model::task::{Export, HostHealth};
use flota_model::{HostId, RolloutId};
use flota_proto::v1;
use flota_proto::v1::checklists_server::Checklists;
use flota_store::{ExportsOf, RolloutRecord, TicketNote};
use serde_json::json;
use tonic::{Request, Response, Status};

use super::{select, view};
use crate::checklists::{Facts, Item, Noted, Signed, evaluate};
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::releases::signed;

/// Exports of a host that are looked through for the one before an update: more than it makes while that goes on.
const EXPORTS: u32 = 1000;

/// The service.
pub struct ChecklistsService(pub Arc<Core>);

#[tonic::async_trait]
impl Checklists for ChecklistsService {
    async fn show(&self, request: Request<v1::ShowChecklistRequest>) -> Result<Response<v1::ChecklistReport>, Status> {
        Ok(Response::new(report(&self.0, request.into_inner()).await?))
    }
}

async fn report(core: &Core, request: v1::ShowChecklistRequest) -> Result<v1::ChecklistReport, Fault> {
    let v1::ShowChecklistRequest { selector, all_hosts, hosts, rollout } = request;
    let rollouts = core.store.rollouts().await?;
    let asked = if rollout.is_empty() { None } else { Some(find(&rollouts, &rollout)?) };
    let hosts = match asked {
        Some(record) => {
            let fleet = core.store.hosts().await?;
            fleet.into_iter().filter(|host| record.spec.targets.contains_key(&host.id)).collect()
        }
        None => select::hosts(core, select::Selection { selector: &selector, names: &hosts, all: all_hosts }).await?,
    };
    let health: BTreeMap<HostId, HostHealth> =
        core.store.health(None).await?.into_iter().map(|health| (health.host.clone(), health)).collect();
    // Where nothing is signed any more, nothing that runs is.
    let catalogue = signed(core).await.ok();
    let notes: BTreeMap<RolloutId, TicketNote> = match core.settings.tickets {
        // By rollout and event: how it ended comes after that it started.
        Some(_) => core.store.ticket_notes().await?.into_iter().map(|note| (note.rollout, note)).collect(),
        None => BTreeMap::new(),
    };
    let now = core.now();
    let mut checked = Vec::with_capacity(hosts.len());
    for host in hosts {
        let running = host.confirmed.as_ref().and_then(|confirmed| confirmed.running);
        let signed = running.map(|running| match &catalogue {
            Some(catalogue) if catalogue.find(&running).is_some() => Signed::Yes,
            _ => Signed::No,
        });
        let rollout = asked.or_else(|| newest_that_updated(&rollouts, &host));
        let export = export(core, &host.id, asked).await?;
        let (export, health) = (export.as_ref(), health.get(&host.id));
        let in_ticket = match core.settings.tickets {
            Some(_) => Noted::Note(rollout.and_then(|record| notes.get(&record.spec.id))),
            None => Noted::NoSystem,
        };
        let items = evaluate(&Facts { host: &host, export, health, rollout, noted: in_ticket, signed, now });
        checked.push((host, items));
    }
    let rollout = asked.map(|record| record.spec.id);
    let listed = |(host, items): &(Host, [Item; 6])| json!({ "host": host.id, "name": host.name, "items": items });
    let document = json!({
        "format": DocumentKind::Checklist.format(), "made_at": now, "rollout": rollout,
        "hosts": checked.iter().map(listed).collect::<Vec<_>>(),
    });
    let sealed = core.audit_key.seal_document(DocumentKind::Checklist, document.to_string());
    Ok(v1::ChecklistReport {
        made_at: now.to_string(),
        rollout: rollout.map(|id| id.to_string()).unwrap_or_default(),
        hosts: checked.iter().map(shown).collect(),
        document: sealed.document,
        public_key: sealed.public_key,
        signature: sealed.signature,
    })
}

fn find<'a>(rollouts: &'a [RolloutRecord], text: &str) -> Result<&'a RolloutRecord, Fault> {
    let id: RolloutId = text.parse().map_err(Fault::bad)?;
    let found = rollouts.iter().find(|record| record.spec.id == id);
    found.ok_or_else(|| Fault::new(Code::NotFound, format!("there is no rollout `{id}`")).fix("flota rollout list"))
}

/// A host's newest; of a rollout, the one that was made for it.
async fn export(core: &Core, host: &HostId, rollout: Option<&RolloutRecord>) -> Result<Option<Export>, Fault> {
    let of = ExportsOf::host(host);
    let Some(record) = rollout else { return Ok(core.store.exports(of, 1).await?.into_iter().next()) };
    let during = ExportsOf { since: Some(record.spec.created_at), until: record.finished_at, ..of };
    let exports = core.store.exports(during, EXPORTS).await?;
    Ok(exports.into_iter().find(|export| export.rollout == Some(record.spec.id)))
}

/// Rollouts are listed newest first.
fn newest_that_updated<'a>(rollouts: &'a [RolloutRecord], host: &Host) -> Option<&'a RolloutRecord> {
    rollouts.iter().find(|record| {
        let target = record.plan.as_ref().and_then(|(_, plan)| plan.targets.get(&host.id));
        target.is_some_and(|target| target.state == TargetState::Committed)
    })
}

fn shown((host, items): &(Host, [Item; 6])) -> v1::HostChecklist {
    let item = |item: &Item| v1::ChecklistItem {
        id: item.id.to_owned(),
        status: item.status.as_str().to_owned(),
        at: view::time(item.at),
        evidence: item.evidence.clone(),
    };
    v1::HostChecklist {
        host_id: host.id.to_string(),
        host_name: host.name.to_string(),
        items: items.iter().map(item).collect(),
    }
}
