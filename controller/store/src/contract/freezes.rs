//! Times in which nothing is changed.

use flota_model::freeze::Freeze;

use super::fixtures::{entry, logged, second};
use crate::Store;

fn freeze(from: i64, until: i64) -> Freeze {
    Freeze {
        id: 0,
        selector: "venue=binance".parse().unwrap(),
        from: second(from),
        until: second(until),
        reason: "listing day".into(),
        created_by: "operator/ola".into(),
    }
}

/// They count from one.
pub async fn a_freeze_reads_back_until_it_has_ended(store: &dyn Store) {
    let before = logged(store).await;
    for (from, until, number) in [(10, 20, 1), (15, 30, 2)] {
        let audit = entry("freeze.create", "freeze");
        assert_eq!(store.add_freeze(&freeze(from, until), &audit).await.unwrap(), number);
    }
    assert_eq!(logged(store).await, before + 2);
    let (one, two) = (Freeze { id: 1, ..freeze(10, 20) }, Freeze { id: 2, ..freeze(15, 30) });
    assert_eq!(store.freezes(Some(second(19))).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.freezes(Some(second(20))).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(store.freezes(Some(second(30))).await.unwrap(), []);
    assert_eq!(store.freezes(None).await.unwrap(), [one, two]);
}

/// At the time of the entry; one that lies ahead never begins.
pub async fn a_freeze_is_ended_early_once(store: &dyn Store) {
    let audit = entry("freeze.create", "freeze");
    let running = store.add_freeze(&freeze(10, 20), &audit).await.unwrap();
    let ahead = store.add_freeze(&freeze(18, 30), &audit).await.unwrap();
    let before = logged(store).await;
    let mut audit = entry("freeze.delete", "freeze");
    audit.at = second(15);
    for (id, ended) in [(running, true), (running, false), (ahead, true), (9, false)] {
        assert_eq!(store.end_freeze(id, &audit).await.unwrap(), ended, "{id}");
    }
    assert_eq!(logged(store).await, before + 2);
    let spans: Vec<_> = store.freezes(None).await.unwrap().into_iter().map(|one| (one.from, one.until)).collect();
    assert_eq!(spans, [(second(10), second(15)), (second(15), second(15))]);
    assert_eq!(store.freezes(Some(second(15))).await.unwrap(), []);
}
