//! Attestation policies.

use flota_model::Digest;
use futures_util::future::join;

use super::fixtures::{entry, logged, second};
use crate::{
    AddPolicy, ApprovePolicy, NewPolicy, PolicyChange, PolicyRecord, PolicyRequest, PolicyState, Previous, Store,
    StoreError,
};

/// By anna, at second 5.
fn policy(name: &str, content: &str) -> NewPolicy {
    let document_json = format!(r#"{{"name":"{name}","content":"{content}"}}"#);
    NewPolicy {
        digest: Digest::of(document_json.as_bytes()),
        name: name.into(),
        document_json,
        author: "anna".into(),
        note: "firmware 1.14".into(),
        at: second(5),
    }
}

async fn added(store: &dyn Store, name: &str, content: &str) -> Digest {
    let policy = policy(name, content);
    let outcome = store.add_policy(&policy, &entry("policy.add", "policy")).await.unwrap();
    assert!(matches!(outcome, AddPolicy::Added { .. }), "{outcome:?}");
    policy.digest
}

async fn approve(store: &dyn Store, digest: &Digest, approver: &str) -> ApprovePolicy {
    store.approve_policy(digest, approver, &entry("policy.approve", "policy")).await.unwrap()
}

async fn set(store: &dyn Store, digest: &Digest, from: &[&str], to: PolicyState) -> bool {
    store.set_policy_state(digest, from, to, &entry("policy.state", "policy")).await.unwrap()
}

async fn activate(store: &dyn Store, digest: &Digest, from: &[&str], previous: Previous) -> bool {
    store.activate_policy(digest, from, previous, &entry("policy.activate", "policy")).await.unwrap()
}

async fn read(store: &dyn Store, digest: &Digest) -> PolicyRecord {
    store.policies().await.unwrap().into_iter().find(|policy| policy.digest == *digest).unwrap()
}

async fn state(store: &dyn Store, digest: &Digest) -> PolicyState {
    read(store, digest).await.state
}

/// Nothing holds yet.
pub async fn a_policy_is_entered_as_a_draft(store: &dyn Store) {
    let before = logged(store).await;
    let new = policy("baseline", "one");
    let outcome = store.add_policy(&new, &entry("policy.add", "policy")).await.unwrap();
    assert_eq!(outcome, AddPolicy::Added { version: 1 });
    let expected = PolicyRecord {
        digest: new.digest,
        name: new.name,
        version: 1,
        state: PolicyState::Draft,
        document_json: new.document_json,
        author: "anna".into(),
        approvers: Vec::new(),
        note: "firmware 1.14".into(),
        created_at: second(5),
        activated_at: None,
        request: None,
    };
    assert_eq!(store.policies().await.unwrap(), [expected]);
    assert_eq!(logged(store).await, before + 1);
}

/// So that people can say baseline@2; also when two are entered at once.
pub async fn versions_count_from_one_for_each_name(store: &dyn Store) {
    for (name, content, version) in [("baseline", "one", 1), ("baseline", "two", 2), ("canary", "one", 1)] {
        let outcome = store.add_policy(&policy(name, content), &entry("policy.add", "policy")).await.unwrap();
        assert_eq!(outcome, AddPolicy::Added { version });
    }
    let audit = entry("policy.add", "policy");
    let (three, four) = (policy("baseline", "three"), policy("baseline", "four"));
    let (first, second) = join(store.add_policy(&three, &audit), store.add_policy(&four, &audit)).await;
    let outcomes = [first.unwrap(), second.unwrap()];
    for version in [3, 4] {
        assert!(outcomes.contains(&AddPolicy::Added { version }), "{outcomes:?}");
    }
    let policies = store.policies().await.unwrap();
    let listed: Vec<_> = policies.iter().map(|policy| (policy.name.as_str(), policy.version)).collect();
    assert_eq!(listed, [("baseline", 4), ("baseline", 3), ("baseline", 2), ("baseline", 1), ("canary", 1)]);
}

/// Whoever sends it again learns which it is.
pub async fn the_same_document_is_the_same_policy(store: &dyn Store) {
    added(store, "baseline", "one").await;
    added(store, "baseline", "two").await;
    let before = (store.policies().await.unwrap(), logged(store).await);
    let again = NewPolicy { author: "bert".into(), ..policy("baseline", "one") };
    let outcome = store.add_policy(&again, &entry("policy.add", "policy")).await.unwrap();
    assert_eq!(outcome, AddPolicy::AlreadyThere { version: 1 });
    assert_eq!((store.policies().await.unwrap(), logged(store).await), before);
}

/// Two pairs of eyes.
pub async fn somebody_else_than_the_author_approves(store: &dyn Store) {
    let digest = added(store, "baseline", "one").await;
    let before = logged(store).await;
    assert_eq!(approve(store, &digest, "anna").await, ApprovePolicy::AuthorMayNot);
    assert_eq!(approve(store, &Digest::of(b"none"), "bert").await, ApprovePolicy::NoSuchPolicy);
    assert_eq!((state(store, &digest).await, logged(store).await), (PolicyState::Draft, before));

    assert_eq!(approve(store, &digest, "bert").await, ApprovePolicy::Approved);
    let approved = read(store, &digest).await;
    assert_eq!((approved.state, approved.approvers), (PolicyState::Approved, vec!["bert".to_owned()]));
    assert_eq!(logged(store).await, before + 1);
}

/// One that is in use is past approving.
pub async fn only_a_draft_is_approved(store: &dyn Store) {
    let digest = added(store, "baseline", "one").await;
    assert_eq!(approve(store, &digest, "bert").await, ApprovePolicy::Approved);
    let staged = PolicyState::Staged { from: second(10), until: second(20) };
    let before = logged(store).await;
    assert_eq!(approve(store, &digest, "carl").await, ApprovePolicy::NoDraft { state: PolicyState::Approved });
    assert_eq!(logged(store).await, before);
    for to in [staged, PolicyState::Retired] {
        assert!(set(store, &digest, &["approved", "staged"], to).await);
        assert_eq!(approve(store, &digest, "carl").await, ApprovePolicy::NoDraft { state: to });
    }
    assert_eq!(read(store, &digest).await.approvers, ["bert"]);
}

/// One that was taken back for another look keeps its approvals.
pub async fn a_policy_names_who_approved_it_in_order_of_time(store: &dyn Store) {
    let digest = added(store, "baseline", "one").await;
    for (at, approver) in [(10, "dora"), (20, "bert"), (30, "carl"), (40, "bert")] {
        let mut audit = entry("policy.approve", "policy");
        audit.at = second(at);
        assert_eq!(store.approve_policy(&digest, approver, &audit).await.unwrap(), ApprovePolicy::Approved);
        assert!(set(store, &digest, &["approved"], PolicyState::Draft).await);
    }
    assert_eq!(read(store, &digest).await.approvers, ["dora", "carl", "bert"]);
}

/// Whoever decides has seen one of them; a window goes with the state that has one.
pub async fn a_policy_changes_from_the_states_named(store: &dyn Store) {
    let digest = added(store, "baseline", "one").await;
    let before = logged(store).await;
    let staged = PolicyState::Staged { from: second(10), until: second(20) };
    let retiring = PolicyState::Retiring { until: second(30) };
    for (from, to, changed) in [
        (&["approved"][..], staged, false),
        (&[], PolicyState::Approved, false),
        (&["draft", "retired"], PolicyState::Approved, true),
        (&["approved"], staged, true),
        (&["approved"], PolicyState::Retired, false),
        (&["staged"], retiring, true),
        (&["retiring"], PolicyState::Retired, true),
        (&["retired"], PolicyState::Draft, true),
    ] {
        let was = state(store, &digest).await;
        assert_eq!(set(store, &digest, from, to).await, changed, "{to:?}");
        assert_eq!(state(store, &digest).await, if changed { to } else { was });
    }
    assert!(!set(store, &Digest::of(b"none"), &["draft"], PolicyState::Retired).await);
    assert_eq!(logged(store).await, before + 5);
}

/// Or the one before it would go on being active too.
pub async fn a_policy_becomes_active_by_its_activation_only(store: &dyn Store) {
    let digest = added(store, "baseline", "one").await;
    let audit = entry("policy.state", "policy");
    let error = store.set_policy_state(&digest, &["draft"], PolicyState::Active, &audit).await.unwrap_err();
    assert!(matches!(error, StoreError::Rejected { .. }), "{error}");
    assert_eq!(state(store, &digest).await, PolicyState::Draft);
}

/// What was active under its name is not afterwards, and other names are left alone.
pub async fn one_policy_of_a_name_is_active(store: &dyn Store) {
    let [one, two, three] = [
        added(store, "baseline", "one").await,
        added(store, "baseline", "two").await,
        added(store, "baseline", "three").await,
    ];
    let other = added(store, "canary", "one").await;
    let mut audit = entry("policy.activate", "policy");
    audit.at = second(40);
    let until = second(90);
    for (digest, previous) in [
        (&other, Previous::Retired),
        (&one, Previous::Retired),
        (&two, Previous::AcceptedUntil(until)),
        (&three, Previous::Retired),
    ] {
        assert!(store.activate_policy(digest, &["draft"], previous, &audit).await.unwrap());
    }
    for (digest, expected) in [
        (&one, PolicyState::Retiring { until }),
        (&two, PolicyState::Retired),
        (&three, PolicyState::Active),
        (&other, PolicyState::Active),
    ] {
        assert_eq!(state(store, digest).await, expected);
        assert_eq!(read(store, digest).await.activated_at, Some(second(40)));
    }
}

/// A way back, also out of a window.
pub async fn a_policy_that_was_active_can_be_again(store: &dyn Store) {
    let (one, two) = (added(store, "baseline", "one").await, added(store, "baseline", "two").await);
    assert!(activate(store, &one, &["draft"], Previous::Retired).await);
    assert!(activate(store, &two, &["draft"], Previous::AcceptedUntil(second(90))).await);
    let mut audit = entry("policy.activate", "policy");
    audit.at = second(60);
    let previous = Previous::AcceptedUntil(second(95));
    assert!(store.activate_policy(&one, &["retiring", "retired"], previous, &audit).await.unwrap());
    let again = read(store, &one).await;
    assert_eq!((again.state, again.activated_at), (PolicyState::Active, Some(second(60))));
    assert_eq!(state(store, &two).await, PolicyState::Retiring { until: second(95) });
}

/// What is active stays so.
pub async fn an_activation_from_another_state_changes_nothing(store: &dyn Store) {
    let (one, two) = (added(store, "baseline", "one").await, added(store, "baseline", "two").await);
    assert!(activate(store, &one, &["draft"], Previous::Retired).await);
    let before = (store.policies().await.unwrap(), logged(store).await);
    assert!(!activate(store, &two, &["approved", "staged"], Previous::Retired).await);
    assert!(!activate(store, &Digest::of(b"none"), &["draft"], Previous::Retired).await);
    assert_eq!((store.policies().await.unwrap(), logged(store).await), before);
}

/// Two operators with different ideas.
pub async fn one_of_two_activations_at_once_is_active(store: &dyn Store) {
    let (one, two) = (added(store, "baseline", "one").await, added(store, "baseline", "two").await);
    let (first, second) = join(
        activate(store, &one, &["draft"], Previous::Retired),
        activate(store, &two, &["draft"], Previous::Retired),
    )
    .await;
    assert!(first && second);
    let states = [state(store, &one).await, state(store, &two).await];
    assert!(states.contains(&PolicyState::Active) && states.contains(&PolicyState::Retired), "{states:?}");
}

fn asked(by: &str, change: PolicyChange) -> PolicyRequest {
    PolicyRequest { change, author: by.into(), reason: "OPS-7".into(), at: second(40) }
}

async fn ask(store: &dyn Store, digest: &Digest, request: &PolicyRequest) -> bool {
    store.ask_policy_change(digest, request, &entry("policy.ask", "policy")).await.unwrap()
}

async fn take(store: &dyn Store, digest: &Digest, request: &PolicyRequest) -> bool {
    store.take_policy_request(digest, request, &entry("policy.agree", "policy")).await.unwrap()
}

/// The newest question is the one that is answered, and once: what a person agrees to is what is done.
pub async fn a_change_that_was_asked_for_is_taken_once(store: &dyn Store) {
    let policy = added(store, "baseline", "one").await;
    let (rollback, retire) = (PolicyChange::Rollback, PolicyChange::Retire { after_seconds: 60 });
    let first = asked("anna", retire);
    assert!(ask(store, &policy, &first).await);
    assert_eq!(read(store, &policy).await.request.as_ref(), Some(&first));
    let second = asked("piotr", rollback);
    assert!(ask(store, &policy, &second).await);
    assert!(!take(store, &policy, &first).await, "it was asked for something else meanwhile");
    assert!(!take(store, &policy, &asked("piotr", PolicyChange::Retire { after_seconds: 0 })).await);
    assert!(take(store, &policy, &second).await);
    assert!(!take(store, &policy, &second).await);
    assert_eq!(read(store, &policy).await.request, None);
    assert!(!ask(store, &Digest::of(b"no policy"), &first).await);
}

/// What was asked for of the state before is not asked for of this one.
pub async fn a_change_of_state_ends_what_was_asked_for(store: &dyn Store) {
    let policy = added(store, "baseline", "one").await;
    assert!(ask(store, &policy, &asked("anna", PolicyChange::Rollback)).await);
    assert!(set(store, &policy, &["draft"], PolicyState::Approved).await);
    assert_eq!(read(store, &policy).await.request, None);
    assert!(ask(store, &policy, &asked("anna", PolicyChange::Rollback)).await);
    assert!(activate(store, &policy, &["approved"], Previous::Retired).await);
    assert_eq!(read(store, &policy).await.request, None);
}
