//! Keys of every kind that the fleet takes, in a real TPM and before the controller's verifier.

use aws_lc_rs::rand::SystemRandom;
use flota_attest::credential::make_credential;
use flota_attest::ek_chain::{TrustRoots, verify_ek_certificate};
use flota_attest::public::{KeyKind, Public};
use flota_attest::rules::check_ek_public;
use flota_tpm::{AttestationKind, EndorsementKind, KeyChoice, Tpm, TpmError};

use crate::bench::{Host, chain};
use crate::controller::{NONCE, Record, passed};
use crate::vendor::{Vendor, endorse, evict, remove_certificate, write_index};

/// 2026-12-01. EK certificates do not expire.
const NOW: u64 = 1_796_083_200;

fn endorsement(kind: EndorsementKind) -> KeyChoice {
    KeyChoice { endorsement: Some(kind), attestation: None }
}

fn attestation(kind: AttestationKind) -> KeyChoice {
    KeyChoice { endorsement: None, attestation: Some(kind) }
}

/// Everything an enrolment asks of a TPM, as the controller checks it.
fn enrol(tpm: &Tpm, roots: &TrustRoots) -> Record {
    let identity = tpm.identity();
    let certificate = verify_ek_certificate(&identity.ek_certificate, &identity.ek_chain, roots, NOW).unwrap();
    let record = Record::of(tpm);
    check_ek_public(&record.ek, &certificate.spki_der).unwrap();

    let secret = [0x5E; 32];
    let credential = make_credential(&record.ek, record.ak.name(), &secret, &SystemRandom::new()).unwrap();
    let opened = tpm.activate_credential(&credential.credential_blob, &credential.encrypted_secret).unwrap();
    assert_eq!(opened.expose(), secret);
    let other = make_credential(&record.ek, record.tls.name(), &secret, &SystemRandom::new()).unwrap();
    let refused = tpm.activate_credential(&other.credential_blob, &other.encrypted_secret);
    assert!(matches!(refused, Err(TpmError::CredentialRefused { .. })), "{refused:?}");

    let certified = tpm.certify_tls_key(NONCE).unwrap();
    record.judge_certification(&certified.attest, &certified.signature).unwrap();
    passed(record.judge_quote(&tpm.quote(NONCE, &[0, 7, 16]).unwrap(), None));
    record
}

fn swtpm_roots(host: &Host) -> TrustRoots {
    TrustRoots::from_pem(host.swtpm.ca_pem().unwrap().as_bytes()).unwrap()
}

#[test]
fn both_endorsement_keys_of_a_manufactured_tpm_enrol_it() {
    let host = Host::new();
    let rsa = enrol(&host.open_choosing(endorsement(EndorsementKind::Rsa2048)).unwrap(), &swtpm_roots(&host));
    host.forget_keys();
    let tpm = host.open_choosing(endorsement(EndorsementKind::P384)).unwrap();
    let curve = enrol(&tpm, &swtpm_roots(&host));
    assert_eq!(host.loaded(), (0, 2), "the kept endorsement key takes no slot");
    assert_ne!(rsa.ek, curve.ek);
    assert_eq!(curve.ek.attributes().bits(), 0x0003_00F2);
    drop(tpm);

    // Not kept by the TPM: made anew for each activation.
    evict(&host, 0x8101_0016);
    let tpm = host.open().unwrap();
    assert_eq!(enrol(&tpm, &swtpm_roots(&host)).ek, curve.ek, "the key file says which one, without a choice");
    assert_eq!(host.loaded(), (0, 2));
}

#[test]
fn every_template_that_the_software_tpm_can_make_enrols_it() {
    let vendor = Vendor::new();
    let host = Host::new();
    for kind in [
        EndorsementKind::P256,
        EndorsementKind::HighP256,
        EndorsementKind::P384,
        EndorsementKind::HighRsa2048,
        EndorsementKind::Rsa3072,
    ] {
        if kind == EndorsementKind::P384 {
            remove_certificate(&host, 0x01C0_0016);
        }
        endorse(&host, &vendor, kind);
        let tpm = host.open_choosing(endorsement(kind)).unwrap();
        enrol(&tpm, &vendor.roots());
        assert_eq!(host.loaded(), (0, 2), "{kind}");
        drop(tpm);
        host.forget_keys();
    }
}

#[test]
fn without_a_choice_the_order_of_preference_decides_and_the_key_file_keeps_to_it() {
    let host = Host::new();
    let kind = |tpm: &Tpm| Public::parse_2b(&tpm.identity().ek_public).unwrap().key().kind();
    assert_eq!(kind(&host.open().unwrap()), KeyKind::Rsa { bits: 2048 });
    host.forget_keys();

    remove_certificate(&host, 0x01C0_0002);
    assert!(matches!(kind(&host.open().unwrap()), KeyKind::Ecc(_)), "P-384 is what is left");
    // A firmware update brings a better one: the host stays who it is.
    endorse(&host, &Vendor::new(), EndorsementKind::P256);
    assert_eq!(kind(&host.open().unwrap()), KeyKind::Ecc(flota_attest::public::Curve::P384));
    host.forget_keys();
    assert_eq!(kind(&host.open().unwrap()), KeyKind::Ecc(flota_attest::public::Curve::P256));
}

#[test]
fn a_missing_endorsement_certificate_is_named() {
    let host = Host::new();
    let error = host.open_choosing(endorsement(EndorsementKind::Rsa4096)).unwrap_err();
    assert!(error.to_string().contains("holds none for an endorsement key of kind rsa4096"), "{}", chain(&error));
    remove_certificate(&host, 0x01C0_0002);
    let error = host.open_choosing(endorsement(EndorsementKind::Rsa2048)).unwrap_err();
    let named = Some(EndorsementKind::Rsa2048);
    assert!(matches!(error, TpmError::NoEndorsementCertificate { kind } if kind == named), "{}", chain(&error));
    remove_certificate(&host, 0x01C0_0016);
    let error = host.open().unwrap_err();
    assert!(matches!(error, TpmError::NoEndorsementCertificate { kind: None }), "{}", chain(&error));
    assert!(error.to_string().contains("the TPM holds none; update the TPM's firmware"), "{error}");
    assert_eq!(host.loaded(), (0, 0));
}

#[test]
fn a_certificate_of_another_key_is_passed_over_or_named() {
    let host = Host::new();
    remove_certificate(&host, 0x01C0_0002);
    write_index(&host, 0x01C0_0002, &Vendor::new().certificate_of_nobody());
    let error = host.open_choosing(endorsement(EndorsementKind::Rsa2048)).unwrap_err();
    assert!(error.to_string().contains("not of the endorsement key that this TPM makes"), "{}", chain(&error));
    assert_eq!(host.loaded(), (0, 0));
    assert!(matches!(Record::of(&host.open().unwrap()).ek.key().kind(), KeyKind::Ecc(_)));

    // Defined and never written, erased, and cut off.
    host.forget_keys();
    for content in [&[][..], &[0xFF; 900], &[0x30, 0x82, 9, 9, 1]] {
        remove_certificate(&host, 0x01C0_0002);
        write_index(&host, 0x01C0_0002, content);
        drop(host.open().unwrap());
        host.forget_keys();
    }
}

#[test]
fn a_choice_that_the_key_file_contradicts_is_an_error_and_changes_nothing() {
    let host = Host::new();
    let identity = host.open().unwrap().identity().clone();
    for choice in [endorsement(EndorsementKind::P384), attestation(AttestationKind::Rsa2048)] {
        let error = host.open_choosing(choice).unwrap_err();
        assert!(matches!(error, TpmError::OtherChoice { .. }), "{}", chain(&error));
        assert!(error.to_string().contains("take the choice back"), "{error}");
    }
    let agreeing = KeyChoice { endorsement: Some(EndorsementKind::Rsa2048), attestation: Some(AttestationKind::P256) };
    assert_eq!(host.open_choosing(agreeing).unwrap().identity(), &identity);
}

#[test]
fn an_rsa_attestation_key_is_verified_like_the_other() {
    for kind in [EndorsementKind::Rsa2048, EndorsementKind::P384] {
        let host = Host::new();
        let choice = KeyChoice { endorsement: Some(kind), attestation: Some(AttestationKind::Rsa2048) };
        let tpm = host.open_choosing(choice).unwrap();
        let record = enrol(&tpm, &swtpm_roots(&host));
        assert_eq!(record.ak.key().kind(), KeyKind::Rsa { bits: 2048 });
        assert_eq!(host.loaded(), (0, 2));
        drop(tpm);
        let tpm = host.open().unwrap();
        passed(record.judge_quote(&tpm.quote(NONCE, &[1]).unwrap(), None));
    }
}

/// The controller may lack a vendor's intermediate; the TPM may have it.
#[test]
fn the_chain_that_the_tpm_keeps_is_handed_out_and_completes_the_path() {
    let host = Host::new();
    let vendor = Vendor::new();
    endorse(&host, &vendor, EndorsementKind::P256);
    let choice = endorsement(EndorsementKind::P256);
    let root_only = TrustRoots::from_der([&vendor.root()[..]]).unwrap();
    let tpm = host.open_choosing(choice).unwrap();
    assert!(tpm.identity().ek_chain.is_empty());
    let identity = tpm.identity().clone();
    let lonely = verify_ek_certificate(&identity.ek_certificate, &identity.ek_chain, &root_only, NOW);
    assert_eq!(lonely.unwrap_err().code(), "ek_chain");
    drop(tpm);

    // Two certificates as one sequence, cut within the first, with padding behind it.
    let certificates = [vendor.intermediate(), vendor.root()];
    let sequence = [&certificates.concat()[..], &[0xFF; 20]].concat();
    let (first, second) = sequence.split_at(100);
    write_index(&host, 0x01C0_0101, second);
    write_index(&host, 0x01C0_0100, first);
    let tpm = host.open_choosing(choice).unwrap();
    assert_eq!(tpm.identity().ek_chain, certificates);
    enrol(&tpm, &root_only);
}
