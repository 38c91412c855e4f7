//! Hosts: what they say and what is wanted of them.

use flota_model::rollout::{IntentVerb, RolloutIntent};
use flota_model::update::{DesiredState, Direction, Goal, UpdatePhase, UpdateReport};
use flota_model::{Digest, Generation, RolloutId};
use futures_util::future::join;

use super::fixtures::{enrolled, entry, host, host_id, logged, release, second, spec};
use crate::{SetDesired, Store, StoreError};

fn report(sequence: u64, phase: UpdatePhase, package: &str, detail: &str) -> UpdateReport {
    UpdateReport {
        generation: Generation::new(3),
        sequence,
        phase,
        running: Some(Digest::of(package.as_bytes())),
        version: "1.0.0".into(),
        detail: detail.into(),
    }
}

fn desired(generation: u64, package: &str) -> DesiredState {
    let release = release("2.0.0", package).target;
    DesiredState {
        generation: Generation::new(generation).unwrap(),
        goal: Goal::Install { release, intent: Direction::Forward },
        rollout: RolloutId::new(1),
    }
}

async fn with_rollout(store: &dyn Store) {
    let intent = RolloutIntent::new(IntentVerb::Run);
    assert!(store.create_rollout(&spec(1), &intent, &entry("rollout.create", "rollout/R-1")).await.unwrap());
}

/// Not by id, which nobody can read.
pub async fn hosts_are_listed_by_name(store: &dyn Store) {
    for number in [3, 1, 2] {
        enrolled(store, number).await;
    }
    let hosts = store.hosts().await.unwrap();
    let names: Vec<_> = hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["bot-01", "bot-02", "bot-03"]);
    assert_eq!(hosts[1], host(store, &host_id(2)).await);
}

/// Heartbeats are noted late and in any order; they are not logged.
pub async fn a_host_is_last_seen_at_the_latest_time(store: &dyn Store) {
    let (one, two, nobody) = (enrolled(store, 1).await, enrolled(store, 2).await, host_id(9));
    let before = logged(store).await;
    store.connected(&one, "1.4.0", second(20)).await.unwrap();
    store.connected(&nobody, "1.4.0", second(20)).await.unwrap();
    let heard = [(one.clone(), second(10)), (two.clone(), second(12)), (two.clone(), second(11)), (nobody, second(9))];
    store.seen(&heard).await.unwrap();
    store.seen(&[]).await.unwrap();

    let (one, two) = (host(store, &one).await, host(store, &two).await);
    assert_eq!((one.last_seen, one.agent_version.as_str()), (Some(second(20)), "1.4.0"));
    assert_eq!((two.last_seen, two.agent_version.as_str()), (Some(second(12)), ""));
    assert_eq!(logged(store).await, before);
    assert_eq!(store.hosts().await.unwrap().len(), 2);
}

/// A host sends again what it got no answer for, and answers may overtake each other.
pub async fn a_report_is_stored_once(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let audit = entry("host.report", "host");
    let newest = report(5, UpdatePhase::Staged, "one", "");
    for (report, stored) in [
        (report(4, UpdatePhase::Downloading, "one", ""), true),
        (newest.clone(), true),
        (newest.clone(), false),
        (report(4, UpdatePhase::Downloading, "one", ""), false),
    ] {
        assert_eq!(store.report(&id, &report, &audit).await.unwrap(), stored);
    }
    assert_eq!(host(store, &id).await.observed, Some(newest));

    let bare = UpdateReport { generation: None, running: None, ..report(6, UpdatePhase::SafeHold, "", "stopped") };
    assert!(store.report(&id, &bare, &audit).await.unwrap());
    assert_eq!(host(store, &id).await.observed, Some(bare));
}

/// Phase and package are events; a sentence that changes is not.
pub async fn a_report_is_logged_when_something_changed(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = logged(store).await;
    for (report, entries) in [
        (report(1, UpdatePhase::Downloading, "one", "10 %"), 1),
        (report(2, UpdatePhase::Downloading, "one", "20 %"), 1),
        (report(3, UpdatePhase::Staged, "one", ""), 2),
        (report(4, UpdatePhase::Staged, "two", ""), 3),
        (report(4, UpdatePhase::Committed, "two", ""), 3),
    ] {
        store.report(&id, &report, &entry("host.report", "host")).await.unwrap();
        assert_eq!(logged(store).await, before + entries, "{report:?}");
    }
}

/// There is no host to keep it with.
pub async fn a_report_of_nobody_is_not_stored(store: &dyn Store) {
    let report = report(1, UpdatePhase::Committed, "one", "");
    assert!(!store.report(&host_id(9), &report, &entry("host.report", "host")).await.unwrap());
    assert_eq!(logged(store).await, 0);
}

/// The number is the host's; both databases count to 2^63 - 1.
pub async fn a_report_that_counts_too_far_is_rejected(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = (host(store, &id).await, logged(store).await);
    let report = report(u64::MAX, UpdatePhase::Committed, "one", "");
    let error = store.report(&id, &report, &entry("host.report", "host")).await.unwrap_err();
    assert!(matches!(error, StoreError::Rejected { .. }), "{error}");
    assert_eq!((host(store, &id).await, logged(store).await), before);
}

/// The host refuses an older generation, and the same one with another goal; so does the store.
pub async fn generations_only_grow(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    with_rollout(store).await;
    let before = logged(store).await;
    let audit = entry("host.desire", "host");
    let newest = Generation::new(3).unwrap();
    for (wanted, expected) in [
        (desired(2, "two"), SetDesired::Done),
        (desired(2, "two"), SetDesired::AlreadyThere),
        (desired(3, "two"), SetDesired::Done),
        (desired(3, "three"), SetDesired::Superseded { newest }),
        (desired(2, "two"), SetDesired::Superseded { newest }),
    ] {
        assert_eq!(store.set_desired(&id, &wanted, &audit).await.unwrap(), expected, "{wanted:?}");
    }
    assert_eq!(host(store, &id).await.desired, Some(desired(3, "two")));
    assert_eq!(logged(store).await, before + 2);

    let stay = DesiredState { goal: Goal::Stay, ..desired(4, "") };
    assert_eq!(store.set_desired(&id, &stay, &audit).await.unwrap(), SetDesired::Done);
    assert_eq!(host(store, &id).await.desired, Some(stay.clone()));
    assert_eq!(store.set_desired(&host_id(9), &stay, &audit).await.unwrap(), SetDesired::NoSuchHost);
}

/// Two planners with the same idea of what is newest.
pub async fn one_of_two_desired_states_at_once_wins(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    with_rollout(store).await;
    let audit = entry("host.desire", "host");
    let (two, three) = (desired(1, "two"), desired(1, "three"));
    let (first, second) = join(store.set_desired(&id, &two, &audit), store.set_desired(&id, &three, &audit)).await;
    let outcomes = [first.unwrap(), second.unwrap()];
    assert!(outcomes.contains(&SetDesired::Done), "{outcomes:?}");
    assert!(outcomes.contains(&SetDesired::Superseded { newest: Generation::FIRST }), "{outcomes:?}");
    let kept = host(store, &id).await.desired.unwrap();
    assert_eq!(kept, if outcomes[0] == SetDesired::Done { two } else { three });
}

/// The keys stay.
pub async fn a_renewed_certificate_is_noted(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let (keys, _) = store.host_keys(&id).await.unwrap().unwrap();
    let before = logged(store).await;
    let audit = entry("host.certificate", "host");
    store.certificate_renewed(&id, second(5_000), &audit).await.unwrap();
    store.certificate_renewed(&host_id(9), second(5_000), &audit).await.unwrap();
    assert_eq!(store.host_keys(&id).await.unwrap(), Some((keys, second(5_000))));
    assert_eq!(store.host_keys(&host_id(9)).await.unwrap(), None);
    assert_eq!(logged(store).await, before + 1);
}
