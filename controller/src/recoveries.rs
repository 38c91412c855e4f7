//! Recoveries of hosts (manual §6): six steps, taken one after another, by whoever looks next. All of it is in the store, so a
//! recovery goes on wherever it was when the controller was killed.
//!
//! `decide` says where each step stands and what is to be done; here it is done. What only a person can do is said to a person.

mod decide;
mod report;

use std::sync::Arc;
use std::time::Duration;

use flota_model::host::{Host, Trust};
use flota_model::recovery::{
    MAX_RECOVERY_REASON, Recovery, RecoveryEnd, RecoveryHealth, RecoveryStep, StepProof, StepRecord, StepState,
};
use flota_model::release::ReleaseRef;
use flota_model::rollout::IntentVerb;
use flota_model::task::{ExportSignature, TaskKind};
use flota_model::{HostName, RolloutId};
use flota_store::{ExportsOf, RecoveryRecord};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::blobs::{self, Presence};
use crate::core::Core;
use crate::fault::{Code, Fault};
use crate::grpc::{select, tasks};
use crate::releases::check_signed;
use crate::rollouts::{self, create};
use crate::sessions::Command;
use decide::{Next, Seen, decide};

pub use report::seal;

/// Open recoveries are looked at this often; they wait for machines and persons.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time that the host has for its health check.
const CHECK_WITHIN: Duration = Duration::from_mins(5);
/// Exports of a host that are looked at for the last usable one.
const EXPORTS: u32 = 20;
/// Actions done in one look: a step that ends lets the next begin at once.
const ACTS: usize = 12;

/// What an operator asks for.
pub struct Asked {
    /// The host that was lost, by name, id or prefix of an id.
    pub host: String,
    /// The machine that takes its place; empty: itself.
    pub onto: String,
    /// The release it is to run; empty: the last one that a quote confirmed on it.
    pub release: String,
    /// Whether the exchanges are asked.
    pub health: RecoveryHealth,
    /// Why.
    pub reason: String,
    /// Change ticket.
    pub ticket: String,
}

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

async fn draft(core: &Core, actor: &str, asked: Asked) -> Result<Recovery, Fault> {
    let Asked { host, onto, release, health, reason, ticket } = asked;
    let fleet = core.store.hosts().await?;
    let lost = select::find(&fleet, &host)?;
    let onto = match onto.as_str() {
        "" if lost.trust == Trust::Retired => {
            let sentence = format!("{} is out of the fleet for ever: another machine takes its place", lost.name);
            return Err(Fault::new(Code::WrongState, sentence).fix("--onto HOST, enrolled under a name of its own"));
        }
        "" => lost.name.clone(),
        onto => onto.parse().map_err(Fault::bad)?,
    };
    let (release, release_from) = choose(core, lost, &release).await?;
    let ticket = create::required_ticket(core, &ticket)?;
    Ok(Recovery {
        host: lost.name.clone(),
        onto,
        release,
        release_from,
        health,
        begun_by: actor.to_owned(),
        begun_at: core.now(),
        reason: reason.chars().take(MAX_RECOVERY_REASON).collect(),
        ticket,
        rollout: None,
        check: None,
        challenged_at: None,
        steps: Recovery::steps_ahead(core.now()),
        ended: None,
    })
}

/// The release that was asked for, or the last one that is known to have run on the host and is signed still.
async fn choose(core: &Core, lost: &Host, asked: &str) -> Result<(ReleaseRef, String), Fault> {
    let releases = core.store.releases().await?;
    let fix = format!("flota recovery run {} --release RELEASE", lost.name);
    let (release, from) = if asked.is_empty() {
        let confirmed = lost.confirmed.as_ref().and_then(|confirmed| Some((confirmed.running?, confirmed.at)));
        let Some((digest, at)) = confirmed else {
            let sentence = format!("no quote ever confirmed a release on {}", lost.name);
            return Err(Fault::new(Code::NotFound, sentence).fix(fix));
        };
        let known = releases.iter().find(|release| release.target.digest == digest).ok_or_else(|| {
            let sentence = format!("what {} ran last ({}) was not published here", lost.name, digest.short());
            Fault::new(Code::NotFound, sentence).fix(fix.clone())
        })?;
        (known.target.clone(), format!("the last one that a quote confirmed on {}, at {at}", lost.name))
    } else {
        (create::find_release(&releases, asked)?.target.clone(), "asked for".to_owned())
    };
    check_signed(core, &release).await?;
    Ok((release, from))
}

/// Step 1: the last usable export, and the release.
async fn find(core: &Core, recovery: &Recovery) -> Result<StepRecord, Fault> {
    let fleet = core.store.hosts().await?;
    let lost = fleet.iter().find(|host| host.name == recovery.host);
    let exports = match lost {
        Some(host) => core.store.exports(ExportsOf::host(&host.id), EXPORTS).await?,
        None => Vec::new(),
    };
    let mut unusable = 0_usize;
    let mut proofs = Vec::new();
    let mut export = "there is no export of it in the archive".to_owned();
    for candidate in exports {
        let (path, digest) = (core.blobs.path(&candidate.blob), candidate.blob);
        let read = tokio::task::spawn_blocking(move || blobs::digest_of(&path)).await;
        let proved = !matches!(candidate.signature, ExportSignature::Mismatch | ExportSignature::UnknownKey);
        if proved && matches!(read, Ok(Ok(found)) if found == digest) {
            let (count, whole) = (candidate.audit_entries, if candidate.status == "ok" { "" } else { ", partial" });
            export =
                format!("the last usable export is {} of {}, {count} audit entries{whole}", candidate.id, candidate.at);
            proofs.push(StepProof { kind: "export".into(), name: candidate.id.to_string() });
            proofs.push(StepProof { kind: "export_sha256".into(), name: digest.to_string() });
            break;
        }
        unusable = unusable.saturating_add(1);
    }
    if unusable > 0 {
        export = format!("{export} ({unusable} newer ones are not as they were signed or archived)");
    }
    let release = &recovery.release;
    if !matches!(core.blobs.presence(&release.digest), Presence::Whole { .. }) {
        let sentence = format!("the package of {} is not here any more", release.version);
        return Err(Fault::new(Code::NotFound, sentence).fix("flota release publish FOLDER"));
    }
    proofs.push(StepProof { kind: "release_sha256".into(), name: release.digest.to_string() });
    let detail =
        format!("{export}; the release is {} ({}), {}", release.version, release.digest.short(), recovery.release_from);
    let (state, next) = (StepState::Done, String::new());
    Ok(StepRecord { step: RecoveryStep::Find, state, detail, next, since: core.now(), proofs })
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

/// What is said anew counts. Whether anything was.
fn heard(core: &Core, recovery: &mut Recovery, asked: &Asked) -> Result<bool, Fault> {
    let before = recovery.clone();
    if !asked.ticket.is_empty() {
        recovery.ticket = create::required_ticket(core, &asked.ticket)?;
    }
    if !asked.reason.is_empty() {
        recovery.reason = asked.reason.chars().take(MAX_RECOVERY_REASON).collect();
    }
    if asked.health == RecoveryHealth::NotAsked {
        recovery.health = RecoveryHealth::NotAsked;
    }
    Ok(*recovery != before)
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

/// Does it. True: something changed that lets another look see more at once.
async fn act(core: &Core, record: &mut RecoveryRecord, before: &Recovery, next: Next) -> Result<bool, Fault> {
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
