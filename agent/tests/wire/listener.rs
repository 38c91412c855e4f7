//! TLS listeners on free ports, whose connections carry what evidence is bound to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flota_net::tls;
use flota_seal::binding::EXPORTER_LABEL;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use super::ca::Ca;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) exporter: [u8; 32],
    pub(crate) certificate: Option<CertificateDer<'static>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    Anonymous,
    Certified,
}

/// Serves until the runtime ends; says where.
pub(crate) async fn serve(ca: &Ca, clients: Clients, routes: Routes) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let acceptor = TlsAcceptor::from(Arc::new(config(ca, clients)));
    let (connections, accepted) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, connections) = (acceptor.clone(), connections.clone());
            tokio::spawn(async move {
                // A client that is refused here is told by an alert.
                if let Ok(stream) = acceptor.accept(tcp).await {
                    let _over = connections.send(Ok::<_, io::Error>(Connection::new(stream))).await;
                }
            });
        }
    });
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(ReceiverStream::new(accepted)));
    endpoint
}

fn config(ca: &Ca, clients: Clients) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let builder = match clients {
        Clients::Anonymous => builder.with_no_client_auth(),
        Clients::Certified => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let (certificate, key) = ca.server();
    let key = tls::private_key(key.as_bytes()).unwrap();
    let mut config = builder.with_single_cert(vec![certificate, ca.certificate.clone()], key).unwrap();
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config
}

struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
}

impl Connection {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        let (_, session) = stream.get_ref();
        let exporter = session.export_keying_material([0; 32], EXPORTER_LABEL, None).unwrap();
        let certificate = session.peer_certificates().and_then(<[_]>::first).map(|der| der.clone().into_owned());
        Self { stream, peer: Peer { exporter, certificate } }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
