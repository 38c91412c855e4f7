//! The two listeners against those who do not keep to TLS, or would use it for something else.
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flota_net::dial::dial;
use flota_net::tls;
use flota_proto::v1;
use flota_tests::client::{EnrolmentConnection, enrol};
use flota_tests::{Bins, Ground};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::{Code, Request};

fn ground(dir: &Path, tpms: usize) -> Ground {
    Ground::new(&Bins::beside_this_program().unwrap(), dir, tpms, 3600).unwrap()
}

/// `https://127.0.0.1:7443` without its beginning.
fn authority(endpoint: &str) -> &str {
    endpoint.strip_prefix("https://").unwrap()
}

fn ca(ground: &Ground) -> Vec<CertificateDer<'static>> {
    tls::certificates(&std::fs::read(ground.controller.ca_file()).unwrap()).unwrap()
}

/// The administrator's settings, by a client that resumes sessions where it can.
fn resuming(ground: &Ground) -> Arc<ClientConfig> {
    let read = |name: &str| std::fs::read(ground.controller.dir().join("operators/admin").join(name)).unwrap();
    let mut config = tls::client_config(&read("ca.pem"), &read("cert.pem"), &read("key.pem")).unwrap();
    config.resumption = Resumption::in_memory_sessions(16);
    Arc::new(config)
}

/// Connects twice and says how the second handshake went. What the server says after the first one is read, since tickets
/// come with it.
async fn second_handshake(address: &str, config: Arc<ClientConfig>) -> HandshakeKind {
    let connector = TlsConnector::from(config);
    let mut kind = HandshakeKind::Full;
    for _ in 0..2 {
        let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = connector.connect(name, tcp).await.unwrap();
        // HTTP/2's preface and empty settings; the server answers with its own.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut some = [0; 9];
        stream.read_exact(&mut some).await.unwrap();
        kind = stream.get_ref().1.handshake_kind().unwrap();
    }
    kind
}

#[tokio::test(flavor = "multi_thread")]
async fn no_listener_resumes_a_session() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    for endpoint in [&ground.controller.fleet, &ground.controller.enrollment] {
        let kind = second_handshake(authority(endpoint), resuming(&ground)).await;
        assert_eq!(kind, HandshakeKind::Full, "{endpoint}");
    }
    // The same client does resume where a server lets it.
    let kind = second_handshake(&lenient(&ground).await, resuming(&ground)).await;
    assert_eq!(kind, HandshakeKind::Resumed);
}

/// A server with a certificate of the same CA and rustls's own defaults, which says something to whoever comes.
async fn lenient(ground: &Ground) -> String {
    let key = std::fs::read_to_string(ground.controller.dir().join("ca-key.pem")).unwrap();
    let ca_pem = std::fs::read_to_string(ground.controller.ca_file()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&ca_pem, rcgen::KeyPair::from_pem(&key).unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let private = tls::private_key(key.serialize_pem().as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    serve(config).await
}

async fn serve(config: ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    drop(tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            stream.write_all(&[0; 9]).await.unwrap();
            stream.flush().await.unwrap();
            let _theirs = stream.read_to_end(&mut Vec::new()).await;
        }
    }));
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_certificate_is_no_servers() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let tpm = ground.open(0).unwrap();
    let member = enrol(&ground.controller, &tpm, &ground.token("host-0").unwrap()).await.unwrap();
    let chain = vec![CertificateDer::from(member.certificate.clone())];
    let key = rustls::sign::CertifiedKey::new(chain, tpm.tls_key());
    let mut config = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    let address = serve(config).await;
    let client = tls::anonymous_client_config(ca(&ground)).unwrap();
    let refused = dial(&format!("https://{address}"), client).await.map(drop).unwrap_err();
    let why = flota_daemon::error_chain::chain(&refused);
    assert!(why.contains("certificate"), "{why}");
    // Whatever name it had, it would be for clients alone.
    let client_alone = CertificateDer::from(member.certificate);
    let parsed = rustls::server::ParsedCertificate::try_from(&client_alone).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for root in ca(&ground) {
        roots.add(root).unwrap();
    }
    let verified = rustls::client::verify_server_cert_signed_by_trust_anchor(
        &parsed,
        &roots,
        &[],
        rustls::pki_types::UnixTime::now(),
        tls::provider().signature_verification_algorithms.all,
    );
    let why = verified.unwrap_err().to_string();
    assert!(why.contains("extended key usage for server authentication"), "{why}");
}

/// Connections of another address than ours that say nothing.
async fn silent(endpoint: &str, count: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let stream = socket.connect(authority(endpoint).parse().unwrap()).await.unwrap().into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        connections.push(stream);
    }
    connections
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end_are_ended_and_keep_nobody_out() {
    /// More than may be in progress at once.
    const FLOOD: usize = 600;
    /// The limit is five seconds for each of two rounds; the rest is for a machine that compiles beside it.
    const BOUND: Duration = Duration::from_secs(45);
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    for endpoint in [&ground.controller.fleet, &ground.controller.enrollment] {
        let begun = Instant::now();
        let mut flood = silent(endpoint, FLOOD).await;
        let config = Arc::unwrap_or_clone(resuming(&ground));
        let served = tokio::time::timeout(BOUND, dial(endpoint, config)).await.unwrap();
        assert!(served.is_ok(), "{endpoint}: {:?}", served.err());
        let ended = tokio::task::spawn_blocking(move || {
            for stream in &mut flood {
                stream.set_read_timeout(Some(BOUND)).unwrap();
                // End or reset: both are one.
                assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
            }
        });
        ended.await.unwrap();
        let took = begun.elapsed();
        assert!(took > Duration::from_secs(4) && took < BOUND, "{endpoint}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_call_that_says_nothing_is_ended() {
    /// The limit is thirty seconds.
    const BOUND: Duration = Duration::from_secs(45);
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let config = tls::anonymous_client_config(ca(&ground)).unwrap();
    let channel = dial(&ground.controller.enrollment, config).await.unwrap().channel;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<v1::BeginRequest, v1::BeginResponse>::default();
    let path = "/flota.v1.Enrollment/Begin".parse().unwrap();
    let begun = Instant::now();
    let call = client.client_streaming(Request::new(tokio_stream::pending()), path, codec);
    let ended = tokio::time::timeout(BOUND, call).await.expect("it goes on").map(drop).unwrap_err();
    assert!(matches!(ended.code(), Code::Cancelled | Code::DeadlineExceeded | Code::Unknown), "{ended:?}");
    assert!(
        begun.elapsed() > Duration::from_secs(25),
        "{:?}: it was not the limit that ended it: {ended:?}",
        begun.elapsed()
    );
    // The next one is served.
    let tpm = ground.open(0).unwrap();
    let token = ground.token("host-0").unwrap();
    let mut connection = EnrolmentConnection::dial(&ground.controller).await.unwrap();
    connection.begin(flota_tests::client::begin_request(&tpm, &token).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_holds_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let ground = ground(dir.path(), 1);
    let token = ground.token("host-0").unwrap();
    let [_, id, secret] = token.splitn(3, '_').collect::<Vec<_>>().try_into().unwrap();
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(ground.controller.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("flota.db") {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(id), "its public half is there");
    assert!(!holds(secret) && !holds(&token), "what proves it is not");
    assert!(!ground.controller.process().output().contains(secret), "nor is it logged");
}
