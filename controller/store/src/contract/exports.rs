//! The archive of exports.

use flota_model::task::{Export, TaskState};
use flota_model::{ExportId, HostId};

use super::fixtures::{enrolled, entry, export, export_id, logged, second, task, task_id};
use crate::{ExportHold, ExportsOf, FinishedTask, Holds, Removed, Store, TaskResultOutcome};

fn finished(export: Export) -> FinishedTask {
    let (detail, at) = (String::new(), second(30));
    FinishedTask { state: TaskState::Done, detail, export: Some(export), found: None, health: None, at }
}

/// In the transaction that ends the task: neither is there without the other.
pub async fn a_task_brings_its_export(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    store.add_tasks(&[task(1, 1)], &[]).await.unwrap();
    let made = export(5, 1, "bundle");
    let audit = entry("task.finish", "task");
    let outcome = store.finish_task(&host, &task_id(1), &finished(made.clone()), &audit).await.unwrap();
    assert_eq!(outcome, TaskResultOutcome::Stored);
    assert_eq!(store.exports(ExportsOf::host(&host), 10).await.unwrap(), [made]);
    assert_eq!(store.tasks(&[task_id(1)]).await.unwrap()[0].export, Some(export_id(5)));
}

/// A task whose bundle is in the archive already names the export that is there.
pub async fn the_same_blob_is_the_same_export(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    assert!(store.add_export(&export(5, 1, "bundle"), &entry("export.store", "export")).await.unwrap());
    store.add_tasks(&[task(1, 1)], &[]).await.unwrap();
    let again = finished(export(6, 1, "bundle"));
    let outcome = store.finish_task(&host, &task_id(1), &again, &entry("task.finish", "task")).await.unwrap();
    assert_eq!(outcome, TaskResultOutcome::Stored);
    assert_eq!(store.exports(ExportsOf::ALL, 10).await.unwrap(), [export(5, 1, "bundle")]);
    assert_eq!(store.tasks(&[task_id(1)]).await.unwrap()[0].export, Some(export_id(5)));
}

/// A host sends again what it got no answer for.
pub async fn an_export_is_stored_once_for_each_host(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    let before = logged(store).await;
    let audit = entry("export.store", "export");
    for (export, stored) in [
        (export(5, 1, "bundle"), true),
        (export(6, 1, "bundle"), false),
        (export(7, 2, "bundle"), true),
        (Export { rollout: None, ..export(8, 1, "another") }, true),
    ] {
        assert_eq!(store.add_export(&export, &audit).await.unwrap(), stored, "{export:?}");
    }
    assert_eq!(store.exports(ExportsOf::host(&one), 10).await.unwrap().len(), 2);
    assert_eq!(store.exports(ExportsOf::host(&two), 10).await.unwrap().len(), 1);
    assert_eq!(logged(store).await, before + 3);
}

/// Of one host, or of all.
pub async fn exports_are_listed_newest_first(store: &dyn Store) {
    let (one, _) = (enrolled(store, 1).await, enrolled(store, 2).await);
    for (number, host) in [(5, 1), (7, 1), (6, 2)] {
        let export = export(number, host, &format!("bundle {number}"));
        store.add_export(&export, &entry("export.store", "export")).await.unwrap();
    }
    let ids = |exports: Vec<Export>| exports.into_iter().map(|export| export.id).collect::<Vec<_>>();
    assert_eq!(ids(store.exports(ExportsOf::ALL, 2).await.unwrap()), [export_id(7), export_id(6)]);
    assert_eq!(ids(store.exports(ExportsOf::host(&one), 10).await.unwrap()), [export_id(7), export_id(5)]);
}

/// So that no host passes another's export off as its own, and no blob is removed that is somebody's.
pub async fn a_blob_is_known_by_the_hosts_that_exported_it(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    let (bundle, other) = (export(5, 1, "bundle"), export(7, 2, "another"));
    for export in [&bundle, &other, &export(6, 2, "bundle")] {
        store.add_export(export, &entry("export.store", "export")).await.unwrap();
    }
    let mut exporters = store.exporters(&bundle.blob).await.unwrap();
    exporters.sort();
    let mut both = [one, two.clone()];
    both.sort();
    assert_eq!(exporters, both);
    assert_eq!(store.exporters(&other.blob).await.unwrap(), [two]);
    assert_eq!(store.exporters(&flota_model::Digest::of(b"nobody's")).await.unwrap(), []);
    let mut blobs = store.exported_blobs().await.unwrap();
    blobs.sort_by_key(ToString::to_string);
    let mut expected = [bundle.blob, other.blob];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(blobs, expected);
}

/// The oldest first; what is held and what is newest of a host stays.
pub async fn old_exports_are_removed_and_held_ones_are_not(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    for (number, host, at) in [(5, 1, 10), (6, 1, 20), (7, 1, 30), (8, 2, 10), (9, 2, 40)] {
        let export = Export { at: second(at), ..export(number, host, &format!("bundle {number}")) };
        assert!(store.add_export(&export, &entry("export.store", "export")).await.unwrap());
    }
    let newest = store.newest_exports().await.unwrap();
    let mut expected = vec![(one.clone(), second(30)), (two.clone(), second(40))];
    expected.sort();
    assert_eq!(newest, expected);
    let (before, audit) = (logged(store).await, entry("export.expire", "exports"));
    let remove = async |at: i64, held: &[HostId]| {
        let old = store.old_exports(second(at), held, 10).await.unwrap();
        let ids: Vec<ExportId> = old.iter().map(|export| export.id.clone()).collect();
        assert_eq!(store.remove_exports(&ids, Some(7), &audit).await.unwrap(), Removed::HoldsChanged);
        assert_eq!(store.old_exports(second(at), held, 10).await.unwrap(), old);
        assert_eq!(store.remove_exports(&ids, None, &audit).await.unwrap(), Removed::Done);
        ids.len()
    };
    assert_eq!(store.old_exports(second(10), &[], 10).await.unwrap(), []);
    assert_eq!(store.old_exports(second(99), &[], 1).await.unwrap().len(), 1);
    let between = ExportsOf { since: Some(second(20)), until: Some(second(40)), ..ExportsOf::ALL };
    assert_eq!(store.exports(between, 10).await.unwrap().len(), 2);
    assert_eq!(store.exports(ExportsOf { host: Some(&two), ..between }, 10).await.unwrap(), []);
    assert_eq!(remove(99, std::slice::from_ref(&two)).await, 2);
    assert_eq!(store.exports(ExportsOf::host(&one), 10).await.unwrap().len(), 1, "its newest stays");
    assert_eq!(store.exports(ExportsOf::host(&two), 10).await.unwrap().len(), 2);
    assert_eq!(remove(99, &[]).await, 1);
    assert_eq!(logged(store).await, before + 2);
}

/// A task that brought an export does not keep it.
pub async fn an_export_of_a_task_can_be_removed(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    store.add_tasks(&[task(1, 1)], &[]).await.unwrap();
    let old = Export { at: second(10), ..export(5, 1, "old") };
    store.finish_task(&host, &task_id(1), &finished(old), &entry("task.finish", "task")).await.unwrap();
    let new = Export { at: second(20), ..export(6, 1, "new") };
    store.add_export(&new, &entry("export.store", "export")).await.unwrap();
    let audit = entry("export.expire", "exports");
    assert_eq!(store.remove_exports(&[export_id(5)], None, &audit).await.unwrap(), Removed::Done);
    assert_eq!(store.exports(ExportsOf::ALL, 10).await.unwrap().len(), 1);
    assert_eq!(store.tasks(&[task_id(1)]).await.unwrap()[0].export, None);
}

/// By number; who released it is remembered.
pub async fn a_hold_is_released_once(store: &dyn Store) {
    let hold = ExportHold {
        id: 0,
        selector: "venue=binance".parse().unwrap(),
        reason: "case 7".into(),
        created_by: "ola".into(),
        created_at: second(10),
        released: None,
    };
    let before = logged(store).await;
    assert_eq!(store.add_export_hold(&hold, &entry("export.hold", "exports")).await.unwrap(), 1);
    assert_eq!(store.add_export_hold(&hold, &entry("export.hold", "exports")).await.unwrap(), 2);
    let mut audit = entry("export.release", "exports");
    audit.at = second(20);
    for (id, released) in [(1, true), (1, false), (9, false)] {
        assert_eq!(store.release_export_hold(id, "anna", &audit).await.unwrap(), released);
    }
    assert_eq!(logged(store).await, before + 3);
    let released = ExportHold { id: 1, released: Some(("anna".into(), second(20))), ..hold.clone() };
    let open = ExportHold { id: 2, ..hold };
    assert_eq!(store.export_holds(Holds::Open).await.unwrap(), std::slice::from_ref(&open));
    assert_eq!(store.export_holds(Holds::All).await.unwrap(), [released, open]);
}
