//! Tokens becoming hosts.

use flota_model::Digest;
use flota_model::host::{Confirmed, KeyStorage, OemStanding, Trust};
use flota_model::update::{UpdatePhase, UpdateReport};
use futures_util::future::join;

use super::fixtures::{
    enrolled, enrolment, entry, host, host_id, judged, logged, measurements, pass, second, token, token_id,
};
use crate::{EnrolOutcome, Store, TokenState, VerdictRecord};

/// Name and labels are the token's; trust has to be earned.
pub async fn a_token_makes_a_pending_host(store: &dyn Store) {
    let made = token(1, Some("fra-bot-07"));
    store.create_token(&made, &entry("token.create", "token")).await.unwrap();
    let enrolment = enrolment(1, 1);
    let outcome = store.enrol(&enrolment, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::Enrolled { name: "fra-bot-07".parse().unwrap() });

    let host = host(store, &host_id(1)).await;
    assert_eq!((host.name.as_str(), &host.labels), ("fra-bot-07", &made.labels));
    assert_eq!((host.trust, host.trust_reason.as_str()), (Trust::Pending, ""));
    assert_eq!((host.last_seen, host.agent_version.as_str()), (None, ""));
    assert_eq!((host.observed, host.confirmed, host.desired), (None, None, None));
    assert_eq!(host.enrolled_at, second(1));
    assert_eq!((host.lease_until, host.key_storage, host.awaits_approval), (None, KeyStorage::Tpm, false));
    assert_eq!((host.policy.as_str(), host.oem), ("", OemStanding::default()));

    let keys = store.host_keys(&host.id).await.unwrap();
    assert_eq!(keys, Some((enrolment.keys, enrolment.certificate_expires_at)));
    assert_eq!(store.measurements(&host.id).await.unwrap(), Some(enrolment.measurements));
    let (used, _) = store.token(&made.id, second(2)).await.unwrap().unwrap();
    assert_eq!((used.state, used.used_by), (TokenState::Used, Some(host.id)));
}

/// The fleet stays operable when nobody thought of a name.
pub async fn a_host_that_nobody_named_has_its_id_for_a_name(store: &dyn Store) {
    store.create_token(&token(1, None), &entry("token.create", "token")).await.unwrap();
    store.enrol(&enrolment(1, 1), &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(host(store, &host_id(1)).await.name.as_str(), host_id(1).as_str());
}

/// Used, revoked, expired, never made.
pub async fn a_token_that_is_not_open_admits_nobody(store: &dyn Store) {
    let audit = entry("host.enrol", "host");
    enrolled(store, 1).await;
    for number in [2, 3] {
        store.create_token(&token(number, None), &entry("token.create", "token")).await.unwrap();
    }
    store.revoke_token(&token_id(2), &entry("token.revoke", "token")).await.unwrap();
    let before = logged(store).await;

    let mut late = enrolment(3, 9);
    late.at = second(100);
    for (enrolment, expected) in [
        (enrolment(1, 9), EnrolOutcome::TokenNotUsable(TokenState::Used)),
        (enrolment(2, 9), EnrolOutcome::TokenNotUsable(TokenState::Revoked)),
        (late, EnrolOutcome::TokenNotUsable(TokenState::Expired)),
        (enrolment(4, 9), EnrolOutcome::NoSuchToken),
    ] {
        assert_eq!(store.enrol(&enrolment, &audit).await.unwrap(), expected);
    }
    assert_eq!(store.host(&host_id(9)).await.unwrap(), None);
    assert_eq!(logged(store).await, before);
}

/// Both had a valid proof; the token is for one.
pub async fn one_token_admits_one_of_two_hosts_at_once(store: &dyn Store) {
    store.create_token(&token(1, None), &entry("token.create", "token")).await.unwrap();
    let audit = entry("host.enrol", "host");
    let (first, second) = (enrolment(1, 1), enrolment(1, 2));
    let (first, second) = join(store.enrol(&first, &audit), store.enrol(&second, &audit)).await;
    let outcomes = [first.unwrap(), second.unwrap()];
    let winners = outcomes.iter().filter(|outcome| matches!(outcome, EnrolOutcome::Enrolled { .. })).count();
    assert_eq!(winners, 1, "{outcomes:?}");
    assert!(outcomes.contains(&EnrolOutcome::TokenNotUsable(TokenState::Used)), "{outcomes:?}");
    assert_eq!(store.hosts().await.unwrap().len(), 1);
}

/// New keys, same host: name and labels stay what operators know it by.
pub async fn the_same_tpm_is_renewed(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let mut other = token(2, None);
    other.labels = flota_model::Labels::default();
    store.create_token(&other, &entry("token.create", "token")).await.unwrap();
    let before = host(store, &id).await;

    let mut again = enrolment(2, 1);
    again.at = second(50);
    again.certificate_expires_at = second(2_000);
    let outcome = store.enrol(&again, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::Renewed { name: before.name.clone() });
    assert_eq!(host(store, &id).await, before);
    assert_eq!(store.host_keys(&id).await.unwrap(), Some((again.keys, second(2_000))));
    assert_eq!(store.measurements(&id).await.unwrap(), Some(measurements("token 2")));
    let (used, _) = store.token(&token_id(2), second(51)).await.unwrap().unwrap();
    assert_eq!((used.state, used.used_by), (TokenState::Used, Some(id)));
}

/// A token that was made for one host is not spent on another, whose trust it would reset.
pub async fn a_token_for_another_host_renews_nobody(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    store.create_token(&token(2, Some("another-name")), &entry("token.create", "token")).await.unwrap();
    let before = host(store, &id).await;
    let outcome = store.enrol(&enrolment(2, 1), &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::NameTaken { name: before.name.clone() });
    assert_eq!(host(store, &id).await, before);
    let (token, _) = store.token(&token_id(2), second(2)).await.unwrap().unwrap();
    assert_eq!(token.state, TokenState::Open);
}

/// A machine installed anew counts its reports from one again, and nothing confirms what it runs.
pub async fn a_renewal_forgets_what_the_host_said(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let report = UpdateReport {
        generation: None,
        sequence: 40,
        phase: UpdatePhase::Committed,
        running: Some(Digest::of(b"one")),
        version: "1.0.0".into(),
        detail: String::new(),
    };
    assert!(store.report(&id, &report, &entry("host.report", "host")).await.unwrap());
    let confirmed = Confirmed { running: report.running, generation: None, at: second(2) };
    let oem = OemStanding { evidence: "ok".into(), licence: "expired".into() };
    let (confirmed, policy, oem) = (Some(confirmed), Some("baseline@1".into()), Some(oem));
    judged(store, VerdictRecord { confirmed, policy, oem, ..pass(&id, 2, 60) }).await;

    store.create_token(&token(2, None), &entry("token.create", "token")).await.unwrap();
    store.enrol(&enrolment(2, 1), &entry("host.enrol", "host")).await.unwrap();
    let renewed = host(store, &id).await;
    assert_eq!((renewed.trust, renewed.observed, renewed.confirmed), (Trust::Pending, None, None));
    assert_eq!((renewed.lease_until, renewed.policy.as_str(), renewed.oem), (None, "", OemStanding::default()));
    let first = UpdateReport { sequence: 1, ..report };
    assert!(store.report(&id, &first, &entry("host.report", "host")).await.unwrap());
}

/// A token without a name admits any host; who made it need not know of the quarantine.
pub async fn a_renewal_lifts_no_quarantine(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let audit = entry("host.quarantine", "host");
    store.set_trust(&id, &[Trust::Pending], Trust::Quarantined, "incident 7", &audit).await.unwrap();
    store.create_token(&token(2, None), &entry("token.create", "token")).await.unwrap();
    store.enrol(&enrolment(2, 1), &entry("host.enrol", "host")).await.unwrap();
    let renewed = host(store, &id).await;
    assert_eq!((renewed.trust, renewed.trust_reason.as_str()), (Trust::Quarantined, "incident 7"));
}

/// A new token for a host that was taken out means that it shall be in again.
pub async fn a_renewal_lets_a_decommissioned_host_in_anew(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    let audit = entry("host.decommission", "host");
    store.set_trust(&id, &[Trust::Pending], Trust::Retired, "sold", &audit).await.unwrap();
    store.create_token(&token(2, None), &entry("token.create", "token")).await.unwrap();
    store.enrol(&enrolment(2, 1), &entry("host.enrol", "host")).await.unwrap();
    let renewed = host(store, &id).await;
    assert_eq!((renewed.trust, renewed.trust_reason.as_str()), (Trust::Pending, ""));
}

/// Ids are short digests; one that is met by another key must not take a host over.
pub async fn an_id_of_another_tpm_is_refused(store: &dyn Store) {
    let id = enrolled(store, 1).await;
    store.create_token(&token(2, None), &entry("token.create", "token")).await.unwrap();
    let before = (host(store, &id).await, store.host_keys(&id).await.unwrap(), logged(store).await);

    let mut other = enrolment(2, 2);
    other.host = id.clone();
    let outcome = store.enrol(&other, &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::NameTaken { name: before.0.name.clone() });
    let after = (host(store, &id).await, store.host_keys(&id).await.unwrap(), logged(store).await);
    assert_eq!(after, before);
    let (token, _) = store.token(&token_id(2), second(2)).await.unwrap().unwrap();
    assert_eq!(token.state, TokenState::Open);
}

/// A token promised a name, and an unnamed host came to have it first.
pub async fn a_name_of_another_host_is_refused(store: &dyn Store) {
    let name = host_id(1);
    for token in [token(1, Some(name.as_str())), token(2, None)] {
        assert!(store.create_token(&token, &entry("token.create", "token")).await.unwrap());
    }
    store.enrol(&enrolment(2, 1), &entry("host.enrol", "host")).await.unwrap();
    let outcome = store.enrol(&enrolment(1, 3), &entry("host.enrol", "host")).await.unwrap();
    assert_eq!(outcome, EnrolOutcome::NameTaken { name: name.as_str().parse().unwrap() });
    assert_eq!(store.host(&host_id(3)).await.unwrap(), None);
    let (token, _) = store.token(&token_id(1), second(2)).await.unwrap().unwrap();
    assert_eq!(token.state, TokenState::Open);
}
