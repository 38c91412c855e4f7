//! The file: its mode, what a restart and a crash leave of it.

use std::fs;
use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt as _;
use std::pin::pin;
use std::task::Poll;

use flota_model::host::Host;
use flota_model::rollout::{IntentVerb, RolloutIntent, RolloutState};
use flota_store::contract::audit::the_chain_is_whole;
use flota_store::contract::fixtures::{enrolled, entry, logged, plan, spec};
use flota_store::{AuditStore as _, RolloutRecord, RolloutStore as _, Store, StoreError};
use flota_store_sqlite::SqliteStore;

use crate::{database_in, fresh};

async fn something(store: &SqliteStore) {
    enrolled(store, 1).await;
    let intent = RolloutIntent { accepted_failures: 1, ..RolloutIntent::new(IntentVerb::Run) };
    store.create_rollout(&spec(1), &intent, &entry("rollout.create", "rollout/R-1")).await.unwrap();
    let (id, plan) = plan(1, None, 1, RolloutState::Running, "begun");
    store.set_plan(id, &plan, &entry("rollout.plan", "rollout/R-1")).await.unwrap();
}

async fn everything(store: &dyn Store) -> (Vec<Host>, Vec<RolloutRecord>, u64) {
    (store.hosts().await.unwrap(), store.rollouts().await.unwrap(), logged(store).await)
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let (store, folder) = fresh().await;
    something(&store).await;
    let before = everything(&store).await;
    store.close().await;

    let store = SqliteStore::open(&database_in(folder.path())).await.unwrap();
    assert_eq!(everything(&store).await, before);
    store.append_audit(&[entry("test", "test")]).await.unwrap();
    the_chain_is_whole(&store).await;
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_acknowledged() {
    let (store, folder) = fresh().await;
    something(&store).await;
    let crashed = tempfile::tempdir().unwrap();
    for name in ["flota.db", "flota.db-wal"] {
        fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    let after = SqliteStore::open(&database_in(crashed.path())).await.unwrap();
    assert_eq!(everything(&after).await, everything(&store).await);
    the_chain_is_whole(&after).await;
}

#[tokio::test]
async fn a_new_database_is_for_its_user_alone() {
    let (store, folder) = fresh().await;
    something(&store).await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("flota.db");
    let error = SqliteStore::open(&path).await.unwrap_err();
    let StoreError::Unavailable { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().contains(&path.display().to_string()), "{source}");
}

#[tokio::test]
async fn a_transaction_that_is_abandoned_never_was() {
    let (store, _folder) = fresh().await;
    let intent = RolloutIntent::new(IntentVerb::Draft);
    let audit = entry("rollout.create", "rollout");
    let mut cut_off = 0;
    for attempt in 0..60 {
        // How many polls it takes to the end depends on the database's thread; a dozen is always enough.
        let polls = attempt % 12 + 1;
        if cut_after(polls, store.create_rollout(&spec(attempt + 1), &intent, &audit)).await.is_none() {
            cut_off += 1;
        }
        // The next transaction finds neither a lock nor a roll-back that was meant for the one before.
        store.append_audit(&[entry("test", "test")]).await.unwrap();
    }
    assert!(cut_off > 0);
    let entries = store.audit(Some("rollout"), None, 100).await.unwrap().len();
    assert_eq!(store.rollouts().await.unwrap().len(), entries, "a rollout has its entry, or is not there");
    assert_eq!(store.audit(Some("test"), None, 100).await.unwrap().len(), 60);
    the_chain_is_whole(&store).await;
}

/// Drops the future after it was polled so many times, as a caller does that hangs up. None: it was cut off.
async fn cut_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
