//! Rollouts and their plans.

use flota_model::rollout::{
    HostWish, IntentVerb, PlanId, RolloutApproval, RolloutIntent, RolloutSpec, RolloutState, TargetSpec,
};
use flota_model::{Digest, HostId, RolloutId};
use futures_util::future::join;

use super::fixtures::{enrolled, entry, host_id, logged, plan, second, spec};
use crate::{ApproveRollout, LATE_JOINERS, RENEWED_AFTER, RolloutRecord, SetPlan, Store};

const DRAFT: RolloutIntent = RolloutIntent::new(IntentVerb::Draft);
const RUN: RolloutIntent = RolloutIntent::new(IntentVerb::Run);
const PAUSE: RolloutIntent = RolloutIntent::new(IntentVerb::Pause);

async fn created(store: &dyn Store, number: u32) -> RolloutId {
    assert!(store.create_rollout(&spec(number), &DRAFT, &entry("rollout.create", "rollout")).await.unwrap());
    RolloutId::new(number)
}

async fn planned(
    store: &dyn Store,
    rollout: u32,
    parent: Option<PlanId>,
    revision: u64,
    state: RolloutState,
) -> PlanId {
    let (id, plan) = plan(rollout, parent, revision, state, "");
    assert_eq!(store.set_plan(id, &plan, &entry("rollout.plan", "rollout")).await.unwrap(), SetPlan::Done);
    id
}

async fn read(store: &dyn Store, id: RolloutId) -> RolloutRecord {
    store.rollout(id).await.unwrap().unwrap()
}

/// Two operators may ask for the next number and get the same.
pub async fn a_number_is_given_once(store: &dyn Store) {
    assert_eq!(store.next_rollout_id().await.unwrap(), RolloutId::new(1));
    created(store, 1).await;
    let before = logged(store).await;
    let mut other = spec(1);
    other.ticket = "CHG-43".into();
    assert!(!store.create_rollout(&other, &RUN, &entry("rollout.create", "rollout")).await.unwrap());
    assert_eq!(read(store, RolloutId::new(1)).await.spec, spec(1));
    assert_eq!(logged(store).await, before);
    created(store, 7).await;
    assert_eq!(store.next_rollout_id().await.unwrap(), RolloutId::new(8));
    assert_eq!(store.rollout(RolloutId::new(2)).await.unwrap(), None);
}

/// Documents are stored whole.
pub async fn specification_and_plan_read_back_as_written(store: &dyn Store) {
    let id = created(store, 1).await;
    let empty = RolloutRecord {
        spec: spec(1),
        digest: read(store, id).await.digest,
        approvals: Vec::new(),
        intent: DRAFT,
        plan: None,
        started_at: None,
        finished_at: None,
    };
    assert_eq!(read(store, id).await, empty);
    let (name, plan) = plan(1, None, 1, RolloutState::Draft, "nothing has started");
    assert_eq!(store.set_plan(name, &plan, &entry("rollout.plan", "rollout")).await.unwrap(), SetPlan::Done);
    assert_eq!(read(store, id).await, RolloutRecord { plan: Some((name, plan)), ..empty });
}

/// Two planners that saw the same parent.
pub async fn one_of_two_plans_at_once_becomes_current(store: &dyn Store) {
    let id = created(store, 1).await;
    let parent = Some(planned(store, 1, None, 1, RolloutState::Running).await);
    let audit = entry("rollout.plan", "rollout");
    let (one, other) =
        (plan(1, parent, 2, RolloutState::Running, "one"), plan(1, parent, 2, RolloutState::Running, "other"));
    let (first, second) = join(store.set_plan(one.0, &one.1, &audit), store.set_plan(other.0, &other.1, &audit)).await;
    let outcomes = [first.unwrap(), second.unwrap()];
    assert!(outcomes.contains(&SetPlan::Done) && outcomes.contains(&SetPlan::ParentMoved), "{outcomes:?}");
    let winner = if outcomes[0] == SetPlan::Done { one } else { other };
    assert_eq!(read(store, id).await.plan, Some(winner));
}

/// An old one, none, and one of a rollout that is not there.
pub async fn a_plan_needs_the_current_parent(store: &dyn Store) {
    let id = created(store, 1).await;
    let first = planned(store, 1, None, 1, RolloutState::Running).await;
    let second = planned(store, 1, Some(first), 2, RolloutState::Running).await;
    let before = (read(store, id).await, logged(store).await);
    let audit = entry("rollout.plan", "rollout");
    for (rollout, parent, expected) in [
        (1, Some(first), SetPlan::ParentMoved),
        (1, None, SetPlan::ParentMoved),
        (9, Some(second), SetPlan::NoSuchRollout(RolloutId::new(9))),
        (9, None, SetPlan::NoSuchRollout(RolloutId::new(9))),
    ] {
        let (id, plan) = plan(rollout, parent, 3, RolloutState::Paused, "stale");
        assert_eq!(store.set_plan(id, &plan, &audit).await.unwrap(), expected);
    }
    assert_eq!((read(store, id).await, logged(store).await), before);
}

/// A plan for each report of each host would drown the log.
pub async fn a_plan_is_logged_when_the_state_changed(store: &dyn Store) {
    created(store, 1).await;
    let before = logged(store).await;
    let mut parent = None;
    for (revision, state, entries) in [
        (1, RolloutState::Running, 1),
        (2, RolloutState::Running, 1),
        (3, RolloutState::Halted, 2),
        (4, RolloutState::Running, 3),
    ] {
        parent = Some(planned(store, 1, parent, revision, state).await);
        assert_eq!(logged(store).await, before + entries);
    }
}

/// Whoever decides has seen what is wanted now.
pub async fn an_intent_changes_from_what_was_read(store: &dyn Store) {
    let id = created(store, 1).await;
    let before = logged(store).await;
    let audit = entry("rollout.intent", "rollout");
    let accepted = RolloutIntent { accepted_failures: 2, ..RUN };
    for (from, to, changed) in [
        (RUN, PAUSE, false),
        (DRAFT, RUN, true),
        (DRAFT, RUN, false),
        (RUN, accepted.clone(), true),
        (RUN, PAUSE, false),
    ] {
        assert_eq!(store.set_intent(id, &from, &to, &audit).await.unwrap(), changed, "{from:?} {to:?}");
    }
    assert!(!store.set_intent(RolloutId::new(9), &DRAFT, &RUN, &audit).await.unwrap());
    assert_eq!(read(store, id).await.intent, accepted);
    assert_eq!(logged(store).await, before + 2);

    let (pause, mut abort) = (PAUSE, accepted.with(IntentVerb::Abort));
    // The wishes are compared and set as well.
    abort.wishes.hosts.insert(host_id(1), HostWish { retries: 2, skip: true });
    assert!(!store.set_intent(id, &abort, &pause, &audit).await.unwrap());
    let (first, second) =
        join(store.set_intent(id, &accepted, &pause, &audit), store.set_intent(id, &accepted, &abort, &audit)).await;
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first != second);
    assert_eq!(read(store, id).await.intent, if first { pause } else { abort });
}

/// At the time of the operator's entry; going on after a pause is no new start.
pub async fn a_rollout_starts_once(store: &dyn Store) {
    let id = created(store, 1).await;
    for (at, from, to, started) in [
        (20, DRAFT, PAUSE, None),
        (21, PAUSE, RUN, Some(second(21))),
        (22, RUN, PAUSE, Some(second(21))),
        (23, PAUSE, RUN, Some(second(21))),
    ] {
        let mut audit = entry("rollout.intent", "rollout");
        audit.at = second(at);
        assert!(store.set_intent(id, &from, &to, &audit).await.unwrap());
        assert_eq!(read(store, id).await.started_at, started);
    }
    assert!(store.create_rollout(&spec(2), &RUN, &entry("rollout.create", "rollout")).await.unwrap());
    assert_eq!(read(store, RolloutId::new(2)).await.started_at, Some(spec(2).created_at));
}

/// Oldest first, so that what was begun is finished before what came later.
pub async fn a_rollout_is_active_until_its_plan_is_terminal(store: &dyn Store) {
    let (unplanned, running, ended) = (created(store, 1).await, created(store, 2).await, created(store, 3).await);
    planned(store, 2, None, 1, RolloutState::Running).await;
    let parent = planned(store, 3, None, 1, RolloutState::Running).await;
    let active = async || store.active_rollouts().await.unwrap().into_iter().map(|r| r.spec.id).collect::<Vec<_>>();
    assert_eq!(active().await, [unplanned, running, ended]);
    assert_eq!(read(store, ended).await.finished_at, None);

    let parent = planned(store, 3, Some(parent), 2, RolloutState::Aborted).await;
    assert_eq!(active().await, [unplanned, running]);
    assert_eq!(read(store, ended).await.finished_at, Some(second(12)));
    planned(store, 3, Some(parent), 3, RolloutState::Aborted).await;
    assert_eq!(read(store, ended).await.finished_at, Some(second(12)), "it ended once");
}

/// All of them.
pub async fn rollouts_are_listed_newest_first(store: &dyn Store) {
    for number in [1, 3, 2] {
        created(store, number).await;
    }
    let listed: Vec<_> = store.rollouts().await.unwrap().into_iter().map(|rollout| rollout.spec.id.number()).collect();
    assert_eq!(listed, [3, 2, 1]);
}

fn approval(by: &str, spec: Digest, at: i64) -> RolloutApproval {
    RolloutApproval { spec, by: by.into(), at: second(at), reason: "looked at the plan".into() }
}

/// To what a person has seen, and to nothing else.
pub async fn an_approval_is_bound_to_the_specification(store: &dyn Store) {
    let id = created(store, 1).await;
    let (before, audit) = (logged(store).await, entry("rollout.approve", "rollout"));
    let approve = async |approval: &RolloutApproval| store.approve_rollout(id, approval, &audit).await.unwrap();
    let seen = read(store, id).await.digest;
    let (first, second) = (approval("piotr", seen, 20), approval("anna", seen, 21));
    assert_eq!(approve(&first).await, ApproveRollout::Approved);
    assert_eq!(approve(&second).await, ApproveRollout::Approved);
    assert_eq!(approve(&RolloutApproval { at: second.at, ..first.clone() }).await, ApproveRollout::AlreadyThere);
    assert_eq!(approve(&approval("ola", Digest::of(b"another"), 22)).await, ApproveRollout::Changed);
    assert_eq!(logged(store).await, before + 2);
    let tomorrow = RolloutApproval { at: first.at.plus(RENEWED_AFTER), ..first.clone() };
    assert_eq!(approve(&tomorrow).await, ApproveRollout::Approved, "it had aged, and is given anew");
    assert_eq!(approve(&first).await, ApproveRollout::AlreadyThere);
    let before = before + 1;
    let stored = read(store, id).await;
    assert_eq!((stored.approvals.clone(), stored.approvers()), (vec![second, tomorrow], vec!["anna", "piotr"]));

    let amended = RolloutSpec { ticket: "CHG-44".into(), ..spec(1) };
    let audit = entry("rollout.amend", "rollout");
    assert!(store.amend_rollout(id, &first.spec, &amended, &audit).await.unwrap());
    assert!(!store.amend_rollout(id, &first.spec, &spec(1), &audit).await.unwrap(), "it is another one now");
    assert!(!store.amend_rollout(RolloutId::new(9), &first.spec, &spec(9), &audit).await.unwrap());
    let stored = read(store, id).await;
    assert_eq!(stored.spec, amended);
    assert_ne!(stored.digest, seen);
    assert_eq!((stored.approvals.len(), stored.approvers()), (2, vec![]), "kept, and worth nothing any more");
    assert_eq!(approve(&first).await, ApproveRollout::Changed);
    assert_eq!(logged(store).await, before + 3);
}

/// Beside the specification: nobody changes place, and approvals hold.
pub async fn hosts_that_come_later_join_in_a_wave_of_their_own(store: &dyn Store) {
    let id = created(store, 1).await;
    let host = enrolled(store, 3).await;
    let target = TargetSpec { wave: spec(1).waves.len(), ..spec(1).targets.into_values().next().unwrap() };
    let joiner = |host: &HostId| (host.clone(), target.clone(), entry("rollout.join", "rollout"));
    let (before, specified) = (logged(store).await, read(store, id).await.digest);
    assert_eq!(store.join_rollout(id, &[joiner(&host)]).await.unwrap(), 1);
    assert_eq!(store.join_rollout(id, &[joiner(&host)]).await.unwrap(), 0, "it is in it");
    assert_eq!(logged(store).await, before + 1);
    let stored = read(store, id).await;
    assert_eq!(stored.digest, specified);
    assert_eq!(stored.spec.waves.last().map(String::as_str), Some(LATE_JOINERS));
    assert_eq!(stored.spec.targets.get(&host), Some(&target));
    assert_eq!(stored.spec.targets.len(), spec(1).targets.len() + 1);

    planned(store, 1, None, 1, RolloutState::Aborted).await;
    let another = enrolled(store, 4).await;
    assert_eq!(store.join_rollout(id, &[joiner(&another)]).await.unwrap(), 0, "it has ended");
}

/// Whoever has the log finds them by their digests.
pub async fn auditors_are_given_the_very_texts(store: &dyn Store) {
    let id = created(store, 1).await;
    assert_eq!(store.rollout_documents(RolloutId::new(9)).await.unwrap(), None);
    let before = store.rollout_documents(id).await.unwrap().unwrap();
    assert_eq!(Digest::of(before.specification.as_bytes()), read(store, id).await.digest);
    assert_eq!((before.plans.len(), before.last_sequence), (0, 0), "no entry of these tests is about it");

    let mut parent = None;
    let states = [RolloutState::Running, RolloutState::Running, RolloutState::Halted, RolloutState::Halted];
    for (revision, state) in (1..).zip(states) {
        let mut audit = entry("rollout.plan", "rollout");
        audit.object = "rollout/R-1".into();
        let (name, plan) = plan(1, parent, revision, state, "");
        assert_eq!(store.set_plan(name, &plan, &audit).await.unwrap(), SetPlan::Done);
        parent = Some(name);
    }
    let after = store.rollout_documents(id).await.unwrap().unwrap();
    assert_eq!(after.plans.len(), 3, "the first, where it halted, and the last");
    assert!(after.plans[1].contains("halted") && after.plans[2].contains("\"revision\":4"), "{:?}", after.plans);
    assert_eq!(after.last_sequence - after.first_sequence, 1, "the log has one entry for each state");
}
