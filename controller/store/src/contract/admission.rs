//! Whom a token admits: with a TPM or without, at once or after a person has looked.

use flota_model::Digest;
use flota_model::host::{KeyStorage, Trust};

use super::fixtures::{
    endorsement_key, enrolled, enrolment, entry, host, host_id, judged, logged, pass, second, token, token_id,
};
use crate::{Admits, Approval, EnrolOutcome, Enrolment, HostKeys, HostMeasurements, Store, TokenState};

/// Makes the token with this number, without a name.
async fn made(store: &dyn Store, number: u64, approval: Approval, key_storage: KeyStorage) {
    let mut token = token(number, None);
    token.admits = Admits { approval, key_storage };
    assert!(store.create_token(&token, &entry("token.create", "token")).await.unwrap());
}

/// Of a host without a TPM: one key, and nothing to measure.
fn software(token: u64, host: u64) -> Enrolment {
    let keys = HostKeys {
        ek_spki_sha256: endorsement_key(host),
        ek_public: Vec::new(),
        ak_public: Vec::new(),
        tls_public: b"a key in a file".to_vec(),
        tpm_manufacturer: String::new(),
    };
    let measurements = HostMeasurements {
        baseline_json: String::new(),
        clock_json: String::new(),
        quoted_json: String::new(),
        baseline_log: None,
        quoted_log: None,
    };
    Enrolment { keys, measurements, key_storage: KeyStorage::File, ..enrolment(token, host) }
}

/// Whom a token admits is part of what its maker decided.
pub async fn a_token_says_whom_it_admits(store: &dyn Store) {
    for (number, approval, key_storage) in [
        (1, Approval::NotNeeded, KeyStorage::Tpm),
        (2, Approval::Needed, KeyStorage::Tpm),
        (3, Approval::NotNeeded, KeyStorage::File),
        (4, Approval::Needed, KeyStorage::File),
    ] {
        made(store, number, approval, key_storage).await;
        let (read, _) = store.token(&token_id(number), second(1)).await.unwrap().unwrap();
        assert_eq!(read.admits, Admits { approval, key_storage });
    }
}

/// It cannot be measured; it is never more than let in.
pub async fn a_software_key_makes_an_unattested_host(store: &dyn Store) {
    made(store, 1, Approval::NotNeeded, KeyStorage::File).await;
    let enrolment = software(1, 1);
    let outcome = store.enrol(&enrolment, &entry("host.enrol", "host")).await.unwrap();
    assert!(matches!(outcome, EnrolOutcome::Enrolled { .. }), "{outcome:?}");

    let host = host(store, &host_id(1)).await;
    assert_eq!((host.trust, host.key_storage, host.lease_until), (Trust::Unattested, KeyStorage::File, None));
    assert!(host.admits_work(second(2)));
    assert_eq!(store.host_keys(&host.id).await.unwrap(), Some((enrolment.keys, second(1_000))));
    assert_eq!(store.measurements(&host.id).await.unwrap(), Some(enrolment.measurements));
}

/// Again with a token of the same kind.
pub async fn a_software_key_is_renewed(store: &dyn Store) {
    for number in [1, 2] {
        made(store, number, Approval::NotNeeded, KeyStorage::File).await;
        store.enrol(&software(number, 1), &entry("host.enrol", "host")).await.unwrap();
    }
    let hosts = store.hosts().await.unwrap();
    assert_eq!(hosts.len(), 1);
    assert_eq!((hosts[0].trust, hosts[0].key_storage), (Trust::Unattested, KeyStorage::File));
    let (token, _) = store.token(&token_id(2), second(2)).await.unwrap().unwrap();
    assert_eq!(token.state, TokenState::Used);
}

/// A token for a machine with a TPM in the hands of one without is worth nothing, and the other way round.
pub async fn a_token_admits_its_kind_of_key_only(store: &dyn Store) {
    made(store, 1, Approval::NotNeeded, KeyStorage::Tpm).await;
    made(store, 2, Approval::NotNeeded, KeyStorage::File).await;
    let before = logged(store).await;
    for enrolment in [software(1, 1), enrolment(2, 1)] {
        let outcome = store.enrol(&enrolment, &entry("host.enrol", "host")).await.unwrap();
        assert_eq!(outcome, EnrolOutcome::NoSuchToken);
    }
    assert_eq!(logged(store).await, before);
    assert!(store.hosts().await.unwrap().is_empty());
    assert!(store.tokens(second(2)).await.unwrap().iter().all(|token| token.state == TokenState::Open));
}

/// It proves itself meanwhile, and gets no work.
pub async fn a_host_awaits_the_approval_that_its_token_asks_for(store: &dyn Store) {
    made(store, 1, Approval::Needed, KeyStorage::Tpm).await;
    store.enrol(&enrolment(1, 1), &entry("host.enrol", "host")).await.unwrap();
    let id = host_id(1);
    judged(store, pass(&id, 5, 60)).await;
    let waiting = host(store, &id).await;
    assert!(waiting.awaits_approval);
    assert_eq!((waiting.trust, waiting.lease_until), (Trust::Trusted, Some(second(60))));
    assert!(!waiting.admits_work(second(6)));

    let before = logged(store).await;
    let audit = entry("host.approve", "host");
    assert!(store.approve_enrolment(&id, &audit).await.unwrap());
    let approved = host(store, &id).await;
    assert!(!approved.awaits_approval && approved.admits_work(second(6)));
    assert_eq!(logged(store).await, before + 1);
}

/// A host that awaits nothing, and one that is not there.
pub async fn an_enrolment_is_approved_once(store: &dyn Store) {
    made(store, 1, Approval::Needed, KeyStorage::Tpm).await;
    store.enrol(&enrolment(1, 1), &entry("host.enrol", "host")).await.unwrap();
    enrolled(store, 2).await;
    let before = logged(store).await;
    let audit = entry("host.approve", "host");
    for (number, expected) in [(1, true), (1, false), (2, false), (9, false)] {
        assert_eq!(store.approve_enrolment(&host_id(number), &audit).await.unwrap(), expected);
    }
    assert_eq!(logged(store).await, before + 1);
}

/// Who looked has not seen the machine as it is now; a token that asks for nobody is approval enough.
pub async fn a_renewal_awaits_approval_as_its_token_says(store: &dyn Store) {
    enrolled(store, 1).await;
    for (number, approval, expected) in [(2, Approval::Needed, true), (3, Approval::NotNeeded, false)] {
        made(store, number, approval, KeyStorage::Tpm).await;
        let outcome = store.enrol(&enrolment(number, 1), &entry("host.enrol", "host")).await.unwrap();
        assert!(matches!(outcome, EnrolOutcome::Renewed { .. }), "{outcome:?}");
        assert_eq!(host(store, &host_id(1)).await.awaits_approval, expected);
    }
}

/// The keys of a TPM are not those of a file, whatever the id says.
pub async fn a_software_key_takes_no_host_with_a_tpm_over(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    made(store, 2, Approval::NotNeeded, KeyStorage::File).await;
    let mut other = software(2, 1);
    other.keys.ek_spki_sha256 = Digest::of(b"another key");
    let before = host(store, &id).await;
    let outcome = store.enrol(&other, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::NameTaken { name: before.name.clone() });
    assert_eq!(host(store, &id).await, before);
}
