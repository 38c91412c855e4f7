//! What people of the security role must look at.

use flota_model::HostId;
use flota_model::host::VerdictKind;
use futures_util::future::join;

use super::fixtures::{enrolled, entry, host_id, host_name, judged, logged, second, verdict};
use crate::{Delivery, EscalationRecord, NewEscalation, Resolution, Store, VerdictRecord, Which};

fn new(kind: &str, summary: &str) -> NewEscalation {
    NewEscalation { kind: kind.into(), summary: summary.into() }
}

/// At that second.
async fn opened(store: &dyn Store, host: &HostId, kind: &str, at: i64) -> bool {
    let mut audit = entry("escalation.open", "host");
    audit.at = second(at);
    store.escalate(host, &new(kind, "look at it"), &audit).await.unwrap()
}

async fn listed(store: &dyn Store, which: Which) -> Vec<EscalationRecord> {
    store.escalations(which, 100).await.unwrap()
}

fn resolution(at: i64) -> Resolution {
    Resolution { at: second(at), by: "sec".into(), text: "the board was replaced".into() }
}

async fn resolve(store: &dyn Store, id: &str, at: i64) -> bool {
    store.resolve(id, &resolution(at), &entry("escalation.resolve", "host")).await.unwrap()
}

/// With the host's name, which people know.
pub async fn an_escalation_reads_back_open_and_to_be_delivered(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    let before = logged(store).await;
    assert!(opened(store, &host, "quarantined", 7).await);
    assert_eq!(logged(store).await, before + 1);
    let found = listed(store, Which::Open).await.remove(0);
    let expected = EscalationRecord {
        id: found.id.clone(),
        kind: "quarantined".into(),
        host,
        host_name: host_name(1),
        summary: "look at it".into(),
        opened_at: second(7),
        resolved: None,
        delivery: Delivery::Waiting { attempts: 0, next: second(7) },
    };
    assert_eq!(found, expected);
    assert_eq!(store.undelivered(second(7), 10).await.unwrap(), [expected]);
}

/// A host that fails every few minutes is one thing to look at; another kind or host is another.
pub async fn one_escalation_of_a_host_and_kind_is_open(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    assert!(opened(store, &one, "untrusted", 5).await);
    let before = logged(store).await;
    assert!(!opened(store, &one, "untrusted", 6).await);
    assert!(!opened(store, &host_id(9), "untrusted", 6).await);
    assert_eq!(logged(store).await, before);
    assert!(opened(store, &one, "oem_licence", 6).await);
    assert!(opened(store, &two, "untrusted", 6).await);
    assert_eq!(listed(store, Which::Open).await.len(), 3);

    let first = listed(store, Which::Open).await.into_iter().find(|found| found.opened_at == second(5)).unwrap();
    assert!(resolve(store, &first.id, 8).await);
    assert!(opened(store, &one, "untrusted", 9).await);
    assert_eq!((listed(store, Which::Open).await.len(), listed(store, Which::All).await.len()), (3, 4));
}

/// A verdict and an operator find the same thing.
pub async fn one_of_two_escalations_at_once_is_opened(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    let (first, second) = join(opened(store, &host, "untrusted", 5), opened(store, &host, "untrusted", 6)).await;
    assert!(first ^ second);
    assert_eq!(listed(store, Which::All).await.len(), 1);
}

/// In its transaction; what is open already is left as it is, and a host that is gone has none.
pub async fn a_verdict_opens_its_escalations(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    assert!(opened(store, &host, "oem_evidence", 5).await);
    let kept = listed(store, Which::Open).await;
    let escalations = vec![new("oem_evidence", "missing again"), new("untrusted", "not genuine")];
    judged(store, VerdictRecord { escalations: escalations.clone(), ..verdict(&host, 9, VerdictKind::Fail) }).await;
    judged(store, VerdictRecord { escalations, ..verdict(&host_id(9), 9, VerdictKind::Fail) }).await;

    let open = listed(store, Which::Open).await;
    assert_eq!((open.len(), &open[1]), (2, &kept[0]));
    assert_eq!(
        (open[0].kind.as_str(), open[0].summary.as_str(), open[0].opened_at),
        ("untrusted", "not genuine", second(9))
    );
    assert_eq!(open[0].delivery, Delivery::Waiting { attempts: 0, next: second(9) });
}

/// No more than asked for; those that are resolved are history.
pub async fn escalations_are_listed_newest_first(store: &dyn Store) {
    for (number, at) in [(1, 5), (2, 9), (3, 7)] {
        let host = enrolled(store, number).await;
        assert!(opened(store, &host, "untrusted", at).await);
    }
    let times = |found: Vec<EscalationRecord>| found.into_iter().map(|found| found.opened_at).collect::<Vec<_>>();
    let newest = listed(store, Which::Open).await.remove(0);
    assert!(resolve(store, &newest.id, 10).await);
    assert_eq!(times(listed(store, Which::Open).await), [second(7), second(5)]);
    assert_eq!(times(listed(store, Which::All).await), [second(9), second(7), second(5)]);
    assert_eq!(times(store.escalations(Which::All, 2).await.unwrap()), [second(9), second(7)]);
    assert_eq!(times(store.escalations(Which::Open, 1).await.unwrap()), [second(7)]);
}

/// One person ends it, and it says who.
pub async fn an_escalation_is_resolved_once(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    assert!(opened(store, &host, "untrusted", 5).await);
    let id = listed(store, Which::Open).await.remove(0).id;
    let before = logged(store).await;
    assert!(resolve(store, &id, 8).await);
    assert!(!resolve(store, &id, 9).await);
    assert!(!resolve(store, "no such escalation", 9).await);
    assert_eq!(logged(store).await, before + 1);
    assert!(listed(store, Which::Open).await.is_empty());
    assert_eq!(listed(store, Which::All).await[0].resolved, Some(resolution(8)));
}

/// Each reads back, and of one that is not there nothing is noted; the log is not for that.
pub async fn a_delivery_is_noted(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    assert!(opened(store, &host, "untrusted", 5).await);
    let id = listed(store, Which::Open).await.remove(0).id;
    let before = logged(store).await;
    for delivery in [
        Delivery::Waiting { attempts: 3, next: second(40) },
        Delivery::Failed { why: "no webhook is configured".into() },
        Delivery::Waiting { attempts: 0, next: second(50) },
        Delivery::Delivered { at: second(51) },
    ] {
        store.note_delivery(&id, &delivery).await.unwrap();
        store.note_delivery("no such escalation", &delivery).await.unwrap();
        assert_eq!(listed(store, Which::All).await[0].delivery, delivery);
    }
    assert_eq!((logged(store).await, listed(store, Which::All).await.len()), (before, 1));
}

/// Oldest first; a delivery that was taken or given up is due no more, one that is resolved still tells its story.
pub async fn what_is_to_be_delivered_is_due_at_its_time(store: &dyn Store) {
    for (number, at) in [(1, 5), (2, 6), (3, 7), (4, 8), (5, 20)] {
        let host = enrolled(store, number).await;
        assert!(opened(store, &host, "untrusted", at).await);
    }
    let mut all = listed(store, Which::All).await;
    all.reverse();
    for (escalation, delivery) in [
        (&all[0], Delivery::Waiting { attempts: 1, next: second(30) }),
        (&all[1], Delivery::Delivered { at: second(9) }),
        (&all[2], Delivery::Failed { why: "refused".into() }),
    ] {
        store.note_delivery(&escalation.id, &delivery).await.unwrap();
    }
    assert!(resolve(store, &all[3].id, 9).await);
    for (now, limit, expected) in
        [(7, 10, &[][..]), (8, 10, &[8]), (29, 10, &[8, 20]), (30, 10, &[5, 8, 20]), (30, 2, &[5, 8])]
    {
        let due = store.undelivered(second(now), limit).await.unwrap();
        let times: Vec<_> = due.iter().map(|found| found.opened_at).collect();
        assert_eq!(times, expected.iter().map(|at| second(*at)).collect::<Vec<_>>(), "at {now}");
    }
}
