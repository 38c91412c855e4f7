//! No input may make a parser panic, and none may pass.

use flota_attest::attest::Attest;
use flota_attest::certify::{CertifyEvidence, CertifyExpectation, verify_certify};
use flota_attest::ek_chain::{TrustRoots, verify_ek_certificate};
use flota_attest::public::Public;
use flota_attest::quote::{QuoteEvidence, QuoteExpectation, Verdict, verify_quote};
use flota_attest::rules::check_ek_public;
use flota_attest::selection::{Bank, Selection};
use flota_attest::signature;
use proptest::prelude::*;

use crate::soft_tpm::{EccPublic, Host, QUOTE, SHA256_ID, SoftKey, quote_body};

/// A well-formed structure with some bytes overwritten, cut short or prolonged: deeper than random bytes get.
fn mutated(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = good.len();
    let edits = prop::collection::vec((0..len, any::<u8>()), 0..6);
    (edits, 0..=len, prop::collection::vec(any::<u8>(), 0..4), any::<bool>()).prop_map(
        move |(edits, cut, tail, truncate)| {
            let mut bytes = good.clone();
            for (at, byte) in edits {
                bytes[at] = byte;
            }
            if truncate {
                bytes.truncate(cut);
            }
            bytes.extend(tail);
            bytes
        },
    )
}

fn good_public() -> Vec<u8> {
    EccPublic::endorsement(&SoftKey::generate()).marshal()
}

fn good_attest() -> Vec<u8> {
    Host::new().attestation(QUOTE, [1; 32], quote_body(&[(SHA256_ID, &[1, 0, 0])], &[])).marshal()
}

proptest! {
    #[test]
    fn public_areas(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..600), mutated(good_public())]) {
        if let Ok(public) = Public::parse_2b(&bytes) {
            prop_assert_eq!(public.to_2b(), bytes);
        }
    }

    #[test]
    fn attestations(bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), mutated(good_attest())]) {
        let _ = Attest::parse(&bytes);
    }

    #[test]
    fn certified_keys(spki in prop::collection::vec(any::<u8>(), 0..200)) {
        let ek = EccPublic::endorsement(&SoftKey::generate()).parse();
        prop_assert!(check_ek_public(&ek, &spki).is_err());
    }

    #[test]
    fn trust_bundles_and_certificates(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(TrustRoots::from_pem(&bytes).is_err());
        prop_assert!(TrustRoots::from_der([&bytes[..]]).is_err());
    }

    #[test]
    fn ek_certificates(bytes in mutated(crate::chain::Pki::new().ek_certificate()), now in any::<u64>()) {
        let pki = crate::chain::Pki::new();
        prop_assert!(verify_ek_certificate(&bytes, std::slice::from_ref(&bytes), &pki.roots(), now).is_err());
    }

    #[test]
    fn evidence(
        attest in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), mutated(good_attest())],
        signature in prop::collection::vec(any::<u8>(), 0..300),
        pcr_values in prop::collection::vec((any::<u8>(), any::<[u8; 32]>()), 0..30),
        qualifying_data in any::<[u8; 32]>(),
    ) {
        let host = Host::new();
        prop_assert!(signature::verify(&host.ak, &attest, &signature).is_err());
        let expected = QuoteExpectation {
            ak: &host.ak,
            ak_qualified_name: &host.ak_qn,
            qualifying_data,
            selection: Selection::new(Bank::Sha256, [0]).unwrap(),
            last: None,
        };
        // Signed by the AK, so that the bytes get past the signature.
        let signed = host.ak_key.sign(&attest);
        for signature in [&signature, &signed] {
            let verdict = verify_quote(&QuoteEvidence { attest: &attest, signature, pcr_values: &pcr_values }, &expected);
            prop_assert!(matches!(verdict, Verdict::Fail(_)));
        }
        let expected = CertifyExpectation {
            ak: &host.ak,
            ak_qualified_name: &host.ak_qn,
            qualifying_data,
            tls_public: &host.tls,
            tls_qualified_name: &host.tls_qn,
        };
        let evidence = CertifyEvidence { attest: &attest, signature: &signed };
        prop_assert!(verify_certify(&evidence, &expected).is_err());
    }
}
