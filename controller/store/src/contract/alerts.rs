//! Alerts, whom they are told, and silences.

use flota_model::alert::{Alert, AlertKey, AlertState, Finding, Severity, Silence};

use super::fixtures::{entry, logged, second};
use crate::{AlertChange, AlertRecord, Notice, Store, Tell, Told};

const PAUSE: i64 = 300_000_000;

fn alert(host: &str, state: AlertState) -> Alert {
    let ended_at = (state == AlertState::Ended).then(|| second(50));
    Alert {
        key: AlertKey { rule: "FlotaHostSilent".into(), subject: [("host".to_owned(), host.to_owned())].into() },
        finding: Finding {
            severity: Severity::Warning,
            summary: format!("nothing is heard of {host}"),
            description: "Its bot may trade on.".into(),
            command: format!("flota host show {host}"),
            hosts: vec![host.parse().unwrap()],
            host_count: 1,
        },
        state,
        flapping: false,
        since: second(10),
        fired_at: None,
        gone_since: None,
        ended_at,
        edges: vec![second(10)],
    }
}

fn tell(at: i64) -> Tell {
    Tell { receivers: vec!["desk".into(), "oncall".into()], from: second(at), pause_micros: PAUSE }
}

fn new(alert: Alert) -> AlertChange {
    AlertChange { before: None, after: Some(alert), told: None }
}

fn fired(host: &str) -> AlertChange {
    AlertChange { told: Some(entry("alert.fire", "alert")), ..new(alert(host, AlertState::Firing)) }
}

async fn all(store: &dyn Store) -> Vec<AlertRecord> {
    store.alerts(second(0)).await.unwrap()
}

async fn notice(store: &dyn Store, receiver: &str) -> Notice {
    store.notices().await.unwrap().into_iter().find(|notice| notice.receiver == receiver).unwrap()
}

/// By number, with what ended since.
pub async fn an_alert_reads_back_as_it_was_written(store: &dyn Store) {
    let (one, two) = (alert("a", AlertState::Pending), alert("b", AlertState::Ended));
    let saved = store.save_alerts(&[new(one.clone()), new(two.clone())], &tell(0)).await.unwrap();
    assert_eq!(saved, [true, true]);
    let (one, two) = (AlertRecord { id: 1, revision: 1, alert: one }, AlertRecord { id: 2, revision: 1, alert: two });
    assert_eq!(store.alerts(second(50)).await.unwrap(), [one.clone(), two]);
    assert_eq!(store.alerts(second(51)).await.unwrap(), [one]);
    assert_eq!(store.forget_alerts(second(50)).await.unwrap(), 0);
    assert_eq!(store.forget_alerts(second(51)).await.unwrap(), 1);
    assert_eq!(all(store).await.len(), 1);
}

/// Whoever read an older one changes nothing; a second alert of the same key is not entered while one is open.
pub async fn an_alert_is_changed_by_whoever_read_it(store: &dyn Store) {
    let change = |before, state: Option<AlertState>| AlertChange {
        before,
        after: state.map(|state| alert("a", state)),
        told: None,
    };
    let first = [change(None, Some(AlertState::Pending)), change(None, Some(AlertState::Pending))];
    assert_eq!(store.save_alerts(&first, &tell(0)).await.unwrap(), [true, false]);
    let race = [change(Some((1, 1)), Some(AlertState::Firing)), change(Some((1, 1)), Some(AlertState::Ended))];
    assert_eq!(store.save_alerts(&race, &tell(0)).await.unwrap(), [true, false]);
    assert_eq!((all(store).await[0].revision, all(store).await[0].alert.state), (2, AlertState::Firing));
    let stale = [change(Some((1, 1)), None)];
    assert_eq!(store.save_alerts(&stale, &tell(0)).await.unwrap(), [false]);
    assert_eq!(store.save_alerts(&[change(Some((1, 2)), Some(AlertState::Ended))], &tell(0)).await.unwrap(), [true]);
    assert_eq!(
        store.save_alerts(&[change(None, Some(AlertState::Pending))], &tell(0)).await.unwrap(),
        [true],
        "the one before it has ended"
    );
    assert_eq!(store.save_alerts(&[change(Some((2, 1)), None)], &tell(0)).await.unwrap(), [true]);
    assert_eq!(all(store).await.len(), 1);
}

/// Only what is told is logged, and gives each receiver one notice, however much changed.
pub async fn what_is_told_is_logged_and_noticed(store: &dyn Store) {
    let before = logged(store).await;
    store.save_alerts(&[fired("a"), fired("b"), new(alert("c", AlertState::Pending))], &tell(20)).await.unwrap();
    assert_eq!(logged(store).await, before + 2);
    let notices = store.notices().await.unwrap();
    let seen: Vec<_> =
        notices.iter().map(|notice| (notice.receiver.as_str(), notice.revision, notice.due_at)).collect();
    assert_eq!(seen, [("desk", 2, Some(second(20))), ("oncall", 2, Some(second(20)))]);
    assert_eq!(store.save_alerts(&[fired("a")], &tell(20)).await.unwrap(), [false]);
    assert_eq!(logged(store).await, before + 2, "what another controller did first is not told twice");
}

/// A claim keeps it from others for a while; what failed is due again.
pub async fn a_notice_is_claimed_by_one(store: &dyn Store) {
    store.save_alerts(&[fired("a")], &tell(20)).await.unwrap();
    assert_eq!(store.claim_notices(second(19), second(50)).await.unwrap(), []);
    let claimed = store.claim_notices(second(20), second(50)).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert_eq!(store.claim_notices(second(20), second(50)).await.unwrap(), []);
    let desk = claimed.iter().find(|notice| notice.receiver == "desk").unwrap();
    let failed = Told::Failed { next: Some(second(30)), why: "it answered 503".into() };
    store.note_told(desk, &failed).await.unwrap();
    let [again] = store.claim_notices(second(31), second(60)).await.unwrap().try_into().unwrap();
    assert_eq!((again.attempts, again.failure.as_deref()), (1, Some("it answered 503")));
    store.note_told(&again, &Told::Failed { next: None, why: "given up".into() }).await.unwrap();
    assert_eq!(notice(store, "desk").await.due_at, None);
    assert_eq!(store.claim_notices(second(50), second(60)).await.unwrap().len(), 1, "the other claim has run out");
}

/// Nobody is told twice in a moment, and nothing is missed that changed while somebody was being told.
pub async fn what_changed_meanwhile_is_told_after_a_pause(store: &dyn Store) {
    store.save_alerts(&[fired("a")], &tell(20)).await.unwrap();
    let claimed = store.claim_notices(second(20), second(50)).await.unwrap();
    store.save_alerts(&[fired("b")], &tell(21)).await.unwrap();
    for notice in &claimed {
        store.note_told(notice, &Told::Done { at: second(22), pause_micros: PAUSE, again: None }).await.unwrap();
    }
    let desk = notice(store, "desk").await;
    assert_eq!((desk.told_at, desk.due_at), (Some(second(22)), Some(second(322))));
    for notice in store.claim_notices(second(322), second(350)).await.unwrap() {
        store.note_told(&notice, &Told::Done { at: second(323), pause_micros: PAUSE, again: None }).await.unwrap();
    }
    assert_eq!(notice(store, "desk").await.due_at, None);
    store.save_alerts(&[fired("c")], &tell(400)).await.unwrap();
    assert_eq!(notice(store, "desk").await.due_at, Some(second(623)));
    store.save_alerts(&[fired("d")], &tell(900)).await.unwrap();
    assert_eq!(notice(store, "desk").await.due_at, Some(second(623)), "what waits already waits no longer for that");
}

/// One that was given up because the settings named it no more is told again when they do.
pub async fn a_receiver_that_comes_back_is_introduced_again(store: &dyn Store) {
    store.introduce("FlotaHostSilent", &tell(5)).await.unwrap();
    for notice in store.claim_notices(second(5), second(6)).await.unwrap() {
        store.note_told(&notice, &Told::Failed { next: None, why: "no such receiver".into() }).await.unwrap();
    }
    assert_eq!(store.claim_notices(second(100), second(101)).await.unwrap(), []);
    store.introduce("FlotaHostSilent", &tell(100)).await.unwrap();
    assert_eq!(store.claim_notices(second(100), second(101)).await.unwrap().len(), 2);
}

/// A receiver that is new learns what is there.
pub async fn a_new_receiver_is_introduced_once(store: &dyn Store) {
    store.introduce("FlotaHostSilent", &tell(5)).await.unwrap();
    let [desk, oncall] = store.claim_notices(second(5), second(6)).await.unwrap().try_into().unwrap();
    for notice in [desk, oncall] {
        store.note_told(&notice, &Told::Done { at: second(5), pause_micros: PAUSE, again: None }).await.unwrap();
    }
    store.introduce("FlotaHostSilent", &tell(7)).await.unwrap();
    assert_eq!(store.claim_notices(second(100), second(101)).await.unwrap(), []);
    let again = Told::Done { at: second(100), pause_micros: PAUSE, again: Some(second(160)) };
    store.note_told(&notice(store, "desk").await, &again).await.unwrap();
    assert_eq!(notice(store, "desk").await.due_at, Some(second(160)), "some are told again and again");
}

fn silence(from: i64, until: i64) -> Silence {
    Silence {
        id: 0,
        selector: "venue=binance".parse().unwrap(),
        rule: Some("FlotaHostSilent".into()),
        from: second(from),
        until: second(until),
        reason: "new disks".into(),
        created_by: "ola".into(),
    }
}

/// They count from one.
pub async fn a_silence_reads_back_until_it_has_ended(store: &dyn Store) {
    let before = logged(store).await;
    for (from, until, number) in [(10, 20, 1), (15, 30, 2)] {
        let audit = entry("silence.create", "silence");
        assert_eq!(store.add_silence(&silence(from, until), &audit).await.unwrap(), number);
    }
    let mut audit = entry("silence.end", "silence");
    audit.at = second(18);
    for (id, ended) in [(1, true), (1, false), (9, false)] {
        assert_eq!(store.end_silence(id, &audit).await.unwrap(), ended, "{id}");
    }
    assert_eq!(logged(store).await, before + 3);
    let (one, two) = (Silence { id: 1, ..silence(10, 18) }, Silence { id: 2, ..silence(15, 30) });
    assert_eq!(store.silences(Some(second(19))).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(store.silences(None).await.unwrap(), [one, two]);
}
