//! What a TPM's clock, counters and firmware may do between two quotes. `good` is clock 100000, reset 7, restart 2,
//! firmware 0x10002.

use flota_attest::quote::{ClockState, Reason, Verdict};

use crate::quote::{VALUES, facts, good, judge};
use crate::soft_tpm::Host;

const FIRMWARE: u64 = 0x10002;

const fn last(clock: u64, reset_count: u32, restart_count: u32, firmware: u64) -> ClockState {
    ClockState { clock, reset_count, restart_count, firmware }
}

/// What was known before the good quote, and why it then fails.
fn refuses(known: &[(&str, ClockState, &[Reason])]) {
    let host = Host::new();
    for (what, last, reasons) in known {
        let verdict = judge(&host, &good(&host), &VALUES, Some(*last));
        assert_eq!(verdict, Verdict::Fail(reasons.to_vec()), "{what}");
    }
}

/// What was known before, and what the pass then says: rebooted, unseen reboots, firmware changed.
fn passes(known: &[(&str, ClockState, (bool, u32, bool))]) {
    let host = Host::new();
    for (what, last, expected) in known {
        let facts = facts(judge(&host, &good(&host), &VALUES, Some(*last)));
        assert_eq!((facts.rebooted, facts.unseen_reboots, facts.firmware_changed), *expected, "{what}");
    }
}

#[test]
fn case_51_fewer_resets_than_before_fail() {
    refuses(&[
        ("a snapshot", last(1, 8, 0, FIRMWARE), &[Reason::ResetRollback]),
        ("long ago", last(1, u32::MAX, 0, FIRMWARE), &[Reason::ResetRollback]),
    ]);
}

#[test]
fn case_52_a_clock_that_does_not_advance_in_one_boot_fails() {
    refuses(&[
        ("back", last(100_001, 7, 2, FIRMWARE), &[Reason::ClockNotAdvanced]),
        ("still", last(100_000, 7, 2, FIRMWARE), &[Reason::ClockNotAdvanced]),
        ("back, after a resume", last(100_001, 7, 1, FIRMWARE), &[Reason::ClockNotAdvanced]),
    ]);
    passes(&[
        ("one millisecond", last(99_999, 7, 2, FIRMWARE), (false, 0, false)),
        ("resumed once", last(99_999, 7, 1, FIRMWARE), (false, 0, false)),
    ]);
}

/// A TPM Reset zeroes the restart count: fewer restarts are a rollback only within one boot.
#[test]
fn case_53_fewer_restarts_after_a_reboot_pass() {
    passes(&[
        ("and an earlier clock", last(200_000, 6, 9, FIRMWARE), (true, 0, false)),
        ("after three reboots", last(1, 4, 3, FIRMWARE), (true, 2, false)),
    ]);
    refuses(&[("in one boot", last(1, 7, 3, FIRMWARE), &[Reason::RestartRollback])]);
}

/// After a power loss the clock goes back and the TPM does not vouch for it for some seconds.
#[test]
fn case_54_a_power_loss_is_asked_again_and_then_passes() {
    let host = Host::new();
    let before = last(101_000, 6, 0, FIRMWARE);
    let mut attestation = good(&host);
    attestation.safe = 0;
    assert_eq!(judge(&host, &attestation, &VALUES, Some(before)), Verdict::Retry(Reason::ClockUnsafe));
    attestation.safe = 1;
    attestation.clock += 6_000;
    assert!(facts(judge(&host, &attestation, &VALUES, Some(before))).rebooted);
    attestation.safe = 2;
    let verdict = judge(&host, &attestation, &VALUES, Some(before));
    assert_eq!(verdict, Verdict::Fail(vec![Reason::AttestEncoding]), "neither yes nor no");
}

#[test]
fn case_55_older_firmware_fails() {
    refuses(&[
        ("in one boot", last(1, 7, 2, 0x10003), &[Reason::FirmwareDowngrade]),
        ("after a reboot", last(1, 6, 2, 0x10003), &[Reason::FirmwareDowngrade]),
        ("by a major version", last(1, 6, 2, u64::MAX), &[Reason::FirmwareDowngrade]),
    ]);
    passes(&[("newer after a reboot", last(1, 6, 0, 0x10001), (true, 0, true))]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    refuses(&[(
        "firmware, restarts and clock",
        last(200_000, 7, 9, 0x20000),
        &[Reason::FirmwareDowngrade, Reason::RestartRollback, Reason::ClockNotAdvanced],
    )]);
}
