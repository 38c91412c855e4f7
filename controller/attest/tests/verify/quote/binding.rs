//! Quotes that answer something else than the challenge: another nonce, another time, another connection.
//!
//! To the verifier nonce, host, certificate and connection are one hash. What goes into it is the controller's, so cases
//! 57 and 58 are told apart in the scenarios with a real controller.

use flota_attest::quote::{ClockState, Reason, Verdict};

use super::{NONCE, VALUES, facts, good, judge, judge_bytes, refuses};
use crate::soft_tpm::Host;

#[test]
fn case_31_a_stale_nonce_fails() {
    refuses(&[("of another challenge", |a| a.extra_data = vec![0xa5; 32], Reason::QualifyingData)]);
}

#[test]
fn case_32_the_nonce_of_another_host_fails() {
    refuses(&[
        ("the last bit differs", |a| a.extra_data[31] ^= 1, Reason::QualifyingData),
        ("the first bit differs", |a| a.extra_data[0] ^= 0x80, Reason::QualifyingData),
    ]);
}

#[test]
fn case_33_a_nonce_of_another_length_fails() {
    refuses(&[
        ("none", |a| a.extra_data.clear(), Reason::QualifyingData),
        ("a prefix", |a| a.extra_data.truncate(16), Reason::QualifyingData),
        ("with a tail", |a| a.extra_data.push(0), Reason::QualifyingData),
        ("as long as TPM2B_DATA may be", |a| a.extra_data.resize(66, 0x5a), Reason::QualifyingData),
        ("longer than TPM2B_DATA may be", |a| a.extra_data.resize(67, 0x5a), Reason::AttestEncoding),
    ]);
}

/// The same bytes once more, where even the nonce repeats: the clock alone gives them away.
#[test]
fn case_34_yesterdays_pass_does_not_pass_again() {
    let host = Host::new();
    let attest = good(&host).marshal();
    let signature = host.ak_key.sign(&attest);
    let yesterday = facts(judge_bytes(&host, &attest, &signature, &VALUES)).clock_state();
    let again = super::judge_after(&host, &attest, &signature, &VALUES, Some(yesterday));
    assert_eq!(again, Verdict::Fail(vec![Reason::ClockNotAdvanced]));
}

#[test]
fn case_34_a_replay_after_a_reboot_is_a_rollback() {
    let host = Host::new();
    let today = ClockState { clock: 1, reset_count: 8, restart_count: 0, firmware: 0x10002 };
    let verdict = judge(&host, &good(&host), &VALUES, Some(today));
    assert_eq!(verdict, Verdict::Fail(vec![Reason::ResetRollback]));
    assert_eq!(good(&host).extra_data, NONCE, "and that although the nonce repeats");
}
