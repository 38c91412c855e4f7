//! Quotes: what passes, and what a refusal says. The lies are in the modules below, by what they lie about.

use flota_attest::quote::{ClockState, QuoteEvidence, QuoteExpectation, QuoteFacts, Reason, Verdict, verify_quote};
use flota_attest::selection::{Bank, Selection};

use crate::soft_tpm::{Attestation, EccPublic, Host, QUOTE, SHA256_ID, SoftKey, quote_body};

mod binding;
mod forgery;
mod pcrs;

pub(crate) const NONCE: [u8; 32] = [0x5a; 32];
pub(crate) const VALUES: [(u8, [u8; 32]); 2] = [(0, [0x10; 32]), (16, [0x16; 32])];
const BITMAP: &[u8] = &[0x01, 0x00, 0x01];

pub(crate) type Values<'a> = &'a [(u8, [u8; 32])];
type Lie = fn(&mut Attestation);

pub(crate) fn good(host: &Host) -> Attestation {
    host.attestation(QUOTE, NONCE, quote_body(&[(SHA256_ID, BITMAP)], &VALUES))
}

fn judge_bytes(host: &Host, attest: &[u8], signature: &[u8], values: Values<'_>) -> Verdict {
    judge_after(host, attest, signature, values, None)
}

fn judge_after(
    host: &Host,
    attest: &[u8],
    signature: &[u8],
    pcr_values: Values<'_>,
    last: Option<ClockState>,
) -> Verdict {
    verify_quote(
        &QuoteEvidence { attest, signature, pcr_values },
        &QuoteExpectation {
            ak: &host.ak,
            ak_qualified_name: &host.ak_qn,
            qualifying_data: NONCE,
            selection: Selection::new(Bank::Sha256, [0, 16]).unwrap(),
            last,
        },
    )
}

/// The verdict over an attestation properly signed by the host's AK.
pub(crate) fn judge(host: &Host, attestation: &Attestation, values: Values<'_>, last: Option<ClockState>) -> Verdict {
    let attest = attestation.marshal();
    judge_after(host, &attest, &host.ak_key.sign(&attest), values, last)
}

/// Attestations that lie and are nevertheless properly signed by the AK.
fn refuses(lies: &[(&str, Lie, Reason)]) {
    let host = Host::new();
    for (what, lie, reason) in lies {
        let mut attestation = good(&host);
        lie(&mut attestation);
        assert_eq!(judge(&host, &attestation, &VALUES, None), Verdict::Fail(vec![*reason]), "{what}");
    }
}

pub(crate) fn facts(verdict: Verdict) -> QuoteFacts {
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

#[test]
fn an_ak_without_scheme_verifies_nothing() {
    let key = SoftKey::generate();
    let mut host = Host::new();
    host.ak = EccPublic { scheme: vec![0x0010], ..EccPublic::signing(&key, 0x0005_0472) }.parse();
    let attest = good(&host).marshal();
    let verdict = judge_bytes(&host, &attest, &key.sign(&attest), &VALUES);
    assert_eq!(verdict, Verdict::Fail(vec![Reason::SignatureKey]));
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
