//! Where each step of a recovery stands, and what is to be done next. Pure but for [`Gathered`], which reads.

use std::time::Duration;

use flota_model::host::{Host, OemStanding, Trust};
use flota_model::recovery::{Recovery, RecoveryHealth, RecoveryStep, StepProof, StepRecord, StepState};
use flota_model::rollout::{Owner, RolloutState, TargetPlan, TargetState};
use flota_model::task::{Task, TaskState};
use flota_model::{RolloutId, Timestamp};
use flota_store::RolloutRecord;

use crate::core::Core;
use crate::fault::Fault;

/// A host that was asked for a quote is not asked again before that.
const CHALLENGE_AGAIN: Duration = Duration::from_secs(30);

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// Nothing: somebody else's move.
    Wait,
    /// Make the rollout that brings the release to it.
    Roll(Box<Host>),
    /// Start that rollout.
    Start(RolloutId),
    /// Ask it for a quote.
    Challenge(Box<Host>),
    /// Ask it for a health check.
    Check(Box<Host>),
    /// It is recovered.
    End,
}

/// What is known at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The machine that does the work, if it is in the fleet.
    pub(super) host: Option<&'a Host>,
    /// Whether it has a session.
    pub(super) connected: bool,
    /// The rollout that the recovery made.
    pub(super) rollout: Option<&'a RolloutSeen>,
    /// The health check that it asked for.
    pub(super) check: Option<&'a Task>,
    /// The present.
    pub(super) now: Timestamp,
}

/// The rollout, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct RolloutSeen {
    pub(super) id: RolloutId,
    pub(super) state: RolloutState,
    pub(super) cause: String,
    /// The host's part in it.
    pub(super) target: Option<TargetPlan>,
}

/// The same as [`Seen`], owned.
pub(super) struct Gathered {
    host: Option<Host>,
    connected: bool,
    rollout: Option<RolloutSeen>,
    check: Option<Task>,
}

impl Seen<'_> {
    /// Reads what there is.
    pub(super) async fn gather(core: &Core, recovery: &Recovery) -> Result<Gathered, Fault> {
        let mut fleet = core.store.hosts().await?.into_iter();
        let host = fleet.find(|host| host.name == recovery.onto && host.trust != Trust::Retired);
        let rollout = match recovery.rollout {
            Some(id) => core.store.rollout(id).await?.map(|record| RolloutSeen::of(&record, host.as_ref())),
            None => None,
        };
        let check = match &recovery.check {
            Some(id) => core.store.tasks(std::slice::from_ref(id)).await?.into_iter().next(),
            None => None,
        };
        let connected = host.as_ref().is_some_and(|host| core.sessions.is_connected(&host.id));
        Ok(Gathered { host, connected, rollout, check })
    }
}

impl RolloutSeen {
    fn of(record: &RolloutRecord, host: Option<&Host>) -> Self {
        let plan = record.plan.as_ref().map(|(_, plan)| plan);
        Self {
            id: record.spec.id,
            state: plan.map_or(RolloutState::Draft, |plan| plan.state),
            cause: plan.map(|plan| plan.cause.clone()).unwrap_or_default(),
            target: plan.zip(host).and_then(|(plan, host)| plan.targets.get(&host.id)).cloned(),
        }
    }
}

impl Gathered {
    pub(super) fn as_seen(&self, now: Timestamp) -> Seen<'_> {
        let Self { host, connected, rollout, check } = self;
        Seen { host: host.as_ref(), connected: *connected, rollout: rollout.as_ref(), check: check.as_ref(), now }
    }
}

/// A step as it stands.
struct Stands {
    state: StepState,
    detail: String,
    next: String,
    proofs: Vec<StepProof>,
    act: Next,
}

impl Stands {
    fn new(state: StepState, detail: impl Into<String>) -> Self {
        Self { state, detail: detail.into(), next: String::new(), proofs: Vec::new(), act: Next::Wait }
    }

    /// What a person does about it.
    fn next(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }

    fn proved(mut self, kind: &str, name: &impl ToString) -> Self {
        self.proofs.push(StepProof { kind: kind.to_owned(), name: name.to_string() });
        self
    }

    fn act(self, act: Next) -> Self {
        Self { act, ..self }
    }
}

/// Every step, and what is to be done. Steps that are over stay as they are; after the first that is not, none begins.
pub(super) fn decide(recovery: &Recovery, seen: &Seen<'_>) -> (Vec<StepRecord>, Next) {
    let mut steps = recovery.steps.clone();
    for record in &mut steps {
        if record.state.is_over() {
            continue;
        }
        let stands = stands(record.step, recovery, seen);
        let Stands { state, detail, next, proofs, act } = stands;
        let since = if state == record.state { record.since } else { seen.now };
        *record = StepRecord { step: record.step, state, detail, next, since, proofs };
        if !state.is_over() || act != Next::Wait {
            return (steps, act);
        }
    }
    (steps, Next::End)
}

fn stands(step: RecoveryStep, recovery: &Recovery, seen: &Seen<'_>) -> Stands {
    match (step, seen.host) {
        // Found when it began, or it would not have begun.
        (RecoveryStep::Find, _) => Stands::new(StepState::Working, "it is looked for"),
        (RecoveryStep::Report, _) => Stands::new(StepState::Done, "every step is done or had nothing to do"),
        (RecoveryStep::Restore, _) | (_, None) => restore(recovery, seen),
        // Shut out meanwhile: what the step waits for does not come.
        (_, Some(host)) if host.awaits_approval || !host.trust.admits_connection() => restore(recovery, seen),
        (RecoveryStep::Apply, Some(host)) => apply(recovery, host, seen),
        (RecoveryStep::Prove, Some(host)) => prove(recovery, host, seen),
        (RecoveryStep::Health, Some(host)) => health(recovery, host, seen),
    }
}

/// Step 2: the machine is there, and is who it was.
fn restore(recovery: &Recovery, seen: &Seen<'_>) -> Stands {
    let name = &recovery.onto;
    let Some(host) = seen.host else {
        let next = format!("flota token create {name}     then on the machine  flota-agent enroll");
        return Stands::new(StepState::Waiting, format!("{name} is not in the fleet")).next(next);
    };
    if host.awaits_approval {
        return Stands::new(StepState::Waiting, format!("{name} waits for a person to let it in"))
            .next(format!("flota enrolment approve {name}"));
    }
    if !host.trust.admits_connection() {
        let detail = format!("{name} is {}: {}", host.trust, host.trust_reason);
        return Stands::new(StepState::Waiting, detail).next(format!("flota policy explain {name}"));
    }
    if !seen.connected {
        let next = "restore its disk, or on the machine: flota-agent recover --backup DIR; then start its agent";
        return Stands::new(StepState::Waiting, format!("nothing is heard of {name}")).next(next);
    }
    let running = host.observed.as_ref().and_then(|report| report.running);
    let runs = running.map_or_else(|| "nothing yet".to_owned(), |digest| digest.short());
    Stands::new(StepState::Done, format!("{name} is there and says that it runs {runs}")).proved("host", &host.id)
}

/// Step 3: it runs the release, and a quote says so.
fn apply(recovery: &Recovery, host: &Host, seen: &Seen<'_>) -> Stands {
    let release = &recovery.release;
    let what = format!("{} ({})", release.version, release.digest.short());
    let confirmed = host.confirmed.as_ref().filter(|confirmed| confirmed.running == Some(release.digest));
    let Some(RolloutSeen { id, state, cause, target }) = seen.rollout else {
        if let Some(confirmed) = confirmed.filter(|confirmed| confirmed.at > recovery.begun_at) {
            let detail = format!("a quote confirmed at {} that it runs {what}", confirmed.at);
            return Stands::new(StepState::Done, detail).proved("quote", &confirmed.at);
        }
        let claims = host.observed.as_ref().and_then(|report| report.running) == Some(release.digest);
        if claims && host.trust != Trust::Unattested {
            return asked_for_quote(recovery, host, seen, &format!("it says that it runs {what}"));
        }
        return Stands::new(StepState::Working, format!("{what} is brought to it"))
            .act(Next::Roll(Box::new(host.clone())));
    };
    let says = target.as_ref().map(|target| target.reason.text.as_str()).unwrap_or_default();
    let committed = target.as_ref().is_some_and(|target| target.state == TargetState::Committed);
    match state {
        RolloutState::Draft => Stands::new(StepState::Working, format!("{id} is started")).act(Next::Start(*id)),
        RolloutState::Succeeded if committed => {
            Stands::new(StepState::Done, format!("{id} brought {what}")).proved("rollout", id)
        }
        RolloutState::AwaitingApproval => {
            Stands::new(StepState::Waiting, format!("{id} waits: {cause}")).next(format!("flota rollout approve {id}"))
        }
        // A host that has just come back is judged first.
        RolloutState::Running if host.trust != Trust::Pending && target.as_ref().is_some_and(needs_a_person) => {
            Stands::new(StepState::Waiting, format!("{id} cannot begin with it: {says}"))
                .next(format!("flota rollout explain {id}"))
        }
        RolloutState::Running | RolloutState::Aborting => {
            Stands::new(StepState::Working, format!("{id} brings {what}: {says}"))
        }
        RolloutState::Paused | RolloutState::Inconclusive => {
            Stands::new(StepState::Waiting, format!("{id} is {state}: {cause}"))
                .next(format!("flota rollout explain {id}"))
        }
        _ => Stands::new(StepState::Failed, format!("{id} is {state}: {cause}; {says}"))
            .next(format!("flota rollout explain {id}     then  flota recovery run {}", recovery.host)),
    }
}

/// Whether a rollout that runs comes no further with this host by itself.
fn needs_a_person(target: &TargetPlan) -> bool {
    target.reason.owner == Owner::Operator
}

/// Step 4: TPM and licence.
fn prove(recovery: &Recovery, host: &Host, seen: &Seen<'_>) -> Stands {
    if host.trust == Trust::Unattested {
        let detail = "it has no TPM: nothing proves what it runs, by the settings that let it in";
        return Stands::new(StepState::Skipped, detail);
    }
    // Since that step began: the quote that ended it says what runs, and so counts.
    let applied = recovery.step(RecoveryStep::Apply).map_or(recovery.begun_at, |record| record.since);
    let fresh = host.confirmed.as_ref().filter(|confirmed| confirmed.at >= applied);
    let Some(confirmed) = fresh.filter(|_| host.trust == Trust::Trusted) else {
        if matches!(host.trust, Trust::Drifted | Trust::Untrusted) {
            return Stands::new(StepState::Failed, format!("it is {}: {}", host.trust, host.trust_reason))
                .next(format!("flota policy explain {}", host.name));
        }
        return asked_for_quote(recovery, host, seen, "a quote over what it runs now is awaited");
    };
    if confirmed.running != Some(recovery.release.digest) {
        let runs = confirmed.running.map_or_else(|| "nothing".to_owned(), |digest| digest.short());
        let detail =
            format!("its quote of {} says that it runs {runs}: something else was brought to it", confirmed.at);
        return Stands::new(StepState::Failed, detail)
            .next(format!("flota host show {}     then  flota recovery abort {}", host.name, recovery.host));
    }
    let OemStanding { evidence, licence } = &host.oem;
    for (what, status) in [("evidence", evidence), ("licence", licence)] {
        if !matches!(status.as_str(), "" | "ok") {
            let next = format!("on the host: flota-agent check-tpm-status; then flota attest challenge {}", host.name);
            return Stands::new(StepState::Failed, format!("its OEM {what} is {status}")).next(next);
        }
    }
    let oem = match (evidence.is_empty(), licence.is_empty()) {
        (true, true) => "; its settings name no evidence and no licence",
        (false, true) => ", its evidence too; its settings name no licence",
        (true, false) => ", its licence too; its settings name no evidence",
        (false, false) => ", its evidence and its licence too",
    };
    Stands::new(StepState::Done, format!("its quote of {} passed{oem}", confirmed.at)).proved("quote", &confirmed.at)
}

fn asked_for_quote(recovery: &Recovery, host: &Host, seen: &Seen<'_>, detail: &str) -> Stands {
    if !seen.connected {
        return Stands::new(StepState::Waiting, format!("nothing is heard of {}", host.name)).next("start its agent");
    }
    let due = recovery.challenged_at.is_none_or(|asked| seen.now.since(asked) >= CHALLENGE_AGAIN);
    let act = if due { Next::Challenge(Box::new(host.clone())) } else { Next::Wait };
    Stands::new(StepState::Working, detail).act(act)
}

/// Step 5: the exchanges.
fn health(recovery: &Recovery, host: &Host, seen: &Seen<'_>) -> Stands {
    if recovery.health == RecoveryHealth::NotAsked {
        return Stands::new(StepState::Skipped, "it was said that it has no exchange");
    }
    let again = format!("flota health show {}     then  flota recovery run {}", host.name, recovery.host);
    let Some(check) = seen.check else {
        return Stands::new(StepState::Working, "it is asked").act(Next::Check(Box::new(host.clone())));
    };
    match (check.state, check.health.as_deref()) {
        (TaskState::Waiting | TaskState::Offered, _) => Stands::new(StepState::Working, "it checks its exchanges"),
        (TaskState::Done, Some("unavailable")) => {
            Stands::new(StepState::Failed, "an exchange is unavailable to it").next(again).proved("task", &check.id)
        }
        (TaskState::Done, Some(word)) => {
            Stands::new(StepState::Done, format!("its exchanges are {word}")).proved("task", &check.id)
        }
        _ => Stands::new(StepState::Failed, format!("its check came to nothing: {}", check.detail)).next(again),
    }
}

#[cfg(test)]
mod tests;
