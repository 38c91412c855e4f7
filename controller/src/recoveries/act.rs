//! What is done for a recovery.

use std::time::Duration;

use flota_model::RolloutId;
use flota_model::host::Host;
use flota_model::recovery::{Recovery, RecoveryEnd, RecoveryStep, StepRecord, StepState};
use flota_model::rollout::IntentVerb;
use flota_model::task::TaskKind;
use flota_store::RecoveryRecord;
use serde_json::json;

use super::decide::Next;
use super::set;
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::tasks;
use crate::rollouts::{self, create};
use crate::sessions::Command;

/// Time that the host has for its health check.
const CHECK_WITHIN: Duration = Duration::from_mins(5);

/// Does it. True: something changed that lets another look see more at once.
pub(super) async fn act(
    core: &Core,
    record: &mut RecoveryRecord,
    before: &Recovery,
    next: Next,
) -> Result<bool, Fault> {
    let recovery = &mut record.recovery;
    match next {
        Next::Wait => Ok(false),
        Next::Roll(host) => match rollout(core, record.id, recovery, &host).await {
            Ok(made) => {
                recovery.rollout = Some(made);
                Ok(true)
            }
            Err(fault) if matches!(fault.code, Code::Unavailable | Code::Bug | Code::Changed) => Err(fault),
            Err(fault) => {
                refused(recovery, before, &fault);
                Ok(false)
            }
        },
        Next::Start(rollout) => {
            start(core, &recovery.begun_by, rollout).await?;
            Ok(false)
        }
        Next::Challenge(host) => {
            // False: it has no session; the step says so when it is looked at again.
            let (verdict, _) = tokio::sync::oneshot::channel();
            let _asked = core.sessions.ask(&host.id, Command::Attest { verdict });
            recovery.challenged_at = Some(core.now());
            Ok(false)
        }
        Next::Check(host) => {
            let kind = TaskKind::Health { checks: Vec::new() };
            let deadline = core.now().plus(CHECK_WITHIN);
            let given = tasks::give(core, &recovery.begun_by, vec![*host], &kind, deadline).await?;
            recovery.check = given.first().map(|task| task.id.clone());
            Ok(false)
        }
        Next::End => {
            recovery.ended = Some((RecoveryEnd::Recovered, core.now()));
            Ok(false)
        }
    }
}

/// No rollout can be made as things are. It is tried again with the next look; said is what it is, and since when.
fn refused(recovery: &mut Recovery, before: &Recovery, fault: &Fault) {
    let now = recovery.step(RecoveryStep::Apply).map_or(recovery.begun_at, |record| record.since);
    let known = before.step(RecoveryStep::Apply).filter(|record| record.state == StepState::Failed);
    let again = format!("flota recovery run {}", recovery.host);
    let next = if fault.fix.is_empty() { again } else { format!("{}     then  {again}", fault.fix) };
    set(
        recovery,
        StepRecord {
            step: RecoveryStep::Apply,
            state: StepState::Failed,
            detail: fault.sentence.clone(),
            next,
            since: known.map_or(now, |record| record.since),
            proofs: Vec::new(),
        },
    );
}

/// The rollout that brings the release to this one host. Made as a draft; it is started when the recovery knows it, so that
/// a controller that is killed in between finds it.
async fn rollout(core: &Core, id: u32, recovery: &Recovery, host: &Host) -> Result<RolloutId, Fault> {
    let reason = format!("recovery {id} of {}", recovery.host);
    let known = core.store.rollouts().await?;
    let ours = |record: &&flota_store::RolloutRecord| {
        let spec = &record.spec;
        let alike = spec.reason == reason && spec.created_by == recovery.begun_by && spec.release == recovery.release;
        let of_it_alone = spec.targets.len() == 1 && spec.targets.contains_key(&host.id);
        alike && of_it_alone && record.intent.verb == IntentVerb::Draft && record.finished_at.is_none()
    };
    if let Some(made) = known.iter().find(ours) {
        return Ok(made.spec.id);
    }
    let wish =
        create::OneHost { host: &host.name, release: &recovery.release, ticket: &recovery.ticket, reason: &reason };
    create::for_one_host(core, &recovery.begun_by, &wish).await
}

async fn start(core: &Core, actor: &str, id: RolloutId) -> Result<(), Fault> {
    let Some(record) = core.store.rollout(id).await? else { return Ok(()) };
    if record.intent.verb == IntentVerb::Draft {
        let to = record.intent.with(IntentVerb::Run);
        let audit = core.audit_by(actor, "rollout.start", format!("rollout/{id}"), "ok", &json!({}));
        // False: somebody else did something with it; the next look sees what.
        let _started = core.store.set_intent(id, &record.intent, &to, &audit).await?;
    }
    rollouts::step(core, id).await
}
