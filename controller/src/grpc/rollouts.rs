//! Rollouts over the wire. Operators write intent; the plan follows from it.

mod amended;
mod decide;
mod watch;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use flota_model::rollout::{RolloutApproval, RolloutSpec};
use flota_model::{Digest, HostId, RolloutId};
use flota_proto::v1;
use flota_proto::v1::rollouts_server::Rollouts;
use flota_store::{ApproveRollout, RolloutDocuments, RolloutRecord};
use futures_util::Stream;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::access::{self, Principal};
use super::view;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::rollouts::back::{self, Part};
use crate::rollouts::{self, amend, create, foresee};
use decide::{Accepted, Decided, state_of};

/// Updates a watcher may be behind before it is left out of one: the newest always reaches it.
const WATCH_BUFFER: usize = 4;
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 500;

/// The service.
pub struct RolloutsService(pub Arc<Core>);

type Watch = Pin<Box<dyn Stream<Item = Result<v1::Rollout, Status>> + Send>>;

#[tonic::async_trait]
impl Rollouts for RolloutsService {
    type WatchStream = Watch;

    async fn create(&self, request: Request<v1::CreateRolloutRequest>) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let request = request.into_inner();
        let id = create::forward(&self.0, &actor, &request).await?;
        if request.start {
            return self.change(id, &actor, "rollout.start", &request.reason, decide::start).await;
        }
        rollouts::step(&self.0, id).await?;
        self.answer(id).await
    }

    async fn list(&self, _: Request<v1::ListRolloutsRequest>) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        let records = self.0.store.rollouts().await.map_err(Fault::from)?;
        let rollouts = records.iter().map(|record| shown(&self.0, record)).collect();
        Ok(Response::new(v1::ListRolloutsResponse { rollouts }))
    }

    async fn show(&self, request: Request<v1::ShowRolloutRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.answer(parse(&request.into_inner().id)?).await
    }

    async fn watch(&self, request: Request<v1::ShowRolloutRequest>) -> Result<Response<Watch>, Status> {
        let id = parse(&request.into_inner().id)?;
        let first = shown(&self.0, &record(&self.0, id).await?);
        let (sender, receiver) = mpsc::channel(WATCH_BUFFER);
        // Ends when the watcher leaves or the rollout is over.
        drop(tokio::spawn(watch::follow(Arc::clone(&self.0), id, first, sender)));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn simulate(&self, request: Request<v1::SimulateRolloutRequest>) -> Result<Response<v1::Forecast>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::SimulateRolloutRequest { id, draft, host_seconds } = request.into_inner();
        let (spec, begun, rollout) = match (id.is_empty(), draft) {
            (false, None) => {
                let record = record(&self.0, parse(&id)?).await?;
                let rollout = shown(&self.0, &record);
                (record.spec.clone(), Some(record), rollout)
            }
            (true, Some(draft)) => {
                let spec = create::draft(&self.0, &actor, &draft).await?;
                let rollout = view::rollout::draft(&spec);
                (spec, None, rollout)
            }
            _ => return Err(Fault::new(Code::BadRequest, "give a rollout, or what would be created").into()),
        };
        let foreseen = foresee::foresee(&self.0, &spec, begun.as_ref(), host_seconds).await?;
        Ok(Response::new(view::rollout::forecast(&spec, rollout, &foreseen)))
    }

    async fn start(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        let now = self.0.now();
        self.act(request, "rollout.start", move |record| match record.spec.deadline {
            Some(deadline) if deadline <= now => {
                let sentence = format!("its deadline was {deadline}: no host would be started");
                let fix = format!("flota rollout amend {} --deadline TIME", record.spec.id);
                Err(Fault::new(Code::WrongState, sentence).fix(fix))
            }
            _ => decide::start(record),
        })
        .await
    }

    async fn approve(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        let principal = access::principal(&request)?;
        let v1::RolloutActionRequest { id, reason, spec, .. } = request.into_inner();
        let id = parse(&id)?;
        approve(&self.0, &principal, &record(&self.0, id).await?, &spec, reason).await?;
        rollouts::step(&self.0, id).await?;
        self.answer(id).await
    }

    async fn amend(&self, request: Request<v1::AmendRolloutRequest>) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let request = request.into_inner();
        let record = record(&self.0, parse(&request.id)?).await?;
        is_shown(&record, &request.spec)?;
        let state = state_of(&record);
        if state.is_terminal() || state == flota_model::rollout::RolloutState::Aborting {
            return Err(Fault::new(Code::WrongState, format!("a rollout that is {state} cannot be amended")).into());
        }
        let amended = |before: &RolloutSpec| amended::amended(&self.0, before, &request);
        amend::amend(&self.0, &actor, &record, &request.reason, amended).await?;
        rollouts::step(&self.0, record.spec.id).await?;
        self.answer(record.spec.id).await
    }

    async fn documents(
        &self,
        request: Request<v1::RolloutDocumentsRequest>,
    ) -> Result<Response<v1::RolloutDocuments>, Status> {
        let id = parse(&request.into_inner().id)?;
        let documents = self.0.store.rollout_documents(id).await.map_err(Fault::from)?;
        let missing = || Fault::not_found("rollout", &id.to_string()).fix("flota rollout list");
        let RolloutDocuments { specification, plans, first_sequence, last_sequence } = documents.ok_or_else(missing)?;
        Ok(Response::new(v1::RolloutDocuments { specification, plans, first_sequence, last_sequence }))
    }

    async fn pause(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act(request, "rollout.pause", decide::pause).await
    }

    async fn resume(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        let v1::RolloutActionRequest { accept_failures: failures, accept_unknown: unknown, .. } = *request.get_ref();
        let accepted = Accepted { failures, unknown };
        self.act(request, "rollout.resume", move |record| decide::resume(record, accepted)).await
    }

    async fn abort(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act(request, "rollout.abort", decide::abort).await
    }

    async fn retry(&self, request: Request<v1::RolloutHostsRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act_on_hosts(request, "rollout.retry", decide::retry).await
    }

    async fn skip(&self, request: Request<v1::RolloutHostsRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act_on_hosts(request, "rollout.skip", decide::skip).await
    }

    async fn rollback(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::RolloutActionRequest { id, reason, hosts, wave, .. } = request.into_inner();
        let original = record(&self.0, parse(&id)?).await?;
        let part = part(&original, &hosts, &wave)?;
        // First what may be impossible: if nobody has to go back, nothing is aborted either.
        let back = back::back(&self.0, &actor, &original, &part).await?;
        // A part that goes back does not stop the others.
        if part.is_all() && decide::abort(&original).is_ok() {
            self.change(original.spec.id, &actor, "rollout.abort", &reason, decide::abort).await?;
        }
        self.change(back, &actor, "rollout.rollback", &reason, decide::start).await
    }
}

impl RolloutsService {
    async fn act(
        &self,
        request: Request<v1::RolloutActionRequest>,
        action: &str,
        decide: impl Fn(&RolloutRecord) -> Decided,
    ) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::RolloutActionRequest { id, reason, spec, .. } = request.into_inner();
        let decide = |record: &RolloutRecord| is_shown(record, &spec).and_then(|()| decide(record));
        self.change(parse(&id)?, &actor, action, &reason, decide).await
    }

    async fn act_on_hosts(
        &self,
        request: Request<v1::RolloutHostsRequest>,
        action: &str,
        decide: impl Fn(&RolloutRecord, &BTreeSet<HostId>) -> Decided,
    ) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::RolloutHostsRequest { id, hosts, reason } = request.into_inner();
        let id = parse(&id)?;
        if hosts.is_empty() {
            return Err(Fault::new(Code::NothingSelected, "no hosts were named").fix("--host HOST").into());
        }
        let hosts = members(&record(&self.0, id).await?, &hosts)?;
        self.change(id, &actor, action, &reason, |record| decide(record, &hosts)).await
    }

    /// Changes the intent if it allows it, and plans at once, so that the answer shows what follows.
    async fn change(
        &self,
        id: RolloutId,
        actor: &str,
        action: &str,
        reason: &str,
        decide: impl Fn(&RolloutRecord) -> Decided,
    ) -> Result<Response<v1::Rollout>, Status> {
        let core = &self.0;
        let current = record(core, id).await?;
        let next = decide(&current)?;
        let reason: String = reason.chars().take(MAX_REASON).collect();
        let details = json!({
            "reason": reason, "spec": current.digest, "accepted_failures": next.accepted_failures,
            "wishes": next.wishes,
        });
        let audit = core.audit_by(actor, action, format!("rollout/{id}"), "ok", &details);
        if !core.store.set_intent(id, &current.intent, &next, &audit).await.map_err(Fault::from)? {
            let sentence = format!("somebody else changed {id} at the same moment; nothing was changed by you");
            return Err(Fault::new(Code::Changed, sentence).fix(format!("flota rollout status {id}")).into());
        }
        rollouts::step(core, id).await?;
        self.answer(id).await
    }

    async fn answer(&self, id: RolloutId) -> Result<Response<v1::Rollout>, Status> {
        Ok(Response::new(shown(&self.0, &record(&self.0, id).await?)))
    }
}

/// Somebody else than whoever wrote it agrees to what they were shown.
async fn approve(
    core: &Core,
    principal: &Principal,
    record: &RolloutRecord,
    seen: &str,
    reason: String,
) -> Result<(), Fault> {
    let id = record.spec.id;
    let spec: Digest = seen.parse().map_err(|_| {
        Fault::new(Code::BadRequest, "an approval is bound to the digest of what was shown, and none was given")
    })?;
    is_shown(record, seen)?;
    let state = state_of(record);
    if state.is_terminal() {
        return Err(Fault::new(Code::WrongState, format!("{id} is {state}: there is nothing to approve")));
    }
    let actor = principal.actor();
    if record.spec.is_author(&actor) {
        let entry =
            core.audit_by(&actor, "rollout.approve", format!("rollout/{id}"), "denied", &json!({ "spec": spec }));
        core.store.append_audit(&[entry]).await?;
        let sentence = format!("{} wrote {id} and cannot approve it: somebody else must look at it", principal.name());
        return Err(Fault::new(Code::RoleMissing, sentence).fix("ask another approver"));
    }
    let reason: String = reason.chars().take(MAX_REASON).collect();
    let details = json!({ "spec": spec, "reason": reason });
    let audit = core.audit_by(&actor, "rollout.approve", format!("rollout/{id}"), "ok", &details);
    let approval = RolloutApproval { spec, by: principal.name(), at: core.now(), reason };
    match core.store.approve_rollout(id, &approval, &audit).await? {
        ApproveRollout::Approved | ApproveRollout::AlreadyThere => Ok(()),
        ApproveRollout::Changed => Err(changed(id)),
    }
}

/// What was decided on is what is there. Nothing given: not bound to anything.
fn is_shown(record: &RolloutRecord, seen: &str) -> Result<(), Fault> {
    if seen.is_empty() || seen == record.digest.to_string() { Ok(()) } else { Err(changed(record.spec.id)) }
}

fn changed(id: RolloutId) -> Fault {
    let sentence = format!("{id} was amended since you looked at it; nothing was changed");
    Fault::new(Code::Changed, sentence).fix(format!("flota rollout plan {id}"))
}

/// Hosts of a rollout, by name or id.
fn members(record: &RolloutRecord, names: &[String]) -> Result<BTreeSet<HostId>, Fault> {
    let member = |name: &String| {
        let found = record.spec.targets.iter().find(|(id, target)| target.name.as_str() == name || id.as_str() == name);
        let id = record.spec.id;
        found.map(|(host, _)| host.clone()).ok_or_else(|| {
            let name: String = name.chars().take(80).collect();
            Fault::new(Code::NotFound, format!("`{name}` is not part of {id}"))
                .fix(format!("flota rollout explain {id}"))
        })
    };
    names.iter().map(member).collect()
}

fn part(record: &RolloutRecord, hosts: &[String], wave: &str) -> Result<Part, Fault> {
    let named = |wave: &str| {
        let index = record.spec.waves.iter().position(|name| name == wave);
        index.ok_or_else(|| {
            let names = record.spec.waves.join(", ");
            Fault::new(Code::NotFound, format!("{} has no wave of that name; it has {names}", record.spec.id))
        })
    };
    let wave = if wave.is_empty() { None } else { Some(named(wave)?) };
    Ok(Part { hosts: members(record, hosts)?, wave })
}

fn parse(id: &str) -> Result<RolloutId, Fault> {
    id.parse().map_err(Fault::bad)
}

async fn record(core: &Core, id: RolloutId) -> Result<RolloutRecord, Fault> {
    let record = core.store.rollout(id).await?;
    record.ok_or_else(|| Fault::not_found("rollout", &id.to_string()).fix("flota rollout list"))
}

fn shown(core: &Core, record: &RolloutRecord) -> v1::Rollout {
    view::rollout::shown(record, rollouts::approvals(record, core.now()))
}
