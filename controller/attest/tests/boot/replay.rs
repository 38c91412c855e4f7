//! From a log to PCR values.

use std::collections::BTreeMap;

use flota_attest::event_log::{EventKind, EventLog, EventLogError, LogFinding, first_difference};

use crate::built::{Log, debian, sha256};

const LOCALITY_3: &[u8] = b"StartupLocality\0\x03";

#[test]
fn a_log_replays_to_what_the_tpm_holds() {
    let log = debian().parse();
    let held = debian().pcrs();
    for (pcr, value) in log.replay() {
        assert_eq!((value, log.replayed(pcr)), (held[&pcr], held[&pcr]), "PCR {pcr}");
    }
    assert_eq!(log.replay().into_keys().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14]);
    assert_eq!(log.check(&held), []);
}

#[test]
fn a_value_is_the_hash_of_the_old_one_and_the_digest() {
    let mut log = Log::empty();
    log.hashed(8, EventKind::IPL, "a").hashed(8, EventKind::IPL, "b");
    let first = sha256(&[[0; 32], sha256(b"a")].concat());
    let second = sha256(&[first, sha256(b"b")].concat());
    assert_eq!(log.parse().replay(), BTreeMap::from([(8, second)]));
}

#[test]
fn what_is_not_extended_is_not_replayed() {
    let mut log = debian();
    log.hashed(0, EventKind::NO_ACTION, "SP800-155 Event\0").hashed(11, EventKind::NO_ACTION, "");
    assert_eq!(log.parse().replay(), debian().parse().replay());
    assert_eq!(log.parse().check(&debian().pcrs()), []);
}

#[test]
fn pcrs_of_dynamic_launch_start_at_all_ones() {
    let mut log = Log::empty();
    for pcr in 16..24 {
        log.hashed(pcr, EventKind::from_number(0x402), "launched");
    }
    let replayed = log.parse().replay();
    for pcr in 16..24_u8 {
        let initial = if (17..=22).contains(&pcr) { [0xff; 32] } else { [0; 32] };
        assert_eq!(replayed[&pcr], sha256(&[initial, sha256(b"launched")].concat()), "PCR {pcr}");
        assert_eq!(Log::empty().parse().replayed(pcr), initial);
    }
}

#[test]
fn case_62_the_startup_locality_is_where_pcr_0_starts() {
    for locality in [0, 3, 4] {
        let mut log = Log::empty();
        log.hashed(0, EventKind::NO_ACTION, [&LOCALITY_3[..16], &[locality]].concat());
        log.events.extend(debian().events);
        assert_eq!(log.parse().check(&debian().pcrs_from(locality)), [], "locality {locality}");
    }
    let mut alone = Log::empty();
    alone.hashed(0, EventKind::NO_ACTION, LOCALITY_3);
    let mut initial = [0; 32];
    initial[31] = 3;
    assert_eq!(alone.parse().replay(), BTreeMap::from([(0, initial)]));
    assert_eq!(alone.parse().check(&BTreeMap::from([(0, initial)])), []);

    // Left out, or made up: PCR 0 is another.
    for (log, locality) in [(debian().parse(), 3), (with_locality(3), 0), (with_locality(4), 3)] {
        let findings = log.check(&debian().pcrs_from(locality));
        assert!(matches!(findings[..], [LogFinding::Replay { pcr: 0, .. }]), "{findings:?}");
    }
}

#[test]
fn case_62_a_startup_locality_that_cannot_be_is_refused() {
    let refused = |log: &Log, event| {
        assert_eq!(EventLog::parse(&log.bytes()), Err(EventLogError::StartupLocality { event }));
    };
    for data in
        [&b"StartupLocality\0\x01"[..], b"StartupLocality\0\x05", b"StartupLocality\0\xff", b"StartupLocality\0"]
    {
        refused(Log::empty().hashed(0, EventKind::NO_ACTION, data), 1);
    }
    refused(Log::empty().hashed(0, EventKind::NO_ACTION, [LOCALITY_3, &[0]].concat()), 1);
    refused(Log::empty().hashed(1, EventKind::NO_ACTION, LOCALITY_3), 1);
    refused(Log::empty().hashed(0, EventKind::NO_ACTION, LOCALITY_3).hashed(0, EventKind::NO_ACTION, LOCALITY_3), 2);
    refused(Log::empty().separators([0]).hashed(0, EventKind::NO_ACTION, LOCALITY_3), 2);
    // Before the first event of PCR 0, others may have been.
    assert!(EventLog::parse(&Log::empty().separators([1]).hashed(0, EventKind::NO_ACTION, LOCALITY_3).bytes()).is_ok());
    // Of another type it is data like any other.
    assert_eq!(Log::empty().hashed(8, EventKind::IPL, LOCALITY_3).parse().replay().len(), 1);
}

#[test]
fn a_boot_pcr_without_events_has_its_initial_value() {
    let log = Log::empty().parse();
    let blank: BTreeMap<u8, [u8; 32]> = (0..8).map(|pcr| (pcr, [0; 32])).collect();
    assert_eq!(log.check(&blank), []);
    let quoted = BTreeMap::from([(6, [6; 32])]);
    assert_eq!(log.check(&quoted), [LogFinding::Replay { pcr: 6, replayed: [0; 32], quoted: [6; 32] }]);
}

#[test]
fn what_the_system_measures_later_is_information_and_no_finding() {
    let log = debian().parse();
    let mut held = debian().pcrs();
    held.insert(8, [8; 32]);
    held.insert(11, [11; 32]);
    held.insert(16, [16; 32]);
    assert_eq!(log.check(&held), []);
    assert_eq!(log.extended_later(&held), [8, 11]);
    assert_eq!(log.extended_later(&debian().pcrs()), [0_u8; 0]);
}

#[test]
fn case_59_an_event_removed_inserted_or_moved_is_noticed() {
    let held = debian().pcrs();
    let boot_events =
        |log: &Log| -> Vec<usize> { (0..log.events.len()).filter(|at| log.events[*at].pcr < 8).collect() };
    let mismatch = |log: &Log, pcr: u32, what: &str| {
        let findings = log.parse().check(&held);
        let replays = |finding: &LogFinding| finding.code() == "log_replay" && u32::from(finding.pcr()) == pcr;
        assert!(findings.iter().any(replays), "{what}: {findings:?}");
    };
    for at in boot_events(&debian()) {
        let mut log = debian();
        let removed = log.events.remove(at);
        mismatch(&log, removed.pcr, &format!("event {at} removed"));

        let mut log = debian();
        let copy = log.events[at].clone();
        log.events.insert(at, copy.clone());
        mismatch(&log, copy.pcr, &format!("event {at} inserted"));

        let mut log = debian();
        log.events[at].digest[31] ^= 1;
        mismatch(&log, copy.pcr, &format!("digest of event {at} changed"));

        let mut log = debian();
        log.events[at].pcr ^= 1;
        mismatch(&log, copy.pcr, &format!("event {at} moved to another PCR"));
    }
    let mut log = debian();
    let shim = log.find(4, EventKind::EFI_BOOT_SERVICES_APPLICATION);
    let action = log.find(4, EventKind::EFI_ACTION);
    log.events.swap(shim, action);
    mismatch(&log, 4, "two events swapped");
    // The order among PCRs is not measured.
    let mut log = debian();
    log.events.sort_by_key(|event| event.pcr);
    assert_eq!(log.parse().check(&held), []);
}

#[test]
fn the_first_event_that_differs_is_found_and_named() {
    let (reference, actual) = (debian().parse(), crate::built::boot("on", "vmlinuz-6.1.0-20-amd64").parse());
    let difference = first_difference(&reference, &actual, 4).unwrap();
    assert_eq!((difference.pcr, difference.number), (4, 5));
    let digest = |kernel: &str| hex::encode(&sha256(kernel.as_bytes())[..6]);
    assert_eq!(
        difference.to_string(),
        format!(
            "PCR 4, event 5 of it: expected EV_EFI_BOOT_SERVICES_APPLICATION \\boot\\vmlinuz-6.1.0-18-amd64 ({}…), \
             measured EV_EFI_BOOT_SERVICES_APPLICATION \\boot\\vmlinuz-6.1.0-20-amd64 ({}…)",
            digest("vmlinuz-6.1.0-18-amd64"),
            digest("vmlinuz-6.1.0-20-amd64"),
        )
    );
    assert_eq!(first_difference(&reference, &actual, 7), None);
    assert_eq!(first_difference(&reference, &reference, 4), None);
}

#[test]
fn a_log_that_ends_earlier_differs_where_it_ends() {
    let (short, long) = (Log::empty().separators([6]).parse(), debian().parse());
    assert_eq!(first_difference(&short, &long, 6), None);
    let shown = first_difference(&short, &long, 3).unwrap().to_string();
    assert_eq!(shown, "PCR 3, event 1 of it: expected nothing more, measured EV_SEPARATOR (df3f619804a9…)");
    assert_eq!(first_difference(&long, &short, 3).unwrap().actual, None);
    // Another startup locality is where PCR 0 parts, though no event of it is extended.
    let shown = first_difference(&long, &with_locality(3), 0).unwrap().to_string();
    assert!(shown.ends_with("measured EV_NO_ACTION startup locality 3"), "{shown}");
    assert_eq!(first_difference(&with_locality(3), &with_locality(3), 0), None);
    assert_eq!(first_difference(&with_locality(0), &long, 0), None);
}

fn with_locality(locality: u8) -> EventLog {
    let mut log = Log::empty();
    log.hashed(0, EventKind::NO_ACTION, [&LOCALITY_3[..16], &[locality]].concat());
    log.events.extend(debian().events);
    log.parse()
}
