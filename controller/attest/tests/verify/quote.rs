//! Quotes: what passes, what fails and why, what is asked again.

use flota_attest::quote::{ClockState, QuoteEvidence, QuoteExpectation, QuoteFacts, Reason, Verdict, verify_quote};
use flota_attest::selection::{Bank, Selection};

use crate::soft_tpm::{
    Attestation, CERTIFY, EccPublic, Host, P256_ORDER, QUOTE, SHA1, SHA256_ID, SoftKey, certify_body, ecdsa_signature,
    quote_body,
};

const NONCE: [u8; 32] = [0x5a; 32];
const VALUES: [(u8, [u8; 32]); 2] = [(0, [0x10; 32]), (16, [0x16; 32])];
const BITMAP: &[u8] = &[0x01, 0x00, 0x01];

type Attested = &'static [(u16, &'static [u8])];
type Values<'a> = &'a [(u8, [u8; 32])];

fn selection() -> Selection {
    Selection::new(Bank::Sha256, [0, 16]).unwrap()
}

fn good(host: &Host) -> Attestation {
    host.attestation(QUOTE, NONCE, quote_body(&[(SHA256_ID, BITMAP)], &VALUES))
}

fn judge_bytes(host: &Host, attest: &[u8], signature: &[u8], values: &[(u8, [u8; 32])]) -> Verdict {
    judge_after(host, attest, signature, values, None)
}

fn judge_after(
    host: &Host,
    attest: &[u8],
    signature: &[u8],
    pcr_values: &[(u8, [u8; 32])],
    last: Option<ClockState>,
) -> Verdict {
    verify_quote(
        &QuoteEvidence { attest, signature, pcr_values },
        &QuoteExpectation {
            ak: &host.ak,
            ak_qualified_name: &host.ak_qn,
            qualifying_data: NONCE,
            selection: selection(),
            last,
        },
    )
}

/// The verdict over an attestation properly signed by the host's AK.
fn judge(host: &Host, attestation: &Attestation, values: &[(u8, [u8; 32])], last: Option<ClockState>) -> Verdict {
    let attest = attestation.marshal();
    judge_after(host, &attest, &host.ak_key.sign(&attest), values, last)
}

fn facts(verdict: Verdict) -> QuoteFacts {
    match verdict {
        Verdict::Pass(facts) => facts,
        other => panic!("expected a pass, got {other:?}"),
    }
}

#[test]
fn a_truthful_quote_passes_and_says_what_it_establishes() {
    let host = Host::new();
    let facts = facts(judge(&host, &good(&host), &VALUES, None));
    assert_eq!((facts.clock, facts.reset_count, facts.restart_count, facts.safe), (100_000, 7, 2, true));
    assert_eq!(facts.firmware, 0x0001_0002);
    assert_eq!(facts.pcrs.into_iter().collect::<Vec<_>>(), VALUES);
    assert!(!facts.rebooted && !facts.firmware_changed);
}

#[test]
fn facts_survive_storage() {
    let host = Host::new();
    let facts = facts(judge(&host, &good(&host), &VALUES, None));
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<QuoteFacts>(&json).unwrap(), facts);
}

/// Attestations that lie and are nevertheless properly signed by the AK.
#[test]
fn refuses_every_signed_lie_for_its_own_reason() {
    type Lie = fn(&mut Attestation);
    let lies: &[(u8, &str, Lie, Reason)] = &[
        (29, "magic changed", |a| a.magic = 0xff54_4348, Reason::Magic),
        (30, "type is certify", |a| (a.kind, a.body) = (CERTIFY, certify_body(&[0; 34], &[0; 34])), Reason::Type),
        (30, "type is time", |a| a.kind = 0x8019, Reason::Type),
        (31, "stale nonce", |a| a.extra_data = vec![0xa5; 32], Reason::QualifyingData),
        (32, "nonce of another host, one bit away", |a| a.extra_data[31] ^= 1, Reason::QualifyingData),
        (33, "no nonce", |a| a.extra_data.clear(), Reason::QualifyingData),
        (33, "nonce with a tail", |a| a.extra_data.push(0), Reason::QualifyingData),
        (49, "a trailing byte", |a| a.body.push(0), Reason::AttestEncoding),
        (50, "four billion banks", |a| a.body[..4].fill(0xff), Reason::AttestEncoding),
        (46, "qualified signer of an older AK", |a| a.signer[33] ^= 1, Reason::QualifiedSigner),
        (46, "qualified signer is a bare name", |a| a.signer.truncate(4), Reason::QualifiedSigner),
        (54, "safe is neither yes nor no", |a| a.safe = 2, Reason::AttestEncoding),
    ];
    let host = Host::new();
    for (number, what, lie, reason) in lies {
        let mut attestation = good(&host);
        lie(&mut attestation);
        assert_eq!(judge(&host, &attestation, &VALUES, None), Verdict::Fail(vec![*reason]), "{number}: {what}");
    }
}

#[test]
fn refuses_every_selection_but_the_one_asked_for() {
    let selections: &[(u8, &str, Attested)] = &[
        (36, "unallocated bank", &[(SHA256_ID, &[0, 0, 0])]),
        (36, "no bank", &[]),
        (37, "subset", &[(SHA256_ID, &[1, 0, 0])]),
        (38, "superset", &[(SHA256_ID, &[1, 0, 3])]),
        (39, "PCR 23 relabelled", &[(SHA256_ID, &[1, 0, 0x80])]),
        (40, "the same bank twice", &[(SHA256_ID, BITMAP), (SHA256_ID, BITMAP)]),
        (40, "the selection split over two entries", &[(SHA256_ID, &[1, 0, 0]), (SHA256_ID, &[0, 0, 1])]),
        (41, "sha1 bank", &[(SHA1, BITMAP)]),
        (42, "high bits", &[(SHA256_ID, &[1, 0, 1, 0x80])]),
        (42, "high bits past 32", &[(SHA256_ID, &[1, 0, 1, 0, 0, 0, 0, 0x80])]),
        (42, "a bitmap too narrow", &[(SHA256_ID, &[1, 0])]),
    ];
    let host = Host::new();
    for (number, what, attested) in selections {
        let attestation = host.attestation(QUOTE, NONCE, quote_body(attested, &VALUES));
        let verdict = judge(&host, &attestation, &VALUES, None);
        assert_eq!(verdict, Verdict::Fail(vec![Reason::Selection]), "{number}: {what}");
    }
    let wide = host.attestation(QUOTE, NONCE, quote_body(&[(SHA256_ID, &[1, 0, 1, 0])], &VALUES));
    facts(judge(&host, &wide, &VALUES, None));
}

#[test]
fn refuses_values_that_were_not_quoted() {
    let [zero, sixteen] = VALUES;
    let values: &[(u8, &str, Values<'_>, Reason)] = &[
        (
            28,
            "one bit of a value",
            &[
                zero,
                (16, {
                    let mut v = [0x16; 32];
                    v[0] ^= 1;
                    v
                }),
            ],
            Reason::PcrDigest,
        ),
        (44, "values permuted", &[(0, sixteen.1), (16, zero.1)], Reason::PcrDigest),
        (44, "descending", &[sixteen, zero], Reason::PcrValues),
        (43, "one too many", &[zero, sixteen, (17, [0; 32])], Reason::PcrValues),
        (43, "one twice", &[zero, zero, sixteen], Reason::PcrValues),
        (43, "one missing", &[zero], Reason::PcrValues),
        (43, "none", &[], Reason::PcrValues),
        (39, "PCR 16 relabelled as PCR 1", &[zero, (1, sixteen.1)], Reason::PcrValues),
    ];
    let host = Host::new();
    for (number, what, values, reason) in values {
        assert_eq!(judge(&host, &good(&host), values, None), Verdict::Fail(vec![*reason]), "{number}: {what}");
    }
}

#[test]
fn refuses_one_flipped_bit_anywhere() {
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
}

#[test]
fn refuses_foreign_keys() {
    let (host, other) = (Host::new(), Host::new());
    let attest = good(&host).marshal();
    // 45: another host's AK, whatever Qualified Name it claims.
    let verdict = judge_bytes(&host, &attest, &other.ak_key.sign(&attest), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Signature]));
    // 45: the right quote of another host.
    let attest = good(&other).marshal();
    let verdict = judge_bytes(&host, &attest, &other.ak_key.sign(&attest), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::Signature]));
    // 5 of section 0: the AK itself, but loaded in the owner hierarchy, where the clock is obfuscated.
    let mut attestation = good(&host);
    attestation.signer = host.ak.qualified_name(&other.ak_qn).as_bytes().to_vec();
    let verdict = judge(&host, &attestation, &VALUES, None);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::QualifiedSigner]));
}

#[test]
fn refuses_malformed_signatures_and_tolerates_their_width() {
    let host = Host::new();
    let attest = good(&host).marshal();
    let (r, s) = host.ak_key.sign_raw(&attest);
    let signature = ecdsa_signature(&r, &s);
    let order = hex::decode(P256_ORDER).unwrap();
    let with_header = |header: [u8; 4]| [&header[..], &signature[4..]].concat();
    let cases: &[(u8, &str, Vec<u8>, Reason)] = &[
        (47, "RSAPSS", with_header([0, 0x16, 0, 0x0b]), Reason::SignatureAlgorithm),
        (47, "RSASSA", with_header([0, 0x14, 0, 0x0b]), Reason::SignatureAlgorithm),
        (47, "SHA-1", with_header([0, 0x18, 0, 0x04]), Reason::SignatureAlgorithm),
        (47, "SHA-384", with_header([0, 0x18, 0, 0x0c]), Reason::SignatureAlgorithm),
        (48, "r is zero", ecdsa_signature(&[0; 32], &s), Reason::Signature),
        (48, "r is empty", ecdsa_signature(&[], &s), Reason::Signature),
        (48, "s is zero", ecdsa_signature(&r, &[0]), Reason::Signature),
        (48, "s is n", ecdsa_signature(&r, &order), Reason::Signature),
        (48, "r is n", ecdsa_signature(&order, &s), Reason::Signature),
        (48, "r is wider than the curve", ecdsa_signature(&[&[1][..], &r].concat(), &s), Reason::Signature),
        (49, "a trailing byte", [&signature[..], &[0]].concat(), Reason::SignatureEncoding),
        (49, "truncated", signature[..signature.len() - 1].to_vec(), Reason::SignatureEncoding),
        (49, "empty", Vec::new(), Reason::SignatureEncoding),
        (50, "huge length", vec![0, 0x18, 0, 0x0b, 0xff, 0xff], Reason::SignatureEncoding),
    ];
    for (number, what, signature, reason) in cases {
        let verdict = judge_bytes(&host, &attest, signature, &VALUES);
        assert_eq!(verdict, Verdict::Fail(vec![*reason]), "{number}: {what}");
    }
    let padded = ecdsa_signature(&[&[0, 0][..], &r].concat(), &[&[0][..], &s].concat());
    facts(judge_bytes(&host, &attest, &padded, &VALUES));
    facts(judge_bytes(&host, &attest, &stripped_signature(&host, &attest), &VALUES));
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

#[test]
fn an_ak_without_scheme_verifies_nothing() {
    let key = SoftKey::generate();
    let mut host = Host::new();
    host.ak = EccPublic { scheme: vec![0x0010], ..EccPublic::signing(&key, 0x0005_0472) }.parse();
    let attest = good(&host).marshal();
    let verdict = judge_bytes(&host, &attest, &key.sign(&attest), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::SignatureKey]));
}

/// 34, 51 to 55: what the clock may do. `good` is clock 100000, reset 7, restart 2, firmware 0x10002.
#[test]
fn the_clock_only_moves_as_one_tpm_can() {
    let last = |clock, reset_count, restart_count, firmware| ClockState { clock, reset_count, restart_count, firmware };
    let refused: &[(u8, &str, ClockState, &[Reason])] = &[
        (51, "fewer resets", last(1, 8, 0, 0x10002), &[Reason::ResetRollback]),
        (52, "clock back", last(100_001, 7, 2, 0x10002), &[Reason::ClockNotAdvanced]),
        (34, "clock still: a replay", last(100_000, 7, 2, 0x10002), &[Reason::ClockNotAdvanced]),
        (53, "fewer restarts in one boot", last(1, 7, 3, 0x10002), &[Reason::RestartRollback]),
        (55, "older firmware", last(1, 7, 2, 0x10003), &[Reason::FirmwareDowngrade]),
        (55, "older firmware after a reboot", last(1, 6, 2, 0x10003), &[Reason::FirmwareDowngrade]),
        (
            51,
            "everything at once",
            last(200_000, 7, 9, 0x20000),
            &[Reason::FirmwareDowngrade, Reason::RestartRollback, Reason::ClockNotAdvanced],
        ),
    ];
    let host = Host::new();
    for (number, what, last, reasons) in refused {
        let verdict = judge(&host, &good(&host), &VALUES, Some(*last));
        assert_eq!(verdict, Verdict::Fail(reasons.to_vec()), "{number}: {what}");
    }

    let passed: &[(&str, ClockState, (bool, u32, bool))] = &[
        ("same boot, later", last(99_999, 7, 2, 0x10002), (false, 0, false)),
        ("same boot, resumed once", last(99_999, 7, 1, 0x10002), (false, 0, false)),
        ("rebooted: fewer restarts and an earlier clock", last(200_000, 6, 9, 0x10002), (true, 0, false)),
        ("rebooted three times", last(1, 4, 0, 0x10002), (true, 2, false)),
        ("rebooted with newer firmware", last(1, 6, 0, 0x10001), (true, 0, true)),
    ];
    for (what, last, expected) in passed {
        let facts = facts(judge(&host, &good(&host), &VALUES, Some(*last)));
        assert_eq!((facts.rebooted, facts.unseen_reboots, facts.firmware_changed), *expected, "{what}");
    }
}

/// 54: after a power loss the clock goes back and the TPM does not vouch for it for some seconds.
#[test]
fn a_power_loss_is_asked_again_and_then_passes() {
    let host = Host::new();
    let before = ClockState { clock: 101_000, reset_count: 6, restart_count: 0, firmware: 0x10002 };
    let mut attestation = good(&host);
    attestation.safe = 0;
    assert_eq!(judge(&host, &attestation, &VALUES, Some(before)), Verdict::Retry(Reason::ClockUnsafe));
    attestation.safe = 1;
    attestation.clock += 6_000;
    assert!(facts(judge(&host, &attestation, &VALUES, Some(before))).rebooted);
}

#[test]
fn a_retry_never_hides_a_failure() {
    let host = Host::new();
    let mut attestation = good(&host);
    attestation.safe = 0;
    attestation.extra_data[0] ^= 1;
    assert_eq!(judge(&host, &attestation, &VALUES, None), Verdict::Fail(vec![Reason::QualifyingData]));
}

#[test]
fn reports_every_reason_at_once() {
    let host = Host::new();
    let mut attestation = host.attestation(QUOTE, [0; 32], quote_body(&[], &VALUES));
    attestation.signer.clear();
    let verdict = judge(&host, &attestation, &VALUES[..1], None);
    let expected = [Reason::QualifiedSigner, Reason::QualifyingData, Reason::Selection, Reason::PcrValues];
    assert_eq!(verdict, Verdict::Fail(expected.to_vec()));
}
