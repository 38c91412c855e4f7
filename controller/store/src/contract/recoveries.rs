//! Recoveries of hosts.

use flota_model::recovery::{Recovery, RecoveryEnd, RecoveryHealth};

use super::fixtures::{entry, logged, release, second};
use crate::{RecoveryRecord, Store};

fn recovery(host: &str) -> Recovery {
    Recovery {
        host: host.parse().unwrap(),
        onto: host.parse().unwrap(),
        release: release("4.12.0", "package").target,
        release_from: "a quote confirmed it".into(),
        health: RecoveryHealth::Asked,
        begun_by: "ola".into(),
        begun_at: second(1),
        reason: "the disk is gone".into(),
        ticket: "OPS-1".into(),
        rollout: None,
        check: None,
        challenged_at: None,
        steps: Recovery::steps_ahead(second(1)),
        ended: None,
    }
}

/// They count from one, and the newest of a host is found by its name.
pub async fn a_recovery_of_a_host_is_open_once(store: &dyn Store) {
    let before = logged(store).await;
    let begin = entry("recovery.begin", "recovery");
    assert_eq!(store.begin_recovery(&recovery("a"), &begin).await.unwrap(), Some(1));
    assert_eq!(store.begin_recovery(&recovery("a"), &begin).await.unwrap(), None, "it goes on");
    assert_eq!(store.begin_recovery(&recovery("b"), &begin).await.unwrap(), Some(2));
    assert_eq!(logged(store).await, before + 2);
    let one = RecoveryRecord { id: 1, revision: 1, recovery: recovery("a") };
    let two = RecoveryRecord { id: 2, revision: 1, recovery: recovery("b") };
    assert_eq!(store.open_recoveries().await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.newest_recovery(&"a".parse().unwrap()).await.unwrap(), Some(one.clone()));
    assert_eq!(store.newest_recovery(&"c".parse().unwrap()).await.unwrap(), None);
    assert_eq!(store.recoveries(1).await.unwrap(), [two]);
    let ended = Recovery { ended: Some((RecoveryEnd::Recovered, second(9))), ..recovery("a") };
    assert!(store.save_recovery(&RecoveryRecord { recovery: ended, ..one }, Some(&begin)).await.unwrap());
    assert_eq!(store.begin_recovery(&recovery("a"), &begin).await.unwrap(), Some(3), "the one before it has ended");
}

/// Whoever read an older one changes nothing, and what has ended stays as it is.
pub async fn a_recovery_is_changed_by_whoever_read_it(store: &dyn Store) {
    store.begin_recovery(&recovery("a"), &entry("recovery.begin", "recovery")).await.unwrap();
    let before = logged(store).await;
    let [read] = store.open_recoveries().await.unwrap().try_into().unwrap();
    let changed = |reason: &str| RecoveryRecord {
        recovery: Recovery { reason: reason.into(), ..read.recovery.clone() },
        ..read.clone()
    };
    assert!(store.save_recovery(&changed("one"), None).await.unwrap());
    assert!(!store.save_recovery(&changed("two"), Some(&entry("recovery.step", "recovery/1"))).await.unwrap());
    assert_eq!(logged(store).await, before, "only what happened is logged");
    let [mut newest] = store.open_recoveries().await.unwrap().try_into().unwrap();
    assert_eq!((newest.revision, newest.recovery.reason.as_str()), (2, "one"));
    newest.recovery.ended = Some((RecoveryEnd::Aborted("ola: found another way".into()), second(9)));
    assert!(store.save_recovery(&newest, Some(&entry("recovery.abort", "recovery/1"))).await.unwrap());
    let ended = RecoveryRecord { revision: 3, ..newest };
    assert!(!store.save_recovery(&ended, None).await.unwrap(), "it has ended");
    assert_eq!(store.open_recoveries().await.unwrap(), []);
}
