//! The TLS key in a certificate request and in a handshake.

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use flota_tpm::{TlsKey, Tpm};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SigningKey as _, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SignatureScheme};

use crate::bench::{Host, point};

type Ca = CertifiedIssuer<'static, KeyPair>;

#[test]
fn signatures_verify_and_the_public_key_is_the_tpms() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let key = tpm.tls_key();
    let point = point(&tpm.identity().tls_public);
    assert!(key.spki().ends_with(&point));
    // Enough for r and s with leading zeros and with the sign bit set.
    for message in 0..300_u16 {
        let message = message.to_be_bytes();
        let signature = key.sign(&message).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &point).verify(&message, &signature).unwrap();
    }
    assert!(key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256, SignatureScheme::ED25519]).is_none());
}

#[test]
fn a_request_and_a_handshake_are_signed_in_the_tpm() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let ca = ca();
    let certificate = certify(&tpm, &ca);
    assert_eq!(handshake(&tpm, &certificate, &ca), certificate);
}

#[test]
fn handshakes_work_on_either_kind_of_runtime_and_elsewhere() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let ca = ca();
    let certificate = certify(&tpm, &ca);
    let current_thread = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let multi_thread = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    for runtime in [&current_thread, &multi_thread] {
        assert_eq!(runtime.block_on(async { handshake(&tpm, &certificate, &ca) }), certificate);
    }
    // On a worker, where blocking would stop the other tasks.
    let peer = certificate.clone();
    let on_a_worker = multi_thread.spawn(async move { handshake(&tpm, &peer, &ca) });
    assert_eq!(multi_thread.block_on(on_a_worker).unwrap(), certificate);
}

#[test]
fn the_key_keeps_the_tpm_open() {
    let host = Host::new();
    let key: Arc<TlsKey> = host.open().unwrap().tls_key();
    key.sign(b"message").unwrap();
    assert_eq!(host.loaded(), (0, 2));
    drop(key);
    assert_eq!(host.loaded(), (0, 0));
}

fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for a request that the TPM signed. Parsing the request verifies its signature.
fn certify(tpm: &Tpm, ca: &Ca) -> CertificateDer<'static> {
    let params = CertificateParams::new(vec!["host.test".to_owned()]).unwrap();
    let request = params.serialize_request(&*tpm.tls_key()).unwrap();
    let request = CertificateSigningRequestParams::from_der(request.der()).unwrap();
    request.signed_by(ca).unwrap().der().clone()
}

/// A TLS 1.3 handshake in memory; returns the client certificate that the server verified.
fn handshake(tpm: &Tpm, certificate: &CertificateDer<'static>, ca: &Ca) -> CertificateDer<'static> {
    let certified = CertifiedKey::new(vec![certificate.clone()], tpm.tls_key());
    certified.keys_match().unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(Arc::clone(&roots))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));

    let server_key = KeyPair::generate().unwrap();
    let server_params = CertificateParams::new(vec!["controller.test".to_owned()]).unwrap();
    let server_certificate = server_params.signed_by(&server_key, ca).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![server_certificate.der().clone()],
            PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
        )
        .unwrap();

    let name = ServerName::try_from("controller.test").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    server.peer_certificates().unwrap()[0].clone().into_owned()
}
