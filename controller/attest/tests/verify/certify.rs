//! Certifications of the TLS key.

use flota_attest::certify::{CertifyEvidence, CertifyExpectation, CertifyRejection, verify_certify};

use crate::soft_tpm::{Attestation, CERTIFY, Host, QUOTE, SHA256_ID, certify_body, quote_body};

const NONCE: [u8; 32] = [0x77; 32];

fn good(host: &Host) -> Attestation {
    host.attestation(CERTIFY, NONCE, certify_body(host.tls.name().as_bytes(), host.tls_qn.as_bytes()))
}

fn judge(host: &Host, attest: &[u8], signature: &[u8]) -> Result<(), CertifyRejection> {
    verify_certify(
        &CertifyEvidence { attest, signature },
        &CertifyExpectation {
            ak: &host.ak,
            ak_qualified_name: &host.ak_qn,
            qualifying_data: NONCE,
            tls_public: &host.tls,
            tls_qualified_name: &host.tls_qn,
        },
    )
}

#[test]
fn the_tls_key_certified_by_the_ak_passes() {
    let host = Host::new();
    let attest = good(&host).marshal();
    assert_eq!(judge(&host, &attest, &host.ak_key.sign(&attest)), Ok(()));
}

type Lie = fn(&Host, &mut Attestation);

/// Certifications that lie and are nevertheless properly signed by the AK.
fn refuses(lies: &[(&str, Lie, &str)]) {
    let host = Host::new();
    for (what, lie, code) in lies {
        let mut attestation = good(&host);
        lie(&host, &mut attestation);
        let attest = attestation.marshal();
        let rejection = judge(&host, &attest, &host.ak_key.sign(&attest)).unwrap_err();
        assert_eq!(rejection.code(), *code, "{what}");
    }
}

#[test]
fn case_20_the_certification_of_another_key_is_refused() {
    refuses(&[
        ("another key's name", |h, a| a.body = certify_body(&[0; 34], h.tls_qn.as_bytes()), "certify_name"),
        ("the AK's own name", |h, a| a.body = certify_body(h.ak.name().as_bytes(), h.ak_qn.as_bytes()), "certify_name"),
        (
            "the key under another parent",
            |h, a| a.body = certify_body(h.tls.name().as_bytes(), h.tls.qualified_name(&h.ak_qn).as_bytes()),
            "certify_qualified_name",
        ),
    ]);
}

#[test]
fn case_20_a_name_embedded_elsewhere_is_not_a_certified_name() {
    refuses(&[
        ("in the qualified name", |h, a| a.body = certify_body(&[0; 34], h.tls.name().as_bytes()), "certify_name"),
        ("in the nonce", |h, a| a.extra_data = h.tls.name().as_bytes().to_vec(), "certify_qualifying_data"),
        (
            "in the nonce, with another key's name in its place",
            |h, a| {
                a.extra_data = h.tls.name().as_bytes().to_vec();
                a.body = certify_body(h.ak.name().as_bytes(), h.ak_qn.as_bytes());
            },
            "certify_qualifying_data",
        ),
    ]);
}

#[test]
fn case_21_something_else_than_a_certification_is_refused() {
    refuses(&[
        ("a quote", |_, a| (a.kind, a.body) = (QUOTE, quote_body(&[(SHA256_ID, &[1, 0, 0])], &[])), "certify_type"),
        ("a creation attestation", |_, a| a.kind = 0x801a, "certify_type"),
        ("not of a TPM", |_, a| a.magic = 0, "certify_magic"),
    ]);
}

#[test]
fn case_19_a_certification_for_another_session_is_refused() {
    refuses(&[
        ("another session", |_, a| a.extra_data[0] ^= 1, "certify_qualifying_data"),
        ("no nonce", |_, a| a.extra_data.clear(), "certify_qualifying_data"),
        ("another signer's name", |_, a| a.signer[5] ^= 1, "certify_qualified_signer"),
        ("a trailing byte", |_, a| a.body.push(0), "certify_encoding"),
    ]);
}

#[test]
fn case_17_a_certification_by_another_key_is_refused() {
    let (host, other) = (Host::new(), Host::new());
    let attest = good(&host).marshal();
    assert_eq!(judge(&host, &attest, &other.ak_key.sign(&attest)).unwrap_err().code(), "certify_signature");
    assert_eq!(judge(&host, &attest, &[]).unwrap_err().code(), "certify_signature_encoding");
    let mut signature = host.ak_key.sign(&attest);
    signature[3] = 0x04;
    assert_eq!(judge(&host, &attest, &signature).unwrap_err().code(), "certify_signature_algorithm");
}
