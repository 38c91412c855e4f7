//! Quotes that no TPM made, that another key made, or that changed on the way.

use flota_attest::quote::{Reason, Verdict};

use super::{VALUES, facts, good, judge, judge_bytes, refuses};
use crate::soft_tpm::{CERTIFY, Host, P256_ORDER, certify_body, ecdsa_signature};

/// Signatures in place of the right one.
fn refuses_signatures(cases: &[(&str, Make, Reason)]) {
    let host = Host::new();
    let attest = good(&host).marshal();
    let (r, s) = host.ak_key.sign_raw(&attest);
    facts(judge_bytes(&host, &attest, &ecdsa_signature(&r, &s), &VALUES));
    for (what, make, reason) in cases {
        let verdict = judge_bytes(&host, &attest, &make(&r, &s), &VALUES);
        assert_eq!(verdict, Verdict::Fail(vec![*reason]), "{what}");
    }
}

type Make = fn(&[u8], &[u8]) -> Vec<u8>;

fn order() -> Vec<u8> {
    hex::decode(P256_ORDER).unwrap()
}

fn with_header(header: [u8; 4], r: &[u8], s: &[u8]) -> Vec<u8> {
    [&header[..], &ecdsa_signature(r, s)[4..]].concat()
}

#[test]
fn case_28_one_flipped_bit_anywhere_fails() {
    let host = Host::new();
    let attest = good(&host).marshal();
    let signature = host.ak_key.sign(&attest);
    facts(judge_bytes(&host, &attest, &signature, &VALUES));
    for bit in 0..attest.len() * 8 {
        let mut flipped = attest.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(judge_bytes(&host, &flipped, &signature, &VALUES), Verdict::Fail(vec![Reason::Signature]));
    }
    for bit in 0..signature.len() * 8 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(judge_bytes(&host, &attest, &flipped, &VALUES), Verdict::Fail(_)), "signature bit {bit}");
    }
    for bit in 0..VALUES.len() * 256 {
        let mut values = VALUES;
        values[bit / 256].1[bit % 256 / 8] ^= 1 << (bit % 8);
        let verdict = judge_bytes(&host, &attest, &signature, &values);
        assert_eq!(verdict, Verdict::Fail(vec![Reason::PcrDigest]), "PCR bit {bit}");
    }
}

/// Signed by the AK on record. That cannot be had from a TPM, whose restricted key signs nothing with another magic.
#[test]
fn case_29_a_magic_of_no_tpm_fails() {
    refuses(&[("one off", |a| a.magic = 0xff54_4348, Reason::Magic), ("zero", |a| a.magic = 0, Reason::Magic)]);
}

#[test]
fn case_30_something_else_than_a_quote_fails() {
    refuses(&[
        ("a certification", |a| (a.kind, a.body) = (CERTIFY, certify_body(&[0; 34], &[0; 34])), Reason::Type),
        ("the time", |a| a.kind = 0x8019, Reason::Type),
        ("a type that does not exist", |a| a.kind = 0xffff, Reason::Type),
        ("a quote's body as a certification", |a| a.kind = CERTIFY, Reason::AttestEncoding),
    ]);
}

#[test]
fn case_45_a_quote_of_another_enrolled_host_fails() {
    let (host, other) = (Host::new(), Host::new());
    let theirs = good(&other).marshal();
    let verdict = judge_bytes(&host, &theirs, &other.ak_key.sign(&theirs), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Signature]), "as it is");
    let dressed_up = good(&host).marshal();
    let verdict = judge_bytes(&host, &dressed_up, &other.ak_key.sign(&dressed_up), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Signature]), "with this host's qualified name");
}

#[test]
fn case_46_an_older_ak_of_the_same_host_fails() {
    let (host, older) = (Host::new(), Host::new());
    let attest = good(&host).marshal();
    let verdict = judge_bytes(&host, &attest, &older.ak_key.sign(&attest), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Signature]));
    refuses(&[
        ("qualified signer of an older AK", |a| a.signer[33] ^= 1, Reason::QualifiedSigner),
        ("qualified signer is a bare name", |a| a.signer.truncate(4), Reason::QualifiedSigner),
    ]);
    // The AK itself, but loaded in the owner hierarchy, where clock and firmware are obfuscated.
    let mut attestation = good(&host);
    attestation.signer = host.ak.qualified_name(&older.ak_qn).as_bytes().to_vec();
    assert_eq!(judge(&host, &attestation, &VALUES, None), Verdict::Fail(vec![Reason::QualifiedSigner]));
}

#[test]
fn case_47_a_signature_under_another_algorithms_header_fails() {
    refuses_signatures(&[
        ("RSAPSS", |r, s| with_header([0, 0x16, 0, 0x0b], r, s), Reason::SignatureAlgorithm),
        ("RSASSA", |r, s| with_header([0, 0x14, 0, 0x0b], r, s), Reason::SignatureAlgorithm),
        ("SHA-1", |r, s| with_header([0, 0x18, 0, 0x04], r, s), Reason::SignatureAlgorithm),
        ("SHA-384", |r, s| with_header([0, 0x18, 0, 0x0c], r, s), Reason::SignatureAlgorithm),
        ("null", |r, s| with_header([0, 0x10, 0, 0x10], r, s), Reason::SignatureAlgorithm),
    ]);
}

#[test]
fn case_48_numbers_outside_1_to_n_less_1_fail() {
    refuses_signatures(&[
        ("r is zero", |_, s| ecdsa_signature(&[0; 32], s), Reason::Signature),
        ("r is empty", |_, s| ecdsa_signature(&[], s), Reason::Signature),
        ("s is zero", |r, _| ecdsa_signature(r, &[0]), Reason::Signature),
        ("both are zero", |_, _| ecdsa_signature(&[0], &[0]), Reason::Signature),
        ("s is n", |r, _| ecdsa_signature(r, &order()), Reason::Signature),
        ("r is n", |_, s| ecdsa_signature(&order(), s), Reason::Signature),
        ("r is wider than the curve", |r, s| ecdsa_signature(&[&[1][..], r].concat(), s), Reason::Signature),
    ]);
}

/// A signature is evidence about its message, never an identifier; so its twin may stand for it.
#[test]
fn case_48_the_other_s_verifies_as_well() {
    let host = Host::new();
    let attest = good(&host).marshal();
    let (r, s) = host.ak_key.sign_raw(&attest);
    let twin = ecdsa_signature(&r, &minus(&order(), &s));
    facts(judge_bytes(&host, &attest, &twin, &VALUES));
}

#[test]
fn case_48_numbers_may_be_padded_or_stripped() {
    let host = Host::new();
    let attest = good(&host).marshal();
    let (r, s) = host.ak_key.sign_raw(&attest);
    let padded = ecdsa_signature(&[&[0, 0][..], &r].concat(), &[&[0][..], &s].concat());
    facts(judge_bytes(&host, &attest, &padded, &VALUES));
    facts(judge_bytes(&host, &attest, &stripped_signature(&host, &attest), &VALUES));
}

#[test]
fn case_49_bytes_after_the_end_fail() {
    refuses(&[("in the attestation", |a| a.body.push(0), Reason::AttestEncoding)]);
    refuses_signatures(&[
        ("in the signature", |r, s| [&ecdsa_signature(r, s)[..], &[0]].concat(), Reason::SignatureEncoding),
        ("a signature cut short", |r, s| ecdsa_signature(r, s)[..71].to_vec(), Reason::SignatureEncoding),
        ("no signature", |_, _| Vec::new(), Reason::SignatureEncoding),
    ]);
}

/// What the transport's limit lets through is still bounded field by field.
#[test]
fn case_50_lengths_that_cannot_be_fail() {
    refuses(&[
        ("2^32 - 1 banks", |a| a.body[..4].fill(0xff), Reason::AttestEncoding),
        ("a bitmap of 255 bytes", |a| a.body[6] = 0xff, Reason::AttestEncoding),
        ("a digest of 65,535 bytes", |a| a.body[10..12].fill(0xff), Reason::AttestEncoding),
    ]);
    refuses_signatures(&[(
        "a number of 65,535 bytes",
        |_, _| vec![0, 0x18, 0, 0x0b, 0xff, 0xff],
        Reason::SignatureEncoding,
    )]);
    let host = Host::new();
    let attest = vec![0xff; 1024 * 1024];
    let verdict = judge_bytes(&host, &attest, &host.ak_key.sign(&attest), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Magic]), "a megabyte, signed");
}

/// Signs until a half begins with a zero byte, and strips it as some TPMs do; one signature in 128 does.
fn stripped_signature(host: &Host, attest: &[u8]) -> Vec<u8> {
    fn strip(number: &[u8]) -> &[u8] {
        number.strip_prefix(&[0]).unwrap_or(number)
    }
    std::iter::repeat_with(|| host.ak_key.sign_raw(attest))
        .take(10_000)
        .find(|(r, s)| r[0] == 0 || s[0] == 0)
        .map(|(r, s)| ecdsa_signature(strip(&r), strip(&s)))
        .expect("a short number among 10,000 signatures")
}

/// The difference of two big-endian numbers of one width.
fn minus(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = left
        .iter()
        .zip(right)
        .rev()
        .map(|(left, right)| {
            let digit = i16::from(*left) - i16::from(*right) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap()
        })
        .collect();
    difference.reverse();
    difference
}
