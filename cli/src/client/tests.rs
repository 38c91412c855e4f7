//! What a refused certificate looks like: TLS 1.3 tells only after the handshake.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use flota_proto::v1::ListHostsRequest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::context::Entry;
use crate::failure::Stake;
use crate::testing::PLAIN;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(ca: &Ca, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, ca).unwrap(), key)
}

/// A server of `ca` that admits clients of `ca`, and answers nothing.
async fn serve(ca: &Ca) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build().unwrap();
    let (certificate, key) = issue(ca, "127.0.0.1");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            // The alert is sent by `accept`; the connection ends with it.
            drop(acceptor.accept(stream).await);
        }
    });
    endpoint
}

fn context(endpoint: String, server: &Ca, client: &Ca) -> (TempDir, Route) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (certificate, key) = issue(client, "anna");
    let entry = Entry {
        endpoint,
        ca_file: write("ca.pem", server.pem()),
        cert_file: write("anna.pem", certificate.pem()),
        key_file: write("anna.key", key.serialize_pem()),
    };
    let route = Route::Tls(Box::new(Context { name: "demo".into(), entry }));
    (folder, route)
}

#[tokio::test]
async fn a_key_that_others_can_read_is_not_used() {
    let ours = ca();
    let (folder, route) = context(serve(&ours).await, &ours, &ours);
    for mode in [0o640, 0o604] {
        std::fs::set_permissions(folder.path().join("anna.key"), Permissions::from_mode(mode)).unwrap();
        let failure = Session::open(route.clone(), None).await.map(drop).unwrap_err();
        let text = failure.render(PLAIN).unwrap();
        assert_eq!(failure.exit(), Exit::Denied, "{text}");
        assert!(text.contains("others can read the key of context `demo`"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_certificate_ends_with_4() {
    let (ours, theirs) = (ca(), ca());
    let (_folder, route) = context(serve(&ours).await, &ours, &theirs);
    let failure = match Session::open(route, None).await {
        Err(failure) => failure,
        Ok(session) => {
            let status = session.hosts().list(session.ask(ListHostsRequest::default())).await.unwrap_err();
            Failure::of_status(&status, Stake::Reads)
        }
    };
    let text = failure.render(PLAIN).unwrap();
    assert_eq!(failure.exit(), Exit::Denied, "{text}");
    assert!(text.contains("the controller refused your certificate"), "{text}");
}

#[tokio::test]
async fn a_controller_of_another_ca_ends_with_7_and_says_so() {
    let (ours, theirs) = (ca(), ca());
    let (_folder, route) = context(serve(&theirs).await, &ours, &ours);
    let failure = Session::open(route, None).await.unwrap_err();
    let text = failure.render(PLAIN).unwrap();
    assert_eq!(failure.exit(), Exit::Unreachable, "{text}");
    assert!(text.contains("does not prove to be the controller of context `demo`"), "{text}");
}

#[tokio::test]
async fn nobody_there_ends_with_7() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let ca = ca();
    let (_folder, route) = context(endpoint, &ca, &ca);
    let failure = Session::open(route, None).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.render(PLAIN).unwrap().contains("cannot be reached"));
}

#[tokio::test]
async fn missing_files_are_named() {
    let ca = ca();
    let (folder, route) = context("https://127.0.0.1:1".into(), &ca, &ca);
    std::fs::remove_file(folder.path().join("anna.key")).unwrap();
    let failure = Session::open(route, None).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Denied);
    assert!(failure.render(PLAIN).unwrap().contains("anna.key"));
}
