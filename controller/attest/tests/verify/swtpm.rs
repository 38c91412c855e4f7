//! Endorsement keys and certificates that swtpm 0.7.1 made with a CA of its own: RSA-2048 of template L-1 and P-384 of
//! template H-3. Names are those that the TPM itself reported.

use flota_attest::ek_chain::{EkCertificate, TrustRoots, verify_ek_certificate};
use flota_attest::public::{Public, QualifiedName};
use flota_attest::rules::check_ek_public;

/// 2026-12-01, a week after they were made. They never expire.
const NOW: u64 = 1_796_083_200;

fn recorded(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/swtpm/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("reading {path}: {error}"))
}

fn verified(key: &str) -> (EkCertificate, Public) {
    let bundle = [recorded("root.pem"), recorded("intermediate.pem")].concat();
    let roots = TrustRoots::from_pem(&bundle).unwrap();
    let certificate = recorded(&format!("{key}.der"));
    let none: &[Vec<u8>] = &[];
    let ek = verify_ek_certificate(&certificate, none, &roots, NOW).unwrap();
    (ek, Public::parse_2b(&recorded(&format!("{key}.pub"))).unwrap())
}

#[test]
fn both_endorsement_keys_are_accepted() {
    for key in ["ek-rsa2048", "ek-p384"] {
        let (certificate, ek) = verified(key);
        assert_eq!(check_ek_public(&ek, &certificate.spki_der), Ok(()), "{key}");
        assert_eq!(certificate.issuer, "CN=swtpm-localca");
        assert_eq!(certificate.manufacturer, "id:00001014");
        assert_eq!((&certificate.model[..], &certificate.version[..]), ("swtpm", "id:20191023"));
    }
}

#[test]
fn case_07_one_key_is_not_certified_by_the_certificate_of_the_other() {
    let (rsa, ecc) = (verified("ek-rsa2048"), verified("ek-p384"));
    assert_eq!(check_ek_public(&rsa.1, &ecc.0.spki_der).unwrap_err().code(), "ek_key_mismatch");
    assert_eq!(check_ek_public(&ecc.1, &rsa.0.spki_der).unwrap_err().code(), "ek_key_mismatch");
}

#[test]
fn names_are_those_the_tpm_reports() {
    let root = QualifiedName::endorsement_root();
    for (key, name, qualified_name) in [("ek-rsa2048", RSA_NAME, RSA_QN), ("ek-p384", P384_NAME, P384_QN)] {
        let ek = Public::parse_2b(&recorded(&format!("{key}.pub"))).unwrap();
        assert_eq!(hex::encode(ek.name().as_bytes()), name);
        assert_eq!(hex::encode(ek.qualified_name(&root).as_bytes()), qualified_name);
    }
}

const RSA_NAME: &str = "000b3b61311d7a5abd1b72dc63da43e4e339ee596e1ea24e45c725785e430b0d8005";
const RSA_QN: &str = "000bf5b1be3bec16972b4eb09d1f61dca7bd98afb1a101b4c83d30e77c76fd5a5e02";
const P384_NAME: &str =
    "000c282754dcbcff307ce4096be7c318faacf9fa6fa171f269e11e7f123993560eda25f6437ba2beab031d8d30a9939cea3b";
const P384_QN: &str =
    "000ca300fc90a60af000c7087d5b7cb2a559a4b61435f6f1ddb3b56e0c7df2fb68965da2df1f9eafdbb7d843d5182b5bfebc";
