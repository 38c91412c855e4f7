//! Until when a host may be given new work.

use flota_model::host::{Trust, VerdictKind};

use super::fixtures::{enrolled, entry, host, judged, pass, second, verdict};
use crate::{Lease, Store, VerdictRecord};

/// Kept, begun, ended.
pub async fn a_verdict_does_to_the_lease_what_it_says(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    assert_eq!(host(store, &id).await.lease_until, None);
    for (lease, expected) in [
        (Lease::Keep, None),
        (Lease::Until(second(60)), Some(second(60))),
        (Lease::Keep, Some(second(60))),
        (Lease::Until(second(90)), Some(second(90))),
        (Lease::Drop, None),
        (Lease::Keep, None),
    ] {
        judged(store, VerdictRecord { lease, ..verdict(&id, 5, VerdictKind::Pass) }).await;
        assert_eq!(host(store, &id).await.lease_until, expected, "{lease:?}");
        assert_eq!(host(store, &id).await.trust, Trust::Pending);
    }
}

/// A host that is silent for a while loses no work by it; one that is shut out does.
pub async fn a_lease_ends_with_the_trust_that_admits_work(store: &dyn Store) {
    for (number, to) in (1..).zip(Trust::ALL) {
        let id = enrolled(store, number).await;
        judged(store, pass(&id, 5, 60)).await;
        assert!(host(store, &id).await.admits_work(second(59)));
        let audit = entry("host.trust", "host");
        assert!(store.set_trust(&id, &[Trust::Trusted], to, "because", &audit).await.unwrap());
        let expected = to.admits_work().then(|| second(60));
        assert_eq!(host(store, &id).await.lease_until, expected, "{to}");
    }
}

/// Whoever was refused has changed nothing.
pub async fn a_change_of_trust_that_is_refused_ends_no_lease(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    judged(store, pass(&id, 5, 60)).await;
    let before = host(store, &id).await;
    let audit = entry("host.trust", "host");
    assert!(!store.set_trust(&id, &[Trust::Pending], Trust::Untrusted, "because", &audit).await.unwrap());
    assert_eq!(host(store, &id).await, before);
}
