//! Recoveries of hosts (manual §6): six steps, taken one after another, by whoever looks next. All of it is in the store, so a
//! recovery goes on wherever it was when the controller was killed.
//!
//! `decide` says where each step stands and what is to be done; here it is done. What only a person can do is said to a person.

mod act;
mod begin;
mod decide;
mod report;

use std::sync::Arc;
use std::time::Duration;

use flota_model::HostName;
use flota_model::recovery::{MAX_RECOVERY_REASON, Recovery, RecoveryEnd, RecoveryStep, StepRecord, StepState};
use flota_store::RecoveryRecord;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::select;
use act::act;
use begin::{draft, find, heard};
use decide::{Seen, decide};

pub use begin::Asked;
pub use report::seal;

/// Open recoveries are looked at this often; they wait for machines and persons.
const INTERVAL: Duration = Duration::from_secs(2);
/// Actions done in one look: a step that ends lets the next begin at once.
const ACTS: usize = 12;

/// Looks at open recoveries until told to stop.
pub async fn keep_recovering(core: Arc<Core>, stopping: CancellationToken) {
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let open = match core.store.open_recoveries().await {
            Ok(open) => open,
            Err(error) => {
                let error = flota_daemon::error_chain::chain(&error);
                tracing::error!(error, "recoveries were not looked at; trying again");
                continue;
            }
        };
        for record in open {
            let id = record.id;
            if let Err(fault) = look(&core, record).await {
                let error = flota_daemon::error_chain::chain(&fault);
                tracing::error!(recovery = id, error, "a recovery was not looked at; trying again");
            }
        }
    }
}

/// What would be done, from what is known now; of one that is open, how far it is. Nothing is stored.
pub async fn plan(core: &Core, actor: &str, asked: Asked) -> Result<Recovery, Fault> {
    let fleet = core.store.hosts().await?;
    let open = core.store.newest_recovery(&select::find(&fleet, &asked.host)?.name).await?;
    let mut recovery = if let Some(record) = open.filter(|record| record.recovery.ended.is_none()) {
        record.recovery
    } else {
        let mut recovery = draft(core, actor, asked).await?;
        let found = find(core, &recovery).await?;
        set(&mut recovery, found);
        recovery
    };
    let seen = Seen::gather(core, &recovery).await?;
    let (steps, _) = decide(&recovery, &seen.as_seen(core.now()));
    recovery.steps = steps;
    Ok(recovery)
}

/// Begins a recovery. One that is open goes on: what failed is tried again.
pub async fn run(core: &Core, actor: &str, asked: Asked) -> Result<RecoveryRecord, Fault> {
    let fleet = core.store.hosts().await?;
    let host = select::find(&fleet, &asked.host)?.name.clone();
    let open = core.store.newest_recovery(&host).await?.filter(|record| record.recovery.ended.is_none());
    if let Some(record) = open {
        return again(core, actor, record, &asked).await;
    }
    let mut recovery = draft(core, actor, asked).await?;
    let found = find(core, &recovery).await?;
    set(&mut recovery, found);
    let details = json!({
        "host": host, "onto": recovery.onto, "release": recovery.release, "reason": recovery.reason,
        "ticket": recovery.ticket,
    });
    let audit = core.audit_by(actor, "recovery.begin", "recoveries".to_owned(), "ok", &details);
    let begun = core.store.begin_recovery(&recovery, &audit).await?;
    let missing = || Fault::new(Code::Changed, format!("somebody else recovers {host} at the same moment"));
    let record = core.store.newest_recovery(&host).await?.filter(|record| Some(record.id) == begun || begun.is_none());
    look(core, record.ok_or_else(missing)?).await
}

/// Ends one that nobody needs any more. What it has done stays done.
pub async fn abort(core: &Core, actor: &str, host: &HostName, reason: &str) -> Result<RecoveryRecord, Fault> {
    let record = newest(core, host).await?;
    if record.recovery.ended.is_some() {
        let state = record.recovery.state();
        return Err(Fault::new(Code::WrongState, format!("the recovery of {host} is {state}")));
    }
    let name = actor.strip_prefix("operator/").unwrap_or(actor);
    let reason: String = reason.chars().take(MAX_RECOVERY_REASON).collect();
    let end = RecoveryEnd::Aborted(format!("{name}: {reason}"));
    let ended = RecoveryRecord {
        recovery: Recovery { ended: Some((end, core.now())), ..record.recovery.clone() },
        ..record.clone()
    };
    let object = format!("recovery/{}", record.id);
    let audit = core.audit_by(actor, "recovery.abort", object, "ok", &json!({ "reason": reason }));
    if !core.store.save_recovery(&ended, Some(&audit)).await? {
        return Err(changed(host));
    }
    newest(core, host).await
}

/// The newest recovery of a host.
pub async fn newest(core: &Core, host: &HostName) -> Result<RecoveryRecord, Fault> {
    let found = core.store.newest_recovery(host).await?;
    found.ok_or_else(|| {
        Fault::new(Code::NotFound, format!("{host} was never recovered")).fix(format!("flota recovery plan {host}"))
    })
}

fn changed(host: &HostName) -> Fault {
    Fault::new(Code::Changed, format!("the recovery of {host} went on at the same moment; nothing was changed by you"))
        .fix(format!("flota recovery status {host}"))
}

fn set(recovery: &mut Recovery, record: StepRecord) {
    if let Some(known) = recovery.steps.iter_mut().find(|known| known.step == record.step) {
        *known = record;
    }
}

/// A person asks for it again: a rollout that ended without success is not waited for any more, nor a check that failed.
async fn again(core: &Core, actor: &str, record: RecoveryRecord, asked: &Asked) -> Result<RecoveryRecord, Fault> {
    let mut recovery = record.recovery.clone();
    let (release, onto) = (&recovery.release, recovery.onto.as_str());
    let other_release = !asked.release.is_empty()
        && asked.release != release.version
        && !release.digest.to_string().starts_with(&asked.release);
    let other_machine = !asked.onto.is_empty() && asked.onto != onto;
    if other_release || other_machine {
        let sentence = format!("{} is being recovered already, to {} on {onto}", recovery.host, release.version);
        let fix = format!("flota recovery abort {} --reason TEXT, then begin anew", recovery.host);
        return Err(Fault::new(Code::WrongState, sentence).fix(fix));
    }
    let failed = |step| recovery.step(step).is_some_and(|record| record.state == StepState::Failed);
    let (apply, health) = (failed(RecoveryStep::Apply), failed(RecoveryStep::Health));
    let said = heard(core, &mut recovery, asked)?;
    if apply {
        recovery.rollout = None;
    }
    if health {
        recovery.check = None;
    }
    let host = recovery.host.clone();
    if apply || health || said {
        let details = json!({ "ticket": recovery.ticket, "reason": recovery.reason, "health": recovery.health });
        let audit = core.audit_by(actor, "recovery.retry", format!("recovery/{}", record.id), "ok", &details);
        if !core.store.save_recovery(&RecoveryRecord { recovery, ..record }, Some(&audit)).await? {
            return Err(changed(&host));
        }
    }
    look(core, newest(core, &host).await?).await
}

/// One look: whatever can be done is done, until something has to be waited for.
async fn look(core: &Core, record: RecoveryRecord) -> Result<RecoveryRecord, Fault> {
    let _one_at_a_time = core.recovering.lock().await;
    // What was read before may be old by now.
    let mut record = newest(core, &record.recovery.host).await?;
    for _ in 0..ACTS {
        if record.recovery.ended.is_some() {
            break;
        }
        let before = record.recovery.clone();
        let seen = Seen::gather(core, &record.recovery).await?;
        let (steps, next) = decide(&record.recovery, &seen.as_seen(core.now()));
        record.recovery.steps = steps;
        let goes_on = act(core, &mut record, &before, next).await?;
        if record.recovery != before {
            let moved = record.recovery.steps.iter().zip(&before.steps).filter(|(now, then)| now.state != then.state);
            let moved: Vec<_> = moved
                .map(|(now, _)| json!({ "step": now.step, "state": now.state, "detail": now.detail, "proofs": now.proofs }))
                .collect();
            let (action, object) = ("recovery.step", format!("recovery/{}", record.id));
            let audit = core.audit(action, object, "ok", &json!({ "host": before.host, "steps": moved }));
            let logged = (!moved.is_empty()).then_some(&audit);
            if !core.store.save_recovery(&record, logged).await? {
                // Another controller, or an operator, was quicker: it is looked at anew.
                return newest(core, &before.host).await;
            }
            record.revision = record.revision.saturating_add(1);
        }
        if !goes_on {
            break;
        }
    }
    Ok(record)
}
