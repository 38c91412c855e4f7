//! Keys that are not what they must be, or not where they must be.

use flota_seal::binding;
use flota_tests::client::{begin_request, certificate_request, enrol, sign_begin};
use flota_tpm::TpmError;
use rcgen::{CertificateParams, KeyPair};

use super::{Begun, assert_refused, begin_with, ground, guess};

/// `TPM2B_PUBLIC` of a P-256 key in software, with the attributes of a TPM's.
fn software_public(key: &KeyPair, attributes: u32) -> Vec<u8> {
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let area = [
        &[0, 0x23, 0, 0x0B][..],
        &attributes.to_be_bytes(),
        &[0, 0, 0, 0x10, 0, 0x18, 0, 0x0B, 0, 3, 0, 0x10, 0, 32],
        x,
        &[0, 32],
        y,
    ]
    .concat();
    [&u16::try_from(area.len()).unwrap().to_be_bytes()[..], &area].concat()
}

fn request_of(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn case_06_and_07_a_certificate_that_is_not_of_this_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let other = ground.open(1).unwrap().identity().clone();
    let tpm = ground.open(0).unwrap();
    let begun = begin_with(&ground, &tpm, "a", |request| request.ek_public = other.ek_public.clone()).await;
    assert_refused(&ground, begun, "FLT-0402", "ek_key_mismatch");
    let begun = begin_with(&ground, &tpm, "b", |request| request.ek_certificate = other.ek_certificate.clone()).await;
    assert_refused(&ground, begun, "FLT-0402", "ek_key_mismatch");
    let begun = begin_with(&ground, &tpm, "c", |request| request.ek_certificate.push(0)).await;
    assert_refused(&ground, begun, "FLT-0402", "ek_cert_der");
    let begun = begin_with(&ground, &tpm, "d", |request| request.ek_public.push(0)).await;
    assert_refused(&ground, begun, "FLT-0402", "tpm_structure");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_09_the_unrestricted_tls_key_is_not_taken_for_an_attestation_key() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let begun = begin_with(&ground, &tpm, "a", |request| request.ak_public = request.tls_public.clone()).await;
    assert_refused(&ground, begun, "FLT-0402", "ak_attrs");
}

/// Its attributes say that it is in a TPM. No TPM opens a credential for it.
#[tokio::test(flavor = "multi_thread")]
async fn case_14_an_attestation_key_in_software_cannot_be_proven() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let token = ground.token("a").unwrap();
    let mut request = begin_request(&tpm, &token).unwrap();
    request.ak_public = software_public(&KeyPair::generate().unwrap(), 0x0005_0472);
    sign_begin(&mut request, &token);
    let mut begun = Begun::new(&ground, request).await;
    let (blob, secret) = (&begun.challenge.credential_blob, &begun.challenge.encrypted_secret);
    let opened = tpm.activate_credential(blob, secret);
    assert!(matches!(opened, Err(TpmError::CredentialRefused { .. })), "{opened:?}");

    // The rest as good as it can be made.
    let other = Begun::honest(&ground, &tpm, "b").await;
    let mut proof = other.prove(&tpm);
    proof.session_id = begun.challenge.session_id.clone();
    proof.proof = guess(&begun, &[0; 32]);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "proof");
}

/// The EK of one TPM, AK and TLS key of another: neither opens the credential, and what another one held proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn case_16_keys_of_one_tpm_are_not_proven_with_the_endorsement_key_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 2);
    let (a, b) = (ground.open(0).unwrap(), ground.open(1).unwrap());
    let token = ground.token("a").unwrap();
    let mut request = begin_request(&b, &token).unwrap();
    request.ek_certificate = a.identity().ek_certificate.clone();
    request.ek_public = a.identity().ek_public.clone();
    sign_begin(&mut request, &token);
    let mut begun = Begun::new(&ground, request).await;
    for tpm in [&a, &b] {
        let opened = tpm.activate_credential(&begun.challenge.credential_blob, &begun.challenge.encrypted_secret);
        assert!(matches!(opened, Err(TpmError::CredentialRefused { .. })), "{opened:?}");
    }
    let honest = Begun::honest(&ground, &b, "b").await;
    let mut proof = honest.prove(&b);
    proof.session_id = begun.challenge.session_id.clone();
    proof.proof = guess(&begun, &honest.secret(&b));
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "proof");
}

/// One TPM, two attestation keys: the one that was shown first must be the one that signs.
#[tokio::test(flavor = "multi_thread")]
async fn case_17_an_attestation_key_is_not_exchanged_between_the_messages() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open_set(0, "first").unwrap();
    let mut begun = Begun::honest(&ground, &tpm, "a").await;
    let secret = begun.secret(&tpm);
    let mut again = Begun::honest(&ground, &tpm, "b").await;
    let second_secret = again.secret(&tpm);
    drop(tpm);

    let other = ground.open_set(0, "second").unwrap();
    let exporter = begun.connection.exporter;
    // As if the other key had been there from the beginning.
    let mut pretended = begun.request.clone();
    pretended.ak_public = other.identity().ak_public.clone();
    let transcript = flota_tests::client::transcript(&pretended, &begun.challenge);
    let proof = signed_by(&other, &begun, &transcript, &exporter, &secret);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "proof");

    // With the right transcript, and the other key's signatures.
    let (transcript, exporter) = (again.transcript(), again.connection.exporter);
    let proof = signed_by(&other, &again, &transcript, &exporter, &second_secret);
    let outcome = again.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "certify_signature");
}

fn signed_by(
    tpm: &flota_tpm::Tpm,
    begun: &Begun,
    transcript: &[u8; 32],
    exporter: &[u8; 32],
    secret: &[u8],
) -> flota_proto::v1::FinishRequest {
    let certified = tpm.certify_tls_key(binding::certify_qualifying(transcript, exporter)).unwrap();
    let quote = tpm.quote(binding::enrol_quote_qualifying(transcript, exporter), &[0]).unwrap();
    flota_proto::v1::FinishRequest {
        session_id: begun.challenge.session_id.clone(),
        proof: binding::enrol_proof(secret, transcript).to_vec(),
        certify_attest: certified.attest,
        certify_signature: certified.signature,
        quote_attest: quote.attest,
        quote_signature: quote.signature,
        ..flota_proto::v1::FinishRequest::default()
    }
}

/// The attestation key is asked to certify one TLS key, and the certificate is asked for another one of the same TPM.
#[tokio::test(flavor = "multi_thread")]
async fn case_20_the_certification_of_another_tls_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let other = ground.open_set(0, "second").unwrap();
    let (tls_public, csr) = (other.identity().tls_public.clone(), certificate_request(&other).unwrap());
    drop(other);
    let tpm = ground.open_set(0, "first").unwrap();
    let token = ground.token("a").unwrap();
    let mut request = begin_request(&tpm, &token).unwrap();
    (request.tls_public, request.csr) = (tls_public, csr);
    sign_begin(&mut request, &token);
    let mut begun = Begun::new(&ground, request).await;
    let proof = begun.prove(&tpm);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "certify_name");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_21_a_quote_is_not_taken_for_a_certification() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let mut begun = Begun::honest(&ground, &tpm, "a").await;
    let mut proof = begun.prove(&tpm);
    let qualifying = binding::certify_qualifying(&begun.transcript(), &begun.connection.exporter);
    let quote = tpm.quote(qualifying, &[0]).unwrap();
    (proof.certify_attest, proof.certify_signature) = (quote.attest, quote.signature);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "certify_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_22_a_certificate_request_for_another_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let foreign = request_of(&KeyPair::generate().unwrap());
    let begun = begin_with(&ground, &tpm, "a", |request| request.csr = foreign).await;
    assert_refused(&ground, begun, "FLT-0402", "csr_key");
    let begun = begin_with(&ground, &tpm, "b", |request| *request.csr.last_mut().unwrap() ^= 1).await;
    assert_refused(&ground, begun, "FLT-0402", "csr:");
}

#[tokio::test(flavor = "multi_thread")]
async fn case_23_a_tls_key_that_is_restricted_exportable_or_in_software_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let begun = begin_with(&ground, &tpm, "a", |request| request.tls_public = request.ak_public.clone()).await;
    assert_refused(&ground, begun, "FLT-0402", "tls_attrs");
    // fixedTPM is bit 1 of the attributes, which begin after size, type and name algorithm.
    let begun = begin_with(&ground, &tpm, "b", |request| request.tls_public[9] &= !2).await;
    assert_refused(&ground, begun, "FLT-0402", "tls_attrs");

    let software = KeyPair::generate().unwrap();
    let token = ground.token("c").unwrap();
    let mut request = begin_request(&tpm, &token).unwrap();
    request.tls_public = software_public(&software, 0x0004_0472);
    request.csr = request_of(&software);
    sign_begin(&mut request, &token);
    let mut begun = Begun::new(&ground, request).await;
    let proof = begun.prove(&tpm);
    let outcome = begun.finish(proof).await;
    assert_refused(&ground, outcome, "FLT-0402", "certify_name");

    enrol(&ground.controller, &tpm, &ground.token("d").unwrap()).await.unwrap();
}
