//! Quotes over other PCRs than were asked for, and values that were not quoted.
//!
//! A quote signs a selection and a digest, never values: whoever does not compare both accepts PCR 16, which anybody can
//! reset, as PCR 0 (CVE-2024-29039, CVE-2022-0317).

use flota_attest::quote::{Reason, Verdict};

use super::{BITMAP, NONCE, VALUES, Values, facts, good, judge};
use crate::soft_tpm::{Host, QUOTE, SHA1, SHA256_ID, quote_body};

type Attested = &'static [(u16, &'static [u8])];

/// Selections that were signed instead of PCR 0 and 16 of SHA-256, with the digest of the right values.
fn refuses_selections(selections: &[(&str, Attested)]) {
    let host = Host::new();
    for (what, attested) in selections {
        let attestation = host.attestation(QUOTE, NONCE, quote_body(attested, &VALUES));
        let verdict = judge(&host, &attestation, &VALUES, None);
        assert_eq!(verdict, Verdict::Fail(vec![Reason::Selection]), "{what}");
    }
}

/// Values that came with a truthful quote instead of the quoted ones.
fn refuses_values(values: &[(&str, Values<'_>, Reason)]) {
    let host = Host::new();
    for (what, values, reason) in values {
        assert_eq!(judge(&host, &good(&host), values, None), Verdict::Fail(vec![*reason]), "{what}");
    }
}

#[test]
fn case_36_an_empty_selection_fails() {
    refuses_selections(&[("unallocated bank", &[(SHA256_ID, &[0, 0, 0])]), ("no bank", &[])]);
    // With the digest over nothing, which is what a TPM signs for a bank that it does not keep.
    let host = Host::new();
    let attestation = host.attestation(QUOTE, NONCE, quote_body(&[(SHA256_ID, &[0, 0, 0])], &[]));
    let verdict = judge(&host, &attestation, &[], None);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Selection, Reason::PcrValues]));
}

#[test]
fn case_37_a_subset_fails() {
    refuses_selections(&[("PCR 0 alone", &[(SHA256_ID, &[1, 0, 0])]), ("PCR 16 alone", &[(SHA256_ID, &[0, 0, 1])])]);
}

#[test]
fn case_38_a_superset_fails() {
    refuses_selections(&[("PCR 17 too", &[(SHA256_ID, &[1, 0, 3])]), ("all", &[(SHA256_ID, &[0xff; 3])])]);
}

#[test]
fn case_39_a_resettable_pcr_relabelled_as_another_fails() {
    refuses_selections(&[("PCR 23 as PCR 16", &[(SHA256_ID, &[1, 0, 0x80])])]);
    let [zero, sixteen] = VALUES;
    refuses_values(&[("PCR 16 as PCR 1", &[zero, (1, sixteen.1)], Reason::PcrValues)]);
}

#[test]
fn case_40_a_bank_that_is_listed_twice_fails() {
    refuses_selections(&[
        ("the same twice", &[(SHA256_ID, BITMAP), (SHA256_ID, BITMAP)]),
        ("the selection split over two entries", &[(SHA256_ID, &[1, 0, 0]), (SHA256_ID, &[0, 0, 1])]),
        ("with an empty second entry", &[(SHA256_ID, BITMAP), (SHA256_ID, &[0, 0, 0])]),
    ]);
}

#[test]
fn case_41_the_sha1_bank_fails() {
    refuses_selections(&[
        ("instead", &[(SHA1, BITMAP)]),
        ("before", &[(SHA1, BITMAP), (SHA256_ID, BITMAP)]),
        ("after", &[(SHA256_ID, BITMAP), (SHA1, BITMAP)]),
        ("SHA-384", &[(0x000c, BITMAP)]),
    ]);
}

#[test]
fn case_42_high_bits_in_a_wide_bitmap_fail() {
    refuses_selections(&[
        ("bit 31", &[(SHA256_ID, &[1, 0, 1, 0x80])]),
        ("bit 63", &[(SHA256_ID, &[1, 0, 1, 0, 0, 0, 0, 0x80])]),
        ("a bitmap too narrow", &[(SHA256_ID, &[1, 0])]),
    ]);
    // Wide, and nothing in the width: the same selection.
    let host = Host::new();
    let wide = host.attestation(QUOTE, NONCE, quote_body(&[(SHA256_ID, &[1, 0, 1, 0])], &VALUES));
    facts(judge(&host, &wide, &VALUES, None));
}

#[test]
fn case_43_other_values_than_those_selected_fail() {
    let [zero, sixteen] = VALUES;
    refuses_values(&[
        ("one too many", &[zero, sixteen, (17, [0; 32])], Reason::PcrValues),
        ("one twice", &[zero, zero, sixteen], Reason::PcrValues),
        ("one missing", &[zero], Reason::PcrValues),
        ("none", &[], Reason::PcrValues),
        ("of a PCR that does not exist", &[zero, (255, sixteen.1)], Reason::PcrValues),
    ]);
}

#[test]
fn case_44_permuted_values_fail() {
    let [zero, sixteen] = VALUES;
    refuses_values(&[
        ("values exchanged", &[(0, sixteen.1), (16, zero.1)], Reason::PcrDigest),
        ("descending", &[sixteen, zero], Reason::PcrValues),
    ]);
}
