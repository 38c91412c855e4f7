//! A known host without a token, with new keys of the same TPM.

use flota_model::Digest;
use flota_model::host::{KeyStorage, OemStanding, Trust, VerdictKind};
use flota_model::update::{UpdatePhase, UpdateReport};

use super::fixtures::{
    endorsement_key, enrolled, enrolment, entry, host, host_id, judged, logged, measurements, pass, second, token,
    verdict,
};
use crate::{Admits, Approval, EnrolOutcome, Enrolment, HostMeasurements, Lease, Store, VerdictRecord};

/// The host with this number, at second 50, with an attestation key named by `key` and nothing measured.
fn back(number: u64, key: &str) -> Enrolment {
    let mut back = enrolment(0, number);
    back.token = None;
    back.keys.ak_public = key.as_bytes().to_vec();
    back.keys.tls_public = key.as_bytes().to_vec();
    back.measurements = nothing_measured();
    back.certificate_expires_at = second(2_000);
    back.at = second(50);
    back
}

fn nothing_measured() -> HostMeasurements {
    HostMeasurements { baseline_json: String::new(), quoted_json: String::new(), ..measurements("") }
}

async fn refused(store: &dyn Store, enrolment: &Enrolment) {
    let id = &enrolment.host;
    let before = (store.host(id).await.unwrap(), store.host_keys(id).await.unwrap(), logged(store).await);
    let outcome = store.enrol(enrolment, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::NotKnown);
    let after = (store.host(id).await.unwrap(), store.host_keys(id).await.unwrap(), logged(store).await);
    assert_eq!(after, before);
}

/// Its keys are new; what it is held against and everything else is not, and it must pass again.
pub async fn a_known_host_comes_back_without_a_token(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let report = UpdateReport {
        generation: None,
        sequence: 3,
        phase: UpdatePhase::Committed,
        running: Some(Digest::of(b"one")),
        version: "1.0.0".into(),
        detail: String::new(),
    };
    assert!(store.report(&id, &report, &entry("host.report", "host")).await.unwrap());
    let known = HostMeasurements {
        clock_json: "{}".into(),
        baseline_log: Some(Digest::of(b"a log")),
        quoted_log: Some(Digest::of(b"another log")),
        ..measurements("the first quote")
    };
    let oem = Some(OemStanding { evidence: "ok".into(), licence: "ok".into() });
    let policy = Some("baseline@1".into());
    judged(store, VerdictRecord { measurements: Some(known.clone()), policy, oem, ..pass(&id, 5, 60) }).await;
    let before = (host(store, &id).await, logged(store).await);
    let (keys, _) = store.host_keys(&id).await.unwrap().unwrap();

    let enrolment = back(1, "new");
    let outcome = store.enrol(&enrolment, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::Renewed { name: before.0.name.clone() });
    let after = host(store, &id).await;
    assert_eq!((after.trust, after.lease_until), (Trust::Stale, None));
    assert!(!after.trust_reason.is_empty() && !after.admits_work(second(51)));
    let same = flota_model::host::Host {
        trust: before.0.trust,
        trust_reason: before.0.trust_reason.clone(),
        lease_until: before.0.lease_until,
        ..after
    };
    assert_eq!((same, logged(store).await), (before.0, before.1 + 1));
    assert_eq!(store.measurements(&id).await.unwrap(), Some(known));
    let new = crate::HostKeys { ak_public: b"new".to_vec(), tls_public: b"new".to_vec(), ..keys };
    assert_eq!(store.host_keys(&id).await.unwrap(), Some((new, second(2_000))));
}

/// Each for itself: a fresh quote does not bring a baseline along.
pub async fn what_a_host_brings_back_replaces_what_it_names(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let known = HostMeasurements { clock_json: "{}".into(), ..measurements("the first quote") };
    judged(store, VerdictRecord { measurements: Some(known.clone()), ..pass(&id, 5, 60) }).await;
    let mut enrolment = back(1, "new");
    let quoted_log = Some(Digest::of(b"a log"));
    enrolment.measurements = HostMeasurements { quoted_json: "[]".into(), quoted_log, ..nothing_measured() };
    store.enrol(&enrolment, &entry("host.enrol", "host")).await.unwrap();
    let expected = HostMeasurements { quoted_json: "[]".into(), quoted_log, ..known };
    assert_eq!(store.measurements(&id).await.unwrap(), Some(expected));
}

/// Who drifted must not be stale by coming back, and who never passed has nothing to be stale of.
pub async fn coming_back_betters_no_trust(store: &dyn Store) {
    for (number, trust) in [(1, Trust::Pending), (2, Trust::Drifted), (3, Trust::Stale), (4, Trust::Unattested)] {
        let id = enrolled(store, number).await;
        let (lease, trust_and_reason) = (Lease::Until(second(60)), Some((trust, "a reason".to_owned())));
        judged(store, VerdictRecord { trust: trust_and_reason, lease, ..verdict(&id, 5, VerdictKind::Fail) }).await;
        let outcome = store.enrol(&back(number, "new"), &entry("host.enrol", "host")).await.unwrap();
        assert!(matches!(outcome, EnrolOutcome::Renewed { .. }), "{outcome:?}");
        let host = host(store, &id).await;
        assert_eq!((host.trust, host.trust_reason.as_str(), host.lease_until), (trust, "a reason", None));
    }
}

/// Neither by its id nor by its key alone, nor with a key that lives elsewhere.
pub async fn a_host_that_is_not_known_does_not_come_back(store: &dyn Store) {
    enrolled(store, 1).await;
    refused(store, &back(9, "new")).await;
    refused(store, &Enrolment { host: host_id(1), ..back(2, "new") }).await;
    let mut other_id = back(1, "new");
    other_id.host = host_id(2);
    assert_eq!(other_id.keys.ek_spki_sha256, endorsement_key(1));
    refused(store, &other_id).await;
    refused(store, &Enrolment { key_storage: KeyStorage::File, ..back(1, "new") }).await;
}

/// A new key is no way around a quarantine.
pub async fn a_host_that_was_shut_out_does_not_come_back(store: &dyn Store) {
    for (number, trust) in [(1, Trust::Untrusted), (2, Trust::Quarantined), (3, Trust::Retired)] {
        let id = enrolled(store, number).await;
        let audit = entry("host.trust", "host");
        assert!(store.set_trust(&id, &[Trust::Pending], trust, "because", &audit).await.unwrap());
        refused(store, &back(number, "new")).await;
    }
}

/// Whoever is to look at it must see what asked to be let in.
pub async fn a_host_that_awaits_approval_does_not_come_back(store: &dyn Store) {
    let mut token = token(1, None);
    token.admits = Admits { approval: Approval::Needed, key_storage: KeyStorage::Tpm };
    store.create_token(&token, &entry("token.create", "token")).await.unwrap();
    store.enrol(&enrolment(1, 1), &entry("host.enrol", "host")).await.unwrap();
    refused(store, &back(1, "new")).await;

    assert!(store.approve_enrolment(&host_id(1), &entry("host.approve", "host")).await.unwrap());
    let outcome = store.enrol(&back(1, "new"), &entry("host.enrol", "host")).await.unwrap();
    assert!(matches!(outcome, EnrolOutcome::Renewed { .. }), "{outcome:?}");
}
