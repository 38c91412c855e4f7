//! A word each for evidence and licence, whichever of them is set up.

use std::fs;

use super::super::*;
use super::coded::Host;
use EvidenceStatus::{Expired, Invalid, Mismatch, Missing, Ok as Fine};

/// The words with both set up.
fn words(host: &Host) -> (Option<EvidenceStatus>, Option<EvidenceStatus>) {
    let found = host.standing(Some(&host.path("evidence.json")), Some(&host.path("license.json")));
    assert_eq!(found.problems().count() > 0, found.evidence != Some(Fine) || found.licence != Some(Fine), "{found:?}");
    (found.evidence, found.licence)
}

#[test]
fn evidence_and_licence_are_told_apart() {
    let host = Host::new();
    assert_eq!(words(&host), (Some(Fine), Some(Fine)));
    host.licence_with(r#""expires_at":"2026-07-01""#);
    assert_eq!(words(&host), (Some(Fine), Some(Expired)));
    fs::write(host.path("evidence.json"), "{").unwrap();
    assert_eq!(words(&host), (Some(Invalid), Some(Expired)));
}

#[test]
fn a_file_that_is_set_up_and_not_there_is_missing() {
    let mut host = Host::new();
    fs::remove_file(host.path("license.json")).unwrap();
    assert_eq!(words(&host), (Some(Fine), Some(Missing)));
    fs::remove_file(host.path("evidence.json")).unwrap();
    assert_eq!(words(&host), (Some(Missing), Some(Missing)));
    host.keyring = "/no/such/keyring".to_owned();
    assert_eq!(words(&host), (Some(Missing), Some(Missing)), "whatever else there is not");
}

#[test]
fn what_is_not_set_up_has_no_word() {
    let host = Host::new();
    assert_eq!(host.standing(None, None), Standing::default());
    let evidence = host.standing(Some(&host.path("evidence.json")), None);
    assert_eq!((evidence.evidence, evidence.licence), (Some(Fine), None));
    let licence = host.standing(None, Some(&host.path("license.json")));
    assert_eq!((licence.evidence, licence.licence), (None, Some(Fine)));
}

#[test]
fn a_licence_without_evidence_is_held_against_the_host_and_not_remembered() {
    let mut host = Host::new();
    let path = host.path("license.json");
    assert_eq!(host.standing(None, Some(&path)).licence, Some(Fine));
    assert!(!host.path("var/flota/licence-state.json").exists());
    host.expected = Some("OTHER".to_owned());
    let other = host.standing(None, Some(&path));
    assert_eq!(other.licence, Some(Mismatch));
    assert_eq!(other.problems().count(), 1);

    host.expected = None;
    assert_eq!(words(&host), (Some(Fine), Some(Fine)));
    assert!(host.path("var/flota/licence-state.json").exists());
    host.licence_with(r#""issued_at":"2025-12-31""#);
    assert_eq!(host.standing(None, Some(&path)).licence, Some(Invalid), "older than the one that was accepted");
}
