//! The audit log.

use flota_model::audit::ChainVerifier;
use flota_model::host::Trust;
use futures_util::future::join_all;

use super::fixtures::{enrolled, entry, host_id, logged};
use crate::Store;

/// Run after every case.
pub async fn the_chain_is_whole(store: &dyn Store) {
    let mut verifier = ChainVerifier::default();
    loop {
        let page = store.audit_from(verifier.accepted() + 1, 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        for row in &page {
            verifier.accept(row).unwrap();
        }
    }
    assert_eq!(verifier.accepted(), logged(store).await);
}

/// "What happened to this host?", newest first; a percent sign is no wildcard.
pub async fn entries_are_found_by_object_and_action(store: &dyn Store) {
    let entries = [
        entry("host.attest", "host/a"),
        entry("host.enrol", "host/a"),
        entry("rollout.pause", "rollout/R-1"),
        entry("host.attest", "host/b"),
    ];
    store.append_audit(&entries).await.unwrap();
    for (object, action, limit, expected) in [
        (None, None, 10, &[4, 3, 2, 1][..]),
        (None, None, 2, &[4, 3]),
        (Some("host/a"), None, 10, &[2, 1]),
        (None, Some("host."), 10, &[4, 2, 1]),
        (None, Some("host.a"), 1, &[4]),
        (Some("host/a"), Some("host.attest"), 10, &[1]),
        (Some("host/c"), None, 10, &[]),
        (None, Some("%"), 10, &[]),
        (None, Some("attest"), 10, &[]),
    ] {
        let found = store.audit(object, action, limit).await.unwrap();
        let sequences: Vec<_> = found.iter().map(|row| row.sequence).collect();
        assert_eq!(sequences, expected, "{object:?} {action:?}");
    }
    let newest = store.audit(None, None, 1).await.unwrap().remove(0);
    assert_eq!(newest.entry, entries[3]);
}

/// Verification must not need the whole log in memory.
pub async fn the_chain_is_read_in_pages(store: &dyn Store) {
    for number in 1..=5 {
        store.append_audit(&[entry("test", &number.to_string())]).await.unwrap();
    }
    for (from, limit, expected) in [(1, 2, &[1, 2][..]), (4, 10, &[4, 5]), (6, 10, &[]), (0, 1, &[1])] {
        let page = store.audit_from(from, limit).await.unwrap();
        assert_eq!(page.iter().map(|row| row.sequence).collect::<Vec<_>>(), expected);
    }
    assert!(store.audit_from(u64::MAX, 1).await.unwrap().is_empty());
}

/// No fork and no gap.
pub async fn entries_written_at_once_make_one_chain(store: &dyn Store) {
    let entries: Vec<_> = (0..20).map(|number| entry("test", &number.to_string())).collect();
    for written in join_all(entries.chunks(1).map(|entry| store.append_audit(entry))).await {
        written.unwrap();
    }
    assert_eq!(logged(store).await, 20);
}

/// The log says what was done, not what was tried; a denial is an entry that its caller writes.
pub async fn what_was_refused_is_not_logged(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = logged(store).await;
    let audit = entry("host.trust", "host");
    assert!(!store.set_trust(&id, &[Trust::Retired], Trust::Trusted, "", &audit).await.unwrap());
    assert!(!store.set_trust(&host_id(9), &Trust::ALL, Trust::Trusted, "", &audit).await.unwrap());
    assert_eq!(logged(store).await, before);
}
