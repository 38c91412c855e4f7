//! Verdicts.

use flota_model::host::{Confirmed, Trust, VerdictKind};
use flota_model::{Digest, Generation, HostId};

use super::fixtures::{enrolled, entry, host, host_id, logged, measurements, second};
use crate::{AttestationRecord, Store, VerdictRecord};

fn verdict(host: &HostId, at: i64, verdict: VerdictKind) -> VerdictRecord {
    VerdictRecord {
        host: host.clone(),
        at: second(at),
        verdict,
        reasons: Vec::new(),
        trust: None,
        confirmed: None,
        measurements: None,
    }
}

/// All of them, or the next quote would be compared with the wrong thing.
pub async fn a_verdict_is_stored_with_its_consequences(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = logged(store).await;
    let running = Some(Digest::of(b"one"));
    let confirmed = Confirmed { running, generation: Generation::new(4), at: second(5) };
    let record = VerdictRecord {
        reasons: vec!["pcr-4: changed".into()],
        trust: Some((Trust::Drifted, "PCR 4 changed".into())),
        confirmed: Some(confirmed.clone()),
        measurements: Some(measurements("the quote")),
        ..verdict(&id, 5, VerdictKind::Fail)
    };
    store.record_verdict(&record, &entry("host.attest", "host")).await.unwrap();

    let host = host(store, &id).await;
    assert_eq!((host.trust, host.trust_reason.as_str()), (Trust::Drifted, "PCR 4 changed"));
    assert_eq!(host.confirmed, Some(confirmed));
    assert_eq!(store.measurements(&id).await.unwrap(), Some(measurements("the quote")));
    let kept = AttestationRecord { at: second(5), verdict: VerdictKind::Fail, reasons: record.reasons };
    assert_eq!(store.attestations(&id, 10).await.unwrap(), [kept]);
    assert_eq!(logged(store).await, before + 1);
    assert_eq!(store.measurements(&host_id(9)).await.unwrap(), None);
}

/// A busy TPM is not an incident.
pub async fn an_inconclusive_verdict_changes_nothing_but_history(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = host(store, &id).await;
    store.record_verdict(&verdict(&id, 5, VerdictKind::Retry), &entry("host.attest", "host")).await.unwrap();
    assert_eq!(host(store, &id).await, before);
    assert_eq!(store.measurements(&id).await.unwrap(), Some(measurements("token 1")));
    assert_eq!(store.attestations(&id, 10).await.unwrap().len(), 1);
}

/// An operator shuts a host out while its quote is being checked.
pub async fn a_verdict_lifts_no_quarantine(store: &dyn Store) {
    for (number, shut_out) in [(1, Trust::Quarantined), (2, Trust::Retired)] {
        let id = enrolled(store, number).await;
        let audit = entry("host.shut-out", "host");
        assert!(store.set_trust(&id, &[Trust::Pending], shut_out, "incident 7", &audit).await.unwrap());
        let record =
            VerdictRecord { trust: Some((Trust::Trusted, String::new())), ..verdict(&id, 5, VerdictKind::Pass) };
        store.record_verdict(&record, &entry("host.attest", "host")).await.unwrap();
        let host = host(store, &id).await;
        assert_eq!((host.trust, host.trust_reason.as_str()), (shut_out, "incident 7"));
        assert_eq!(store.attestations(&id, 10).await.unwrap().len(), 1);
    }
}

/// Whoever decides has seen one of them.
pub async fn trust_changes_from_the_states_named(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = logged(store).await;
    let audit = entry("host.stale", "host");
    for (from, changed) in [
        (&[Trust::Trusted, Trust::Drifted][..], false),
        (&[], false),
        (&[Trust::Trusted, Trust::Pending], true),
        (&[Trust::Trusted, Trust::Pending], false),
    ] {
        assert_eq!(store.set_trust(&id, from, Trust::Stale, "silent", &audit).await.unwrap(), changed);
    }
    assert!(!store.set_trust(&host_id(9), &Trust::ALL, Trust::Stale, "silent", &audit).await.unwrap());
    let host = host(store, &id).await;
    assert_eq!((host.trust, host.trust_reason.as_str()), (Trust::Stale, "silent"));
    assert_eq!(logged(store).await, before + 1);
}

/// Of one host, and no more than asked for.
pub async fn attestations_are_listed_newest_first(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    for at in [5, 7, 6] {
        store.record_verdict(&verdict(&one, at, VerdictKind::Pass), &entry("host.attest", "host")).await.unwrap();
        store.record_verdict(&verdict(&two, at, VerdictKind::Fail), &entry("host.attest", "host")).await.unwrap();
    }
    let listed = store.attestations(&one, 2).await.unwrap();
    let times: Vec<_> = listed.iter().map(|attestation| attestation.at).collect();
    assert_eq!(times, [second(7), second(6)]);
    assert!(listed.iter().all(|attestation| attestation.verdict == VerdictKind::Pass));
}
