//! A file that somebody changed: found, and not repaired by guessing.

use std::error::Error as _;

use flota_model::Digest;
use flota_model::audit::{BrokenChain, ChainVerifier};
use flota_store::contract::fixtures::{enrolled, entry, host_id, second};
use flota_store::{
    AuditStore as _, EscalationStore as _, HostStore as _, NewEscalation, NewPolicy, PolicyStore as _, StoreError,
};
use flota_store_sqlite::SqliteStore;

use crate::{database_in, fresh, raw};

async fn verify(store: &SqliteStore) -> Result<(), BrokenChain> {
    let mut verifier = ChainVerifier::default();
    store.audit_from(1, 1_000).await.unwrap().iter().try_for_each(|row| verifier.accept(row))
}

#[tokio::test]
async fn the_log_cannot_be_changed_by_mistake() {
    let (store, folder) = fresh().await;
    enrolled(&store, 1).await;
    let path = database_in(folder.path());
    for statement in ["update audit set actor = 'operator/eve'", "delete from audit where sequence = 1"] {
        let error = raw(&path, statement).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    assert_eq!(verify(&store).await, Ok(()));
}

#[tokio::test]
async fn a_changed_entry_is_found() {
    let (store, folder) = fresh().await;
    enrolled(&store, 1).await;
    let tamper = "drop trigger audit_no_update; update audit set actor = 'operator/eve' where sequence = 1";
    raw(&database_in(folder.path()), tamper).await.unwrap();
    assert_eq!(verify(&store).await, Err(BrokenChain::Hash(1)));
}

#[tokio::test]
async fn a_missing_entry_is_found() {
    let (store, folder) = fresh().await;
    enrolled(&store, 1).await;
    let tamper = "drop trigger audit_no_delete; delete from audit where sequence = 1";
    raw(&database_in(folder.path()), tamper).await.unwrap();
    assert_eq!(verify(&store).await, Err(BrokenChain::Gap { expected: 1, found: 2 }));
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_named() {
    let (store, folder) = fresh().await;
    let host = enrolled(&store, 1).await;
    raw(&database_in(folder.path()), "update hosts set name = 'No Name'").await.unwrap();
    for error in [store.hosts().await.unwrap_err(), store.host(&host_id(1)).await.unwrap_err()] {
        assert!(error.source().is_some());
        let StoreError::Inconsistent { table, column, row, .. } = error else { panic!("{error}") };
        assert_eq!((table, column, row.as_str()), ("hosts", "name", host.as_str()));
    }
}

#[tokio::test]
async fn words_that_no_version_writes_do_not_get_in() {
    let (store, folder) = fresh().await;
    let host = enrolled(&store, 1).await;
    let untrusted = NewEscalation { kind: "untrusted".into(), summary: "not genuine".into() };
    assert!(store.escalate(&host, &untrusted, &entry("escalation.open", "host")).await.unwrap());
    for (name, document) in [("one", "{}"), ("two", "[]")] {
        let policy = NewPolicy {
            digest: Digest::of(name.as_bytes()),
            name: "baseline".into(),
            document_json: document.into(),
            author: "anna".into(),
            note: String::new(),
            at: second(1),
        };
        store.add_policy(&policy, &entry("policy.add", "policy")).await.unwrap();
    }
    for statement in [
        "update hosts set trust = 'certainly'",
        "update hosts set labels = 'venue=binance'",
        "update tokens set state = 'open'",
        "update host_keys set host = '0000000000000000'",
        "update hosts set key_storage = 'pocket'",
        "update hosts set awaits_approval = 2",
        "update hosts set oem_licence = 'splendid'",
        "update policies set state = 'active', activated_at = 1",
        "update policies set state = 'active' where version = 1",
        "update policies set version = 3",
        "update policies set state = 'staged', valid_from = 1",
        "update policies set state = 'retiring'",
        "update policies set valid_until = 1",
        "update escalations set delivery = 'delivered'",
        "update escalations set resolved_at = 1",
        "update escalations set host = '0000000000000000'",
    ] {
        assert!(raw(&database_in(folder.path()), statement).await.is_err(), "{statement}");
    }
}
