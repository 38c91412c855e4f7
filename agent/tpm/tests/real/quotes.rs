//! Negative cases of quotes that a TPM itself can bring about, judged by the controller's verifier.

use flota_attest::quote::Reason;
use flota_attest::rules::check_ak_public;
use flota_tpm::{Quote, Tpm};
use sha2::{Digest as _, Sha256};

use crate::bench::Host;
use crate::controller::{NONCE, Record, Values, passed};
use crate::raw::{self, SHA1, SHA256, Signed};

/// PCRs 0 and 16, as asked for in every case.
const ASKED: [u8; 2] = [0, 16];
const BITMAP: &[u8] = &[0x01, 0x00, 0x01];

struct Case {
    host: Host,
    tpm: Tpm,
    record: Record,
}

impl Case {
    /// A host whose honest quote passes.
    fn new() -> Self {
        let host = Host::new();
        host.swtpm.extend_pcr(16, [1; 32]).unwrap();
        let tpm = host.open().unwrap();
        let record = Record::of(&tpm);
        let case = Self { host, tpm, record };
        passed(case.record.judge_quote(&case.honest(), None));
        case
    }

    fn honest(&self) -> Quote {
        self.tpm.quote(NONCE, &ASKED).unwrap()
    }

    fn ak(&self) -> u32 {
        raw::handle(&self.host.swtpm, &self.record.ak.to_2b())
    }

    fn quote(&self, nonce: &[u8], selections: &[(u16, &[u8])]) -> Signed {
        raw::quote(&self.host.swtpm, self.ak(), nonce, selections)
    }

    fn values(&self, indices: &[u8]) -> Values {
        indices.iter().map(|index| (*index, self.host.swtpm.read_pcr(*index).unwrap())).collect()
    }

    /// A quote of the given selections, with the values that were asked for.
    fn assert_selection_fails(&self, selections: &[(u16, &[u8])], reasons: &[Reason], what: &str) {
        let signed = self.quote(&NONCE, selections);
        self.assert_fails(&signed, &self.values(&ASKED), reasons, what);
    }

    fn assert_fails(&self, (attest, signature): &Signed, values: &[(u8, [u8; 32])], reasons: &[Reason], what: &str) {
        self.record.assert_fails((attest, signature), values, &ASKED, reasons, what);
    }
}

#[test]
fn case_28_one_flipped_bit_of_a_real_quote_fails() {
    let case = Case::new();
    let Quote { attest, signature, pcr_values } = case.honest();
    for bit in 0..attest.len() * 8 {
        let mut flipped = attest.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        case.assert_fails(&(flipped, signature.clone()), &pcr_values, &[Reason::Signature], "attest");
    }
    for bit in 0..signature.len() * 8 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verdict = case.record.judge((&attest, &flipped), &pcr_values, &ASKED, None);
        assert!(matches!(verdict, flota_attest::quote::Verdict::Fail(_)), "signature bit {bit}");
    }
    for bit in 0..pcr_values.len() * 256 {
        let mut flipped = pcr_values.clone();
        flipped[bit / 256].1[bit % 256 / 8] ^= 1 << (bit % 8);
        case.assert_fails(&(attest.clone(), signature.clone()), &flipped, &[Reason::PcrDigest], "value");
    }
}

/// The unrestricted TLS key signs whatever it is given, a quote over invented PCRs too. That is why the attestation key
/// must be restricted, and why the controller takes it from its record and never from the evidence.
#[test]
fn case_29_a_quote_forged_with_an_unrestricted_key_of_the_same_tpm_fails() {
    let case = Case::new();
    let honest = case.honest();
    let values: Values = vec![(0, [0xAA; 32]), (16, [0xBB; 32])];
    let digest_of_values = Sha256::digest(values.iter().flat_map(|(_, value)| *value).collect::<Vec<u8>>());
    let mut forged = honest.attest.clone();
    let start = forged.len() - 32;
    forged[start..].copy_from_slice(&digest_of_values);

    let digest: [u8; 32] = Sha256::digest(&forged).into();
    let tls = raw::handle(&case.host.swtpm, &case.record.tls.to_2b());
    let signature = raw::sign(&case.host.swtpm, tls, &digest).unwrap();
    case.assert_fails(&(forged.clone(), signature.clone()), &values, &[Reason::Signature], "forged");
    let refused = raw::sign(&case.host.swtpm, case.ak(), &digest);
    assert!(refused.is_err(), "a restricted key signs no digest that the TPM did not make: {refused:?}");

    // Taken for an attestation key, it would have passed.
    let mut gullible = Record::of(&case.tpm);
    gullible.ak = gullible.tls.clone();
    passed(gullible.judge((&forged, &signature), &values, &ASKED, None));
    assert_eq!(check_ak_public(&gullible.ak).unwrap_err().code(), "ak_attrs", "case 9");
}

#[test]
fn case_30_a_certification_and_the_time_are_no_quotes() {
    let case = Case::new();
    let tls = raw::handle(&case.host.swtpm, &case.record.tls.to_2b());
    let certified = raw::certify(&case.host.swtpm, case.ak(), tls, &NONCE).unwrap();
    let time = raw::time(&case.host.swtpm, case.ak(), &NONCE);
    case.assert_fails(&certified, &case.values(&ASKED), &[Reason::Type], "certification");
    case.assert_fails(&time, &case.values(&ASKED), &[Reason::Type], "time");
}

#[test]
fn case_31_to_33_a_quote_of_another_nonce_or_of_none_fails() {
    let case = Case::new();
    let nonces: [&[u8]; 5] = [&[0x5B; 32], &[], &NONCE[..16], &[0x5A; 33], &[0x5A; 64]];
    for nonce in nonces {
        let signed = case.quote(nonce, &[(SHA256, BITMAP)]);
        let what = format!("{} bytes", nonce.len());
        case.assert_fails(&signed, &case.values(&ASKED), &[Reason::QualifyingData], &what);
    }
}

#[test]
fn case_34_the_same_quote_does_not_pass_twice() {
    let case = Case::new();
    let quote = case.honest();
    let last = passed(case.record.judge_quote(&quote, None)).clock_state();
    let again = case.record.judge_quote(&quote, Some(last));
    assert_eq!(again, flota_attest::quote::Verdict::Fail(vec![Reason::ClockNotAdvanced]));
    let facts = passed(case.record.judge_quote(&later(&case), Some(last)));
    assert!(facts.clock > last.clock);
}

/// A quote made when the TPM's clock, which counts milliseconds, has advanced.
fn later(case: &Case) -> Quote {
    let clock = |quote: &Quote| flota_attest::attest::Attest::parse(&quote.attest).unwrap().clock.clock;
    let first = clock(&case.honest());
    std::iter::repeat_with(|| case.honest()).find(|quote| clock(quote) > first).unwrap()
}

/// A TPM quotes a bank that it does not keep: no PCR, and the digest of nothing.
#[test]
fn case_36_a_quote_of_a_bank_that_the_tpm_does_not_keep_fails() {
    let case = Case::new();
    let signed = case.quote(&NONCE, &[(SHA1, BITMAP)]);
    case.assert_fails(&signed, &[], &[Reason::Selection, Reason::PcrValues], "with no values");
    let both = [Reason::Selection, Reason::PcrDigest];
    case.assert_fails(&signed, &case.values(&ASKED), &both, "with the values asked for");
    let signed = case.quote(&NONCE, &[(SHA256, &[0, 0, 0])]);
    case.assert_fails(&signed, &case.values(&ASKED), &both, "an empty selection of the right bank");
    let signed = case.quote(&NONCE, &[]);
    case.assert_fails(&signed, &case.values(&ASKED), &both, "no selection");
}

#[test]
fn case_37_and_38_a_quote_of_fewer_or_more_pcrs_fails() {
    let case = Case::new();
    let both = [Reason::Selection, Reason::PcrDigest];
    case.assert_selection_fails(&[(SHA256, &[1, 0, 0])], &both, "a subset");
    case.assert_selection_fails(&[(SHA256, &[1, 0, 3])], &both, "a superset");
    // With values that fit what was quoted, and not what was asked for.
    let signed = case.quote(&NONCE, &[(SHA256, &[1, 0, 0])]);
    let both = [Reason::Selection, Reason::PcrValues];
    case.assert_fails(&signed, &case.values(&[0]), &both, "a subset with its values");
}

/// Anybody may reset PCR 16 and extend it to any value (CVE-2024-29039).
#[test]
fn case_39_pcr_16_relabelled_as_pcr_0_fails() {
    let case = Case::new();
    let (attest, signature) = case.quote(&NONCE, &[(SHA256, &[0, 0, 1])]);
    let (_, value) = case.values(&[16])[0];
    let reasons = [Reason::Selection];
    case.record.assert_fails(
        (&attest, &signature),
        &[(0, value)],
        &[0],
        &reasons,
        "the digest is right, the PCR is not",
    );
}

#[test]
fn case_40_a_bank_quoted_twice_fails() {
    let case = Case::new();
    let both = [Reason::Selection, Reason::PcrDigest];
    case.assert_selection_fails(&[(SHA256, BITMAP), (SHA256, BITMAP)], &both, "the same twice");
    // The TPM digests the values in the order of the entries: the digest is the right one.
    let split: [(u16, &[u8]); 2] = [(SHA256, &[1, 0, 0]), (SHA256, &[0, 0, 1])];
    case.assert_selection_fails(&split, &[Reason::Selection], "split in two");
}

#[test]
fn case_41_the_sha1_bank_of_a_tpm_that_keeps_one_fails() {
    let mut case = Case::new();
    raw::allocate(&case.host.swtpm, &[(SHA1, &[0xFF; 3]), (SHA256, &[0xFF; 3])]);
    case.host.swtpm.restart().unwrap();
    // Loads the keys again.
    case.honest();
    let both = [Reason::Selection, Reason::PcrDigest];
    case.assert_selection_fails(&[(SHA1, BITMAP)], &both, "SHA-1 alone");
    case.assert_selection_fails(&[(SHA256, BITMAP), (SHA1, BITMAP)], &both, "SHA-1 as well");
}

#[test]
fn case_42_no_tpm_takes_a_wider_bitmap() {
    let case = Case::new();
    let parameters = [&raw::tpm2b(&NONCE)[..], &[0, 0x10, 0, 0, 0, 1, 0, 0x0B, 4, 1, 0, 1, 0x80]].concat();
    let refused = case.host.swtpm.command(0x158, &[case.ak()], 1, &parameters);
    assert!(refused.is_err(), "so the verifier's own test must make the bytes up: {refused:?}");
}

#[test]
fn case_43_and_44_other_values_than_those_quoted_fail() {
    let case = Case::new();
    let Quote { attest, signature, pcr_values } = case.honest();
    let signed = (attest, signature);
    let [zero, sixteen] = pcr_values[..] else { panic!("two values") };
    case.assert_fails(&signed, &case.values(&[0, 16, 17]), &[Reason::PcrValues], "one too many");
    case.assert_fails(&signed, &[zero], &[Reason::PcrValues], "one too few");
    case.assert_fails(&signed, &[sixteen, zero], &[Reason::PcrValues], "in another order");
    case.assert_fails(&signed, &[(0, sixteen.1), (16, zero.1)], &[Reason::PcrDigest], "exchanged");
}

#[test]
fn case_45_a_quote_by_another_hosts_tpm_fails() {
    let (case, other) = (Case::new(), Case::new());
    let theirs = other.honest();
    let verdict = case.record.judge_quote(&theirs, None);
    assert_eq!(verdict, flota_attest::quote::Verdict::Fail(vec![Reason::Signature]));
    passed(other.record.judge_quote(&theirs, None));
}

#[test]
fn case_46_a_quote_by_an_older_ak_of_the_same_tpm_fails() {
    let mut case = Case::new();
    let older = case.honest();
    drop(case.tpm);
    std::fs::remove_file(case.host.config().state_dir.join("tpm-keys.json")).unwrap();
    case.tpm = case.host.open().unwrap();
    let renewed = Record::of(&case.tpm);
    assert_eq!(renewed.ek, case.record.ek);
    let verdict = renewed.judge_quote(&older, None);
    assert_eq!(verdict, flota_attest::quote::Verdict::Fail(vec![Reason::Signature]));
    passed(renewed.judge_quote(&case.tpm.quote(NONCE, &ASKED).unwrap(), None));
}

#[test]
fn case_47_a_real_signature_under_another_header_fails() {
    let case = Case::new();
    let Quote { attest, signature, pcr_values } = case.honest();
    for header in [[0, 0x16, 0, 0x0B], [0, 0x14, 0, 0x0B], [0, 0x18, 0, 0x04], [0, 0x18, 0, 0x0C]] {
        let swapped = [&header[..], &signature[4..]].concat();
        case.assert_fails(&(attest.clone(), swapped), &pcr_values, &[Reason::SignatureAlgorithm], "header");
    }
}

#[test]
fn case_49_a_real_quote_with_a_byte_more_fails() {
    let case = Case::new();
    let Quote { attest, signature, pcr_values } = case.honest();
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    case.assert_fails(&(longer(&attest), signature.clone()), &pcr_values, &[Reason::Signature], "attest");
    case.assert_fails(&(attest, longer(&signature)), &pcr_values, &[Reason::SignatureEncoding], "signature");
}
