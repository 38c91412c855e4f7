//! The two TLS listeners. Their accept loop bounds handshakes in number and time, and hands connections to tonic.

mod places;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use flota_net::tls;
use flota_seal::binding::{EXPORTER_BYTES, EXPORTER_LABEL};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::ca::Issued;
use crate::core::Core;
use crate::peer::{Identity, Peer, PeerCertificate};

pub use places::Limits;
use places::{Place, Places};

/// A handshake that takes longer is an attack or a dead network (CVE-2023-38200).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes in progress at once; more wait in the kernel's queue.
const HANDSHAKES: usize = 512;
/// Connections that wait for tonic to take them.
const ACCEPTED: usize = 64;
/// The Enrollment listener, whose peers nobody knows: file descriptors are shared with the fleet's, which must not run
/// out, and one address must not keep everybody else from enrolling.
pub const ENROLLMENT: Limits = Limits { in_all: 512, of_one_source: 256 };
/// The Fleet listener: ten thousand hosts, and room for transfers and operators. They may all come through one gateway.
pub const FLEET: Limits = Limits { in_all: 16_384, of_one_source: 16_384 };

/// Whether the listener asks for a client certificate. There is no "optional": CVE-2026-1709 is what comes of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Enrollment: hosts have none yet.
    NotAsked,
    /// Fleet: required, from the fleet CA.
    Required,
}

/// A listener's TLS settings could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Address in use, or not ours.
    #[error("listening on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] tls::TlsFileError),
    /// rustls refused the settings.
    #[error("preparing TLS")]
    Rustls(#[source] rustls::Error),
    /// The client verifier refused the CA.
    #[error("preparing the verification of client certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// Server settings of one listener.
pub fn server_config(
    core: &Arc<Core>,
    issued: &Issued,
    clients: ClientCertificate,
) -> Result<Arc<ServerConfig>, ListenerError> {
    let builder = ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(ListenerError::Rustls)?;
    let builder = match clients {
        ClientCertificate::NotAsked => builder.with_no_client_auth(),
        ClientCertificate::Required => {
            let mut roots = RootCertStore::empty();
            roots.add(core.ca.certificate().clone()).map_err(ListenerError::Rustls)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider());
            let ours = verifier.build().map_err(ListenerError::Verifier)?;
            builder.with_client_cert_verifier(Arc::new(NotDenied { ours, core: Arc::clone(core) }))
        }
    };
    let chain = vec![issued.certificate.clone(), core.ca.certificate().clone()];
    let key = tls::private_key(issued.key_pem.as_bytes())?;
    let mut config = builder.with_single_cert(chain, key).map_err(ListenerError::Rustls)?;
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    // A resumed session would need no signature of the client's key, so it would prove nothing about its TPM.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Certificates of the fleet CA, without those of hosts that are shut out.
struct NotDenied {
    ours: Arc<dyn ClientCertVerifier>,
    core: Arc<Core>,
}

impl std::fmt::Debug for NotDenied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotDenied").field("ours", &self.ours).finish_non_exhaustive()
    }
}

impl ClientCertVerifier for NotDenied {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.ours.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.ours.verify_client_cert(end_entity, intermediates, now)?;
        let certificate = PeerCertificate::read(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))?;
        match certificate.identity {
            Identity::Host(host) if self.core.denied.contains(&host) => {
                tracing::info!(host.id = %host, "a host that is shut out was refused in the handshake");
                Err(rustls::Error::InvalidCertificate(CertificateError::Revoked))
            }
            _ => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.ours.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.ours.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.ours.supported_verify_schemes()
    }
}

/// Binds and says where, since the port may have been left to the system.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenerError> {
    let listener = TcpListener::bind(address).await.map_err(|source| ListenerError::Bind { address, source })?;
    let bound = listener.local_addr().map_err(|source| ListenerError::Bind { address, source })?;
    Ok((listener, bound))
}

/// Accepts until `stopping`; finished handshakes come out of the receiver.
pub async fn accept(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    connections: mpsc::Sender<io::Result<Connection>>,
    limits: Limits,
    stopping: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(config);
    let permits = Arc::new(Semaphore::new(HANDSHAKES));
    let places = Places::new(limits);
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let free = tokio::select! {
            () = stopping.cancelled() => return,
            free = places.wait() => free,
        };
        let Some(free) = free else { return };
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Usually out of file descriptors: give others time to close some.
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = places.take(free, address.ip()) else {
            tracing::debug!(%address, "one more connection than an address may have was closed");
            continue;
        };
        let (acceptor, connections) = (acceptor.clone(), connections.clone());
        // Bounded by the permits and by the timeout; it needs no tracking beyond them.
        drop(tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(&acceptor, tcp, address, place)).await {
                Ok(Ok(connection)) => drop(connections.send(Ok(connection)).await),
                Ok(Err(error)) => tracing::debug!(%address, %error, "handshake failed"),
                Err(_) => tracing::debug!(%address, "handshake took too long"),
            }
            drop(permit);
        }));
    }
}

/// A channel between [`accept`] and tonic.
pub fn channel() -> (mpsc::Sender<io::Result<Connection>>, mpsc::Receiver<io::Result<Connection>>) {
    mpsc::channel(ACCEPTED)
}

async fn handshake(
    acceptor: &TlsAcceptor,
    tcp: TcpStream,
    address: SocketAddr,
    place: Place,
) -> io::Result<Connection> {
    tcp.set_nodelay(true)?;
    let stream = acceptor.accept(tcp).await?;
    let (_, session) = stream.get_ref();
    let exporter =
        session.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None).map_err(io::Error::other)?;
    let certificate = match session.peer_certificates().and_then(<[_]>::first) {
        Some(der) => Some(PeerCertificate::read(der).map_err(io::Error::other)?),
        None => None,
    };
    let peer = Arc::new(Peer { certificate, exporter, address: address.ip() });
    Ok(Connection { stream, peer, _place: place })
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    /// Given back when the connection ends.
    _place: Place,
}

impl Connected for Connection {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
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

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
