use flota_model::host::{Confirmed, KeyStorage};
use flota_model::release::ReleaseRef;
use flota_model::rollout::{Owner, Reason};
use flota_model::task::TaskKind;
use flota_model::update::{UpdatePhase, UpdateReport};
use flota_model::{Digest, HostId, Labels, TaskId};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn package() -> Digest {
    Digest::of(b"4.12.0")
}

fn recovery() -> Recovery {
    let mut recovery = Recovery {
        host: "fra-bot-07".parse().unwrap(),
        onto: "fra-bot-07".parse().unwrap(),
        release: ReleaseRef { digest: package(), version: "4.12.0".into(), size: 1 },
        release_from: "asked for".into(),
        health: RecoveryHealth::Asked,
        begun_by: "operator/ola".into(),
        begun_at: at(100),
        reason: String::new(),
        ticket: String::new(),
        rollout: None,
        check: None,
        challenged_at: None,
        steps: Recovery::steps_ahead(at(100)),
        ended: None,
    };
    recovery.steps[0].state = StepState::Done;
    recovery
}

fn host() -> Host {
    Host {
        name: "fra-bot-07".parse().unwrap(),
        id: HostId::of_endorsement_key(&Digest::of(b"ek")),
        labels: Labels::default(),
        trust: Trust::Trusted,
        trust_reason: String::new(),
        last_seen: Some(at(110)),
        agent_version: String::new(),
        observed: None,
        confirmed: None,
        desired: None,
        enrolled_at: at(0),
        lease_until: None,
        key_storage: KeyStorage::Tpm,
        awaits_approval: false,
        policy: String::new(),
        oem: OemStanding::default(),
    }
}

fn confirmed(second: i64) -> Host {
    Host { confirmed: Some(Confirmed { running: Some(package()), generation: None, at: at(second) }), ..host() }
}

fn rollout(state: RolloutState, target: TargetState) -> RolloutSeen {
    let reason = Reason { text: "the host works on it".into(), owner: Owner::Host };
    let target = Some(TargetPlan { state: target, since: at(120), reason, retried: 0 });
    RolloutSeen { id: RolloutId::new(7), state, cause: "2 of 2 failed".into(), target }
}

fn check(state: TaskState, health: Option<&str>) -> Task {
    Task {
        id: TaskId::from_uuid(uuid::Uuid::nil()),
        host: host().id,
        host_name: host().name,
        kind: TaskKind::Health { checks: Vec::new() },
        state,
        detail: "the agent was stopped".into(),
        created_at: at(150),
        deadline: at(450),
        finished_at: None,
        export: None,
        health: health.map(str::to_owned),
    }
}

const NOTHING: Seen<'static> =
    Seen { host: None, connected: false, rollout: None, check: None, now: Timestamp::from_micros(200_000_000) };

/// The recovery after a look, the state of its current step, and what is to be done.
fn looked(mut recovery: Recovery, seen: &Seen<'_>) -> (Recovery, &'static str, Next) {
    let (steps, next) = decide(&recovery, seen);
    recovery.steps = steps;
    let current = recovery.current().map_or("over", |record| record.state.as_str());
    (recovery, current, next)
}

fn detail(recovery: &Recovery) -> (RecoveryStep, &str, &str) {
    let record = recovery.current().unwrap();
    (record.step, &record.detail, &record.next)
}

#[test]
fn a_machine_that_is_not_there_waits_for_a_person_who_is_told_what_to_do() {
    let (after, state, next) = looked(recovery(), &NOTHING);
    assert_eq!((state, next), ("waiting", Next::Wait));
    let (step, said, then) = detail(&after);
    assert_eq!((step, said), (RecoveryStep::Restore, "fra-bot-07 is not in the fleet"));
    assert!(then.starts_with("flota token create fra-bot-07"), "{then}");
    let hosts = [
        (Host { awaits_approval: true, ..host() }, "flota enrolment approve fra-bot-07"),
        (Host { trust: Trust::Untrusted, ..host() }, "flota policy explain fra-bot-07"),
        (host(), "restore its disk, or on the machine: flota-agent recover --backup DIR; then start its agent"),
    ];
    for (host, expected) in hosts {
        let (after, state, _) = looked(recovery(), &Seen { host: Some(&host), ..NOTHING });
        assert_eq!((state, detail(&after).2), ("waiting", expected));
    }
}

#[test]
fn a_machine_that_is_there_is_brought_the_release_and_one_that_has_it_is_not() {
    let new = host();
    let (after, state, next) = looked(recovery(), &Seen { host: Some(&new), connected: true, ..NOTHING });
    assert_eq!((state, next), ("working", Next::Roll(Box::new(new.clone()))));
    assert_eq!(after.step(RecoveryStep::Restore).unwrap().state, StepState::Done);
    // What was confirmed before the disaster proves nothing: it is asked for anew.
    let report = UpdateReport {
        generation: None,
        sequence: 1,
        phase: UpdatePhase::Committed,
        running: Some(package()),
        version: "4.12.0".into(),
        detail: String::new(),
    };
    let claims = Host { observed: Some(report), ..confirmed(50) };
    let (_, state, next) = looked(recovery(), &Seen { host: Some(&claims), connected: true, ..NOTHING });
    assert_eq!((state, next), ("working", Next::Challenge(Box::new(claims.clone()))));
    let asked = Recovery { challenged_at: Some(at(199)), ..recovery() };
    let (_, _, next) = looked(asked, &Seen { host: Some(&claims), connected: true, ..NOTHING });
    assert_eq!(next, Next::Wait, "it was asked a second ago");
    let has_it = confirmed(150);
    let (after, _, _) = looked(recovery(), &Seen { host: Some(&has_it), connected: true, ..NOTHING });
    assert_eq!(after.step(RecoveryStep::Apply).unwrap().state, StepState::Done);
}

#[test]
fn a_rollout_is_started_awaited_and_its_failure_said() {
    let host = host();
    let look = |state, target| {
        let rollout = rollout(state, target);
        let seen = Seen { host: Some(&host), connected: true, rollout: Some(&rollout), ..NOTHING };
        let (after, state, next) = looked(recovery(), &seen);
        let apply = after.step(RecoveryStep::Apply).unwrap();
        (state, next, apply.state, apply.next.clone())
    };
    let (_, next, ..) = look(RolloutState::Draft, TargetState::Pending);
    assert_eq!(next, Next::Start(RolloutId::new(7)));
    assert_eq!(look(RolloutState::Running, TargetState::Pending).0, "working");
    let mut person = rollout(RolloutState::Running, TargetState::Deferred);
    person.target.as_mut().unwrap().reason.owner = Owner::Operator;
    let seen = Seen { host: Some(&host), connected: true, rollout: Some(&person), ..NOTHING };
    assert_eq!(looked(recovery(), &seen).1, "waiting", "a drifted host comes no further by itself");
    let (state, _, _, then) = look(RolloutState::AwaitingApproval, TargetState::Pending);
    assert_eq!((state, then.as_str()), ("waiting", "flota rollout approve R-7"));
    for failed in [RolloutState::Halted, RolloutState::Aborted, RolloutState::Expired] {
        let (state, next, _, then) = look(failed, TargetState::RolledBack);
        assert_eq!((state, next), ("failed", Next::Wait));
        assert!(then.contains("flota recovery run fra-bot-07"), "{then}");
    }
    let (_, _, apply, _) = look(RolloutState::Succeeded, TargetState::Skipped);
    assert_eq!(apply, StepState::Failed, "a rollout that left the host out brought it nothing");
    let (_, _, apply, _) = look(RolloutState::Succeeded, TargetState::Committed);
    assert_eq!(apply, StepState::Done);
}

/// A recovery whose first three steps are done, the third at second 160.
fn applied() -> Recovery {
    let mut recovery = recovery();
    for record in &mut recovery.steps[..3] {
        *record = StepRecord { state: StepState::Done, since: at(160), ..record.clone() };
    }
    recovery
}

#[test]
fn only_a_quote_over_what_runs_now_is_proof_and_evidence_must_hold_too() {
    let look = |host: &Host| {
        let (after, _, next) = looked(applied(), &Seen { host: Some(host), connected: true, ..NOTHING });
        (after.step(RecoveryStep::Prove).unwrap().state, next)
    };
    let before = confirmed(159);
    assert_eq!(look(&before), (StepState::Working, Next::Challenge(Box::new(before.clone()))));
    assert_eq!(look(&Host { trust: Trust::Drifted, ..confirmed(170) }).0, StepState::Failed);
    let other = Confirmed { running: Some(Digest::of(b"4.11.3")), generation: None, at: at(170) };
    assert_eq!(look(&Host { confirmed: Some(other), ..host() }).0, StepState::Failed, "it runs something else");
    assert_eq!(look(&Host { trust: Trust::Quarantined, ..confirmed(170) }).0, StepState::Waiting);
    let expired = OemStanding { evidence: "expired".into(), licence: "ok".into() };
    assert_eq!(look(&Host { oem: expired, ..confirmed(170) }).0, StepState::Failed);
    assert_eq!(look(&confirmed(170)).0, StepState::Done);
    assert_eq!(look(&Host { trust: Trust::Unattested, ..host() }).0, StepState::Skipped);
}

#[test]
fn exchanges_are_asked_once_and_the_last_step_ends_it() {
    let host = confirmed(170);
    let look = |recovery: Recovery, check: Option<&Task>| {
        looked(recovery, &Seen { host: Some(&host), connected: true, check, ..NOTHING })
    };
    let (_, state, next) = look(applied(), None);
    assert_eq!((state, next), ("working", Next::Check(Box::new(host.clone()))));
    let (_, state, _) = look(applied(), Some(&check(TaskState::Offered, None)));
    assert_eq!(state, "working");
    for check in [check(TaskState::Done, Some("unavailable")), check(TaskState::Expired, None)] {
        let (after, state, next) = look(applied(), Some(&check));
        assert_eq!((state, next), ("failed", Next::Wait));
        assert!(detail(&after).2.contains("flota recovery run fra-bot-07"));
    }
    let (after, state, next) = look(applied(), Some(&check(TaskState::Done, Some("degraded"))));
    assert_eq!((state, next), ("over", Next::End));
    assert!(after.steps.iter().all(|record| record.state == StepState::Done));
    let without = Recovery { health: RecoveryHealth::NotAsked, ..applied() };
    let (after, _, next) = look(without, None);
    assert_eq!((after.step(RecoveryStep::Health).unwrap().state, next), (StepState::Skipped, Next::End));
}

#[test]
fn what_is_done_stays_done_and_says_since_when() {
    let host = confirmed(170);
    let seen = Seen { host: Some(&host), connected: true, ..NOTHING };
    let (after, ..) = looked(applied(), &seen);
    let gone = Seen { now: at(300), ..NOTHING };
    let (later, state, _) = looked(after.clone(), &gone);
    assert_eq!(state, "waiting", "the host is gone again");
    assert_eq!(later.steps[..4], after.steps[..4]);
    let (again, ..) = looked(later.clone(), &Seen { now: at(400), ..gone });
    assert_eq!(again.current().unwrap().since, at(300), "since it began to wait");
}
