//! Verdicts.

use flota_model::host::{Confirmed, OemStanding, Trust, VerdictKind};
use flota_model::{Digest, Generation};

use super::fixtures::{enrolled, entry, host, host_id, judged, logged, measurements, pass, second, verdict};
use crate::{ATTESTATIONS_KEPT, AttestationRecord, Store, StoreError, VerdictRecord};

/// All of them, or the next quote would be compared with the wrong thing.
pub async fn a_verdict_is_stored_with_its_consequences(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let before = logged(store).await;
    let running = Some(Digest::of(b"one"));
    let confirmed = Confirmed { running, generation: Generation::new(4), at: second(5) };
    let oem = OemStanding { evidence: "mismatch".into(), licence: "ok".into() };
    let record = VerdictRecord {
        reasons: vec!["pcr-4: changed".into()],
        trust: Some((Trust::Drifted, "PCR 4 changed".into())),
        confirmed: Some(confirmed.clone()),
        measurements: Some(measurements("the quote")),
        policy: Some("baseline@3".into()),
        oem: Some(oem.clone()),
        ..verdict(&id, 5, VerdictKind::Fail)
    };
    let kept = AttestationRecord { at: second(5), verdict: VerdictKind::Fail, reasons: record.reasons.clone() };
    judged(store, record).await;

    let host = host(store, &id).await;
    assert_eq!((host.trust, host.trust_reason.as_str()), (Trust::Drifted, "PCR 4 changed"));
    assert_eq!((host.confirmed, host.policy.as_str(), host.oem), (Some(confirmed), "baseline@3", oem));
    assert_eq!(store.measurements(&id).await.unwrap(), Some(measurements("the quote")));
    assert_eq!(store.attestations(&id, 10).await.unwrap(), [kept]);
    assert_eq!(logged(store).await, before + 1);
    assert_eq!(store.measurements(&host_id(9)).await.unwrap(), None);
}

/// A busy TPM is not an incident.
pub async fn an_inconclusive_verdict_changes_nothing_but_history(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let oem = Some(OemStanding { evidence: "ok".into(), licence: "ok".into() });
    judged(store, VerdictRecord { policy: Some("baseline@3".into()), oem, ..pass(&id, 4, 60) }).await;
    let before = host(store, &id).await;
    judged(store, verdict(&id, 5, VerdictKind::Retry)).await;
    assert_eq!(host(store, &id).await, before);
    assert_eq!(store.measurements(&id).await.unwrap(), Some(measurements("token 1")));
    assert_eq!(store.attestations(&id, 10).await.unwrap().len(), 2);
}

/// An operator shuts a host out while its quote is being checked.
pub async fn a_verdict_lifts_no_quarantine(store: &dyn Store) {
    for (number, shut_out) in [(1, Trust::Quarantined), (2, Trust::Retired)] {
        let id = enrolled(store, number).await;
        let audit = entry("host.shut-out", "host");
        assert!(store.set_trust(&id, &[Trust::Pending], shut_out, "incident 7", &audit).await.unwrap());
        judged(store, VerdictRecord { policy: Some("baseline@3".into()), ..pass(&id, 5, 60) }).await;
        let host = host(store, &id).await;
        assert_eq!((host.trust, host.trust_reason.as_str()), (shut_out, "incident 7"));
        assert_eq!((host.lease_until, host.policy.as_str()), (None, "baseline@3"));
        assert_eq!(store.attestations(&id, 10).await.unwrap().len(), 1);
    }
}

/// The last of a host is what remains; one of a host that is gone is passed over with its entries.
pub async fn a_batch_of_verdicts_is_stored_in_order(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    let before = logged(store).await;
    let first = VerdictRecord { measurements: Some(measurements("the first quote")), ..pass(&one, 5, 60) };
    let confirmed = Confirmed { running: None, generation: None, at: second(7) };
    let last = VerdictRecord {
        trust: Some((Trust::Drifted, "PCR 4".into())),
        confirmed: Some(confirmed.clone()),
        measurements: Some(measurements("the last quote")),
        ..verdict(&one, 7, VerdictKind::Fail)
    };
    let verdicts = [
        (first, vec![entry("host.attest", "first"), entry("host.trust", "second")]),
        (pass(&host_id(9), 5, 60), vec![entry("host.attest", "nobody")]),
        (pass(&two, 6, 60), Vec::new()),
        (last, vec![entry("host.attest", "third")]),
    ];
    store.record_verdicts(&verdicts).await.unwrap();
    store.record_verdicts(&[]).await.unwrap();

    assert_eq!((host(store, &one).await.trust, host(store, &two).await.trust), (Trust::Drifted, Trust::Trusted));
    assert_eq!(host(store, &one).await.confirmed, Some(confirmed));
    assert_eq!(store.measurements(&one).await.unwrap(), Some(measurements("the last quote")));
    let written = store.audit_from(before + 1, 10).await.unwrap();
    let objects: Vec<_> = written.iter().map(|row| row.entry.object.as_str()).collect();
    assert_eq!(objects, ["first", "second", "third"]);
    assert_eq!(store.host(&host_id(9)).await.unwrap(), None);
    assert!(store.attestations(&host_id(9), 10).await.unwrap().is_empty());
}

/// The caller learns of it and can do without the one; a part that was stored would be stored twice.
pub async fn a_verdict_that_cannot_be_stored_takes_its_batch_with_it(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    let before = (host(store, &one).await, logged(store).await);
    let invented = OemStanding { evidence: "splendid".into(), licence: String::new() };
    let wrong = VerdictRecord { oem: Some(invented), ..verdict(&two, 6, VerdictKind::Pass) };
    let audit = vec![entry("host.attest", "host")];
    let verdicts = [(pass(&one, 5, 60), audit.clone()), (wrong, audit)];
    let error = store.record_verdicts(&verdicts).await.unwrap_err();
    assert!(matches!(error, StoreError::Rejected { .. }), "{error}");
    assert_eq!((host(store, &one).await, logged(store).await), before);
    assert!(store.attestations(&one, 10).await.unwrap().is_empty());
}

/// Hosts are asked for years.
pub async fn the_newest_verdicts_of_a_host_are_kept(store: &dyn Store) {
    let (one, two) = (enrolled(store, 1).await, enrolled(store, 2).await);
    judged(store, verdict(&two, 1, VerdictKind::Retry)).await;
    // Two verdicts of the same second are two.
    let last = i64::from(ATTESTATIONS_KEPT) + 20;
    let verdicts: Vec<_> =
        (1..=last).map(|number| (verdict(&one, number / 2, VerdictKind::Pass), Vec::new())).collect();
    store.record_verdicts(&verdicts).await.unwrap();

    let kept = store.attestations(&one, u32::MAX).await.unwrap();
    assert_eq!(kept.len(), usize::try_from(ATTESTATIONS_KEPT).unwrap());
    assert_eq!((kept[0].at, kept.last().unwrap().at), (second(last / 2), second(21 / 2)));
    assert_eq!(store.attestations(&two, 10).await.unwrap().len(), 1);
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
        judged(store, verdict(&one, at, VerdictKind::Pass)).await;
        judged(store, verdict(&two, at, VerdictKind::Fail)).await;
    }
    let listed = store.attestations(&one, 2).await.unwrap();
    let times: Vec<_> = listed.iter().map(|attestation| attestation.at).collect();
    assert_eq!(times, [second(7), second(6)]);
    assert!(listed.iter().all(|attestation| attestation.verdict == VerdictKind::Pass));
}
