//! Tasks and health reports.

use flota_model::task::{HostHealth, Task, TaskKind, TaskState};
use futures_util::future::join;

use super::fixtures::{enrolled, entry, host_id, logged, second, task, task_id};
use crate::{EndedCheck, FinishedTask, Store, StoreError, TaskResultOutcome};

fn finished(state: TaskState, detail: &str) -> FinishedTask {
    FinishedTask { state, detail: detail.into(), export: None, found: None, health: None, at: second(30) }
}

async fn added(store: &dyn Store, tasks: &[Task]) {
    let audit: Vec<_> = tasks.iter().map(|task| entry("task.create", task.id.as_str())).collect();
    store.add_tasks(tasks, &audit).await.unwrap();
}

async fn one(store: &dyn Store, number: u64) -> Task {
    store.tasks(&[task_id(number)]).await.unwrap().remove(0)
}

/// The way of all tasks that go well.
pub async fn a_task_goes_from_waiting_to_done(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    let made = task(2, 1);
    added(store, &[made.clone(), task(1, 1)]).await;
    let open: Vec<_> = store.open_tasks(&host).await.unwrap().into_iter().map(|task| task.id).collect();
    assert_eq!(open, [task_id(1), task_id(2)], "oldest first");
    assert_eq!(one(store, 2).await, made);

    store.task_offered(&made.id).await.unwrap();
    assert_eq!(one(store, 2).await, Task { state: TaskState::Offered, ..made.clone() });
    let result = finished(TaskState::Done, "exported");
    let outcome = store.finish_task(&host, &made.id, &result, &entry("task.finish", "task")).await.unwrap();
    assert_eq!(outcome, TaskResultOutcome::Stored);
    let done = Task { state: TaskState::Done, detail: "exported".into(), finished_at: Some(second(30)), ..made };
    assert_eq!(one(store, 2).await, done);
    assert_eq!(store.open_tasks(&host).await.unwrap().len(), 1);
}

/// Whatever a host sends later.
pub async fn a_task_ends_once(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    added(store, &[task(1, 1)]).await;
    let audit = entry("task.finish", "task");
    let done = finished(TaskState::Done, "exported");
    assert_eq!(store.finish_task(&host, &task_id(1), &done, &audit).await.unwrap(), TaskResultOutcome::Stored);
    let (before, logged_before) = (one(store, 1).await, logged(store).await);

    let failed = finished(TaskState::Failed, "no disk");
    let outcome = store.finish_task(&host, &task_id(1), &failed, &audit).await.unwrap();
    assert_eq!(outcome, TaskResultOutcome::AlreadyFinished(Box::new(before.clone())));
    store.task_offered(&task_id(1)).await.unwrap();
    assert_eq!((one(store, 1).await, logged(store).await), (before, logged_before));
}

/// The host sent its result on two connections.
pub async fn one_of_two_results_at_once_is_stored(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    added(store, &[task(1, 1)]).await;
    let (id, audit) = (task_id(1), entry("task.finish", "task"));
    let (done, failed) = (finished(TaskState::Done, "exported"), finished(TaskState::Failed, "no disk"));
    let (first, second) =
        join(store.finish_task(&host, &id, &done, &audit), store.finish_task(&host, &id, &failed, &audit)).await;
    let outcomes = [first.unwrap(), second.unwrap()];
    let stored = outcomes.iter().filter(|outcome| **outcome == TaskResultOutcome::Stored).count();
    assert_eq!(stored, 1, "{outcomes:?}");
    assert!(outcomes.contains(&TaskResultOutcome::AlreadyFinished(Box::new(one(store, 1).await))), "{outcomes:?}");
}

/// A host can end nothing but its own.
pub async fn a_task_of_another_host_cannot_be_ended(store: &dyn Store) {
    enrolled(store, 1).await;
    let other = enrolled(store, 2).await;
    added(store, &[task(1, 1)]).await;
    let (audit, result) = (entry("task.finish", "task"), finished(TaskState::Done, ""));
    for id in [task_id(1), task_id(9)] {
        let outcome = store.finish_task(&other, &id, &result, &audit).await.unwrap();
        assert_eq!(outcome, TaskResultOutcome::NoSuchTask);
    }
    assert_eq!(one(store, 1).await, task(1, 1));
}

/// A fleet-wide request must not reach half of the fleet.
pub async fn tasks_are_added_all_or_none(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    let before = logged(store).await;
    let audit = entry("task.create", "task");
    let error = store.add_tasks(&[task(1, 1), task(2, 9)], &[audit.clone(), audit]).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Rejected { .. }),
        "there is no host 9, and trying again does not help: {error}"
    );
    assert_eq!(store.open_tasks(&host).await.unwrap(), []);
    assert_eq!(logged(store).await, before);
}

/// Unknown ones are left out.
pub async fn tasks_are_read_in_the_order_asked_for(store: &dyn Store) {
    enrolled(store, 1).await;
    let health = Task { kind: TaskKind::Health { checks: vec!["clock".into()] }, ..task(3, 1) };
    added(store, &[task(1, 1), task(2, 1), health.clone()]).await;
    let read = store.tasks(&[task_id(3), task_id(9), task_id(1)]).await.unwrap();
    assert_eq!(read, [health, task(1, 1)]);
    assert_eq!(store.tasks(&[]).await.unwrap(), []);
}

/// Each expiry is an entry of its own; a result that comes later changes nothing.
pub async fn a_task_expires_at_its_deadline(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    let later = Task { deadline: second(61), ..task(3, 1) };
    added(store, &[task(1, 1), task(2, 1), later]).await;
    store.task_offered(&task_id(2)).await.unwrap();
    let before = logged(store).await;
    for (now, expired) in [(59, 0), (60, 2), (60, 0)] {
        assert_eq!(store.expire_tasks(second(now)).await.unwrap(), expired);
    }
    assert_eq!(logged(store).await, before + 2);
    let object = format!("task/{}", task_id(1));
    let entries = store.audit(Some(&object), Some("task.expire"), 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].entry.at), (1, second(60)));

    let expired = one(store, 1).await;
    assert_eq!((expired.state, expired.finished_at), (TaskState::Expired, Some(second(60))));
    assert!(!expired.detail.is_empty());
    let late = finished(TaskState::Done, "");
    let outcome = store.finish_task(&host, &task_id(1), &late, &entry("task.finish", "task")).await.unwrap();
    assert_eq!(outcome, TaskResultOutcome::AlreadyFinished(Box::new(expired)));
    assert_eq!(store.open_tasks(&host).await.unwrap().len(), 1);
}

/// Results of slow checks may come after those of quick ones.
pub async fn the_newest_health_report_of_a_host_is_kept(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    enrolled(store, 2).await;
    added(store, &[task(1, 1), task(2, 1)]).await;
    let report = |overall: &str, at| HostHealth {
        host: host_id(1),
        overall: overall.into(),
        at: second(at),
        report_json: format!(r#"{{"overall":"{overall}"}}"#),
    };
    for (number, health) in [(1, report("degraded", 40)), (2, report("healthy", 35))] {
        let result =
            FinishedTask { found: Some(health.overall.clone()), health: Some(health), ..finished(TaskState::Done, "") };
        store.finish_task(&host, &task_id(number), &result, &entry("task.finish", "task")).await.unwrap();
    }
    assert_eq!(store.health(None).await.unwrap(), [report("degraded", 40)]);
    assert_eq!(store.health(Some(second(40))).await.unwrap(), [report("degraded", 40)]);
    assert_eq!(store.health(Some(second(41))).await.unwrap(), []);
    assert_eq!(one(store, 2).await.health.as_deref(), Some("healthy"));
}

/// What the check that was asked for last came to counts, not what came last; a check of a part answers no question about
/// the whole.
pub async fn the_health_check_that_was_asked_for_last_counts(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    let check = |number, at| {
        let kind = TaskKind::Health { checks: Vec::new() };
        Task { kind, created_at: second(at), ..task(number, 1) }
    };
    let part = Task { kind: TaskKind::Health { checks: vec!["time".into()] }, created_at: second(25), ..task(4, 1) };
    added(store, &[check(1, 20), check(2, 22), task(3, 1), part]).await;
    assert_eq!(store.newest_checks().await.unwrap(), []);
    let end = async |number: u64, state, at, detail: &str| {
        let report = HostHealth {
            host: host_id(1),
            overall: "degraded".into(),
            at: second(at),
            report_json: r#"{"overall":"degraded"}"#.into(),
        };
        let health = (state == TaskState::Done).then_some(report);
        let result = FinishedTask {
            at: second(at),
            found: health.as_ref().map(|health| health.overall.clone()),
            health,
            ..finished(state, detail)
        };
        store.finish_task(&host, &task_id(number), &result, &entry("task.finish", "task")).await.unwrap();
    };
    let ended = |at, outcome| [EndedCheck { host: host_id(1), asked_at: second(at), outcome }];
    end(1, TaskState::Failed, 31, "no exchange is set up").await;
    end(3, TaskState::Failed, 33, "no space for an export").await;
    end(4, TaskState::Done, 33, "").await;
    assert_eq!(store.newest_checks().await.unwrap(), ended(20, Err("no exchange is set up".to_owned())));
    end(2, TaskState::Done, 34, "").await;
    assert_eq!(store.newest_checks().await.unwrap(), ended(22, Ok("degraded".to_owned())));
}
