//! Rollouts over the wire. Operators write intent; the plan follows from it.

use std::pin::Pin;
use std::sync::Arc;

use flota_model::RolloutId;
use flota_model::rollout::{IntentVerb, RolloutIntent, RolloutState};
use flota_proto::v1;
use flota_proto::v1::rollouts_server::Rollouts;
use flota_store::RolloutRecord;
use futures_util::Stream;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{access, view};
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::rollouts::{self, create};

/// Updates a watcher may be behind before it is left out of one: the newest always reaches it.
const WATCH_BUFFER: usize = 4;

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
            return self.change(id, &actor, "rollout.start", "", start).await;
        }
        rollouts::step(&self.0, id).await?;
        self.answer(id).await
    }

    async fn list(&self, _: Request<v1::ListRolloutsRequest>) -> Result<Response<v1::ListRolloutsResponse>, Status> {
        let records = self.0.store.rollouts().await.map_err(Fault::from)?;
        Ok(Response::new(v1::ListRolloutsResponse { rollouts: records.iter().map(view::rollout).collect() }))
    }

    async fn show(&self, request: Request<v1::ShowRolloutRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.answer(parse(&request.into_inner().id)?).await
    }

    async fn watch(&self, request: Request<v1::ShowRolloutRequest>) -> Result<Response<Watch>, Status> {
        let id = parse(&request.into_inner().id)?;
        let first = view::rollout(&record(&self.0, id).await?);
        let (sender, receiver) = mpsc::channel(WATCH_BUFFER);
        // Ends when the watcher leaves or the rollout is over.
        drop(tokio::spawn(follow(Arc::clone(&self.0), id, first, sender)));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn start(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act(request, "rollout.start", start).await
    }

    async fn pause(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act(request, "rollout.pause", |state, intent| match state {
            RolloutState::Running | RolloutState::Halted => Ok(RolloutIntent { verb: IntentVerb::Pause, ..intent }),
            _ => Err(wrong_state(state, "paused")),
        })
        .await
    }

    async fn resume(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        let accept = request.get_ref().accept_failures;
        self.act(request, "rollout.resume", move |state, intent| match state {
            RolloutState::Halted if accept == 0 => {
                Err(Fault::new(Code::WrongState, "it halted because hosts failed, and would halt again at once")
                    .fix("look at the failed hosts, then: flota rollout resume ID --accept-failures N"))
            }
            RolloutState::Paused | RolloutState::Halted => Ok(RolloutIntent {
                verb: IntentVerb::Run,
                accepted_failures: intent.accepted_failures.saturating_add(accept),
            }),
            _ => Err(wrong_state(state, "resumed")),
        })
        .await
    }

    async fn abort(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        self.act(request, "rollout.abort", abort).await
    }

    async fn rollback(&self, request: Request<v1::RolloutActionRequest>) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::RolloutActionRequest { id, reason, .. } = request.into_inner();
        let original = record(&self.0, parse(&id)?).await?;
        // First what may be impossible: if nobody has to go back, nothing is aborted either.
        let back = create::back(&self.0, &actor, &original).await?;
        if !state_of(&original).is_terminal() && state_of(&original) != RolloutState::Aborting {
            self.change(original.spec.id, &actor, "rollout.abort", &reason, abort).await?;
        }
        self.change(back, &actor, "rollout.rollback", &reason, start).await
    }
}

impl RolloutsService {
    async fn act(
        &self,
        request: Request<v1::RolloutActionRequest>,
        action: &str,
        decide: impl Fn(RolloutState, RolloutIntent) -> Result<RolloutIntent, Fault>,
    ) -> Result<Response<v1::Rollout>, Status> {
        let actor = access::principal(&request)?.actor();
        let v1::RolloutActionRequest { id, reason, .. } = request.into_inner();
        self.change(parse(&id)?, &actor, action, &reason, decide).await
    }

    /// Changes the intent if it allows it, and plans at once, so that the answer shows what follows.
    async fn change(
        &self,
        id: RolloutId,
        actor: &str,
        action: &str,
        reason: &str,
        decide: impl Fn(RolloutState, RolloutIntent) -> Result<RolloutIntent, Fault>,
    ) -> Result<Response<v1::Rollout>, Status> {
        let core = &self.0;
        let current = record(core, id).await?;
        let next = decide(state_of(&current), current.intent)?;
        let reason: String = reason.chars().take(500).collect();
        let details = json!({ "reason": reason, "accepted_failures": next.accepted_failures });
        let audit = core.audit_by(actor, action, format!("rollout/{id}"), "ok", &details);
        if !core.store.set_intent(id, current.intent, next, &audit).await.map_err(Fault::from)? {
            let sentence = format!("somebody else changed {id} at the same moment; nothing was changed by you");
            return Err(Fault::new(Code::Changed, sentence).fix(format!("flota rollout status {id}")).into());
        }
        rollouts::step(core, id).await?;
        self.answer(id).await
    }

    async fn answer(&self, id: RolloutId) -> Result<Response<v1::Rollout>, Status> {
        Ok(Response::new(view::rollout(&record(&self.0, id).await?)))
    }
}

fn start(state: RolloutState, intent: RolloutIntent) -> Result<RolloutIntent, Fault> {
    match state {
        RolloutState::Draft => Ok(RolloutIntent { verb: IntentVerb::Run, ..intent }),
        _ => Err(wrong_state(state, "started")),
    }
}

fn abort(state: RolloutState, intent: RolloutIntent) -> Result<RolloutIntent, Fault> {
    if state.is_terminal() || state == RolloutState::Aborting {
        return Err(wrong_state(state, "aborted"));
    }
    Ok(RolloutIntent { verb: IntentVerb::Abort, ..intent })
}

fn wrong_state(state: RolloutState, wish: &str) -> Fault {
    Fault::new(Code::WrongState, format!("a rollout that is {state} cannot be {wish}; nothing was changed"))
}

fn state_of(record: &RolloutRecord) -> RolloutState {
    record.plan.as_ref().map_or(RolloutState::Draft, |(_, plan)| plan.state)
}

fn parse(id: &str) -> Result<RolloutId, Fault> {
    id.parse().map_err(Fault::bad)
}

async fn record(core: &Core, id: RolloutId) -> Result<RolloutRecord, Fault> {
    let record = core.store.rollout(id).await?;
    record.ok_or_else(|| Fault::not_found("rollout", &id.to_string()).fix("flota rollout list"))
}

async fn follow(core: Arc<Core>, id: RolloutId, first: v1::Rollout, sender: mpsc::Sender<Result<v1::Rollout, Status>>) {
    let mut changes = core.rollouts_changed.subscribe();
    let mut last = (first.revision, first.state.clone());
    if sender.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = sender.closed() => return,
            told = changes.changed() => if told.is_err() { return },
        }
        let update = match record(&core, id).await {
            Ok(record) => view::rollout(&record),
            Err(fault) => {
                // The watcher learns why; that it has gone meanwhile does not matter.
                drop(sender.send(Err(fault.into())).await);
                return;
            }
        };
        let now = (update.revision, update.state.clone());
        if now != last && sender.send(Ok(update)).await.is_err() {
            return;
        }
        last = now;
    }
}
