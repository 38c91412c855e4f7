//! Two recorded quotes of a real TPM, one with an RSA key and one with a P-256 key.
//!
//! They were made with a 20-byte nonce and keys of unknown ancestry, so qualifying data and qualified signer cannot
//! match; everything else must.

use flota_attest::attest::{Attest, Attested};
use flota_attest::public::{KeyKind, Public, QualifiedName};
use flota_attest::quote::{QuoteEvidence, QuoteExpectation, Reason, Verdict, verify_quote};
use flota_attest::rules::check_ak_public;
use flota_attest::selection::{Bank, Selection};
use flota_attest::signature;
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;

pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/golden/quote/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("reading {path}: {error}"))
}

struct Recorded {
    ak: Public,
    pem: Vec<u8>,
    attest: Vec<u8>,
    signature: Vec<u8>,
    values: Vec<(u8, [u8; 32])>,
}

fn recorded(key: &str, quote: &str) -> Recorded {
    Recorded {
        ak: Public::parse_2b(&golden(&format!("{key}.pub"))).unwrap(),
        pem: golden(&format!("{key}.pem")),
        attest: golden(&format!("{quote}.msg")),
        signature: golden(&format!("{quote}.sig")),
        values: tools_pcrs(&golden(&format!("{quote}.pcrs"))),
    }
}

fn both() -> [Recorded; 2] {
    [recorded("ak", "q"), recorded("ake", "qe")]
}

/// tpm2-tools dumps its structs as they lie in memory: 16 selections of 8 bytes after a count, then digests of
/// `u16` size and 64 bytes after two counts.
fn tools_pcrs(dump: &[u8]) -> Vec<(u8, [u8; 32])> {
    let digests = &dump[4 + 16 * 8 + 4 + 4..];
    (0..8).zip(digests.chunks(66)).map(|(index, digest)| (index, digest[2..34].try_into().unwrap())).collect()
}

fn judge(quote: &Recorded, signature: &[u8], values: &[(u8, [u8; 32])], indices: std::ops::Range<u8>) -> Verdict {
    verify_quote(
        &QuoteEvidence { attest: &quote.attest, signature, pcr_values: values },
        &QuoteExpectation {
            ak: &quote.ak,
            ak_qualified_name: &quote.ak.qualified_name(&QualifiedName::endorsement_root()),
            qualifying_data: [0; 32],
            selection: Selection::new(Bank::Sha256, indices).unwrap(),
            last: None,
        },
    )
}

#[test]
fn public_areas_hold_the_keys_of_their_pem_files() {
    for quote in both() {
        let pem = SubjectPublicKeyInfoDer::from_pem_slice(&quote.pem).unwrap();
        assert_eq!(quote.ak.spki_der(), pem.as_ref());
    }
    assert_eq!(recorded("ak", "q").ak.key().kind(), KeyKind::Rsa { bits: 2048 });
}

#[test]
fn structures_read_as_the_tpm_meant_them() {
    for (quote, clock) in both().iter().zip([0x7742, 0x775f]) {
        let attest = Attest::parse(&quote.attest).unwrap();
        assert_eq!(attest.extra_data, b"nonce-0123456789abcd");
        assert_eq!((attest.clock.clock, attest.clock.reset_count, attest.clock.safe), (clock, 3, false));
        assert_eq!(attest.firmware_version, 0x2019_1023_0016_3636);
        let Attested::Quote { selections, .. } = attest.body else { panic!("a quote") };
        assert_eq!((selections.len(), selections[0].bank, selections[0].bitmap), (1, 0x000b, 0xff));
    }
}

#[test]
fn only_nonce_and_ancestry_are_held_against_them() {
    for quote in both() {
        let verdict = judge(&quote, &quote.signature, &quote.values, 0..8);
        assert_eq!(verdict, Verdict::Fail(vec![Reason::QualifiedSigner, Reason::QualifyingData]));
    }
}

#[test]
fn other_pcrs_values_keys_and_signatures_are_told_apart() {
    let [rsa, ecc] = both();
    assert_eq!(judge(&rsa, &ecc.signature, &rsa.values, 0..8), Verdict::Fail(vec![Reason::SignatureAlgorithm]));
    for quote in [&rsa, &ecc] {
        let mut values = quote.values.clone();
        values[7].1[31] ^= 1;
        let Verdict::Fail(reasons) = judge(quote, &quote.signature, &values, 0..8) else { panic!("a failure") };
        assert!(reasons.contains(&Reason::PcrDigest));
        let Verdict::Fail(reasons) = judge(quote, &quote.signature, &quote.values, 1..9) else { panic!("a failure") };
        assert!(reasons.contains(&Reason::Selection) && reasons.contains(&Reason::PcrValues));
    }
}

#[test]
fn case_28_one_flipped_bit_breaks_either_signature() {
    for quote in both() {
        assert_eq!(signature::verify(&quote.ak, &quote.attest, &quote.signature), Ok(()));
        for bit in 0..quote.attest.len() * 8 {
            let mut flipped = quote.attest.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(signature::verify(&quote.ak, &flipped, &quote.signature).is_err(), "attest bit {bit}");
        }
        for bit in 0..quote.signature.len() * 8 {
            let mut flipped = quote.signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(signature::verify(&quote.ak, &quote.attest, &flipped).is_err(), "signature bit {bit}");
        }
    }
}

/// They lack `noDA`, which this fleet requires.
#[test]
fn the_recorded_keys_would_not_have_been_enrolled() {
    for quote in both() {
        assert_eq!(check_ak_public(&quote.ak).unwrap_err().code(), "ak_attrs");
    }
}
