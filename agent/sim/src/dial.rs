//! One connection to the controller, from an address of the host's own, that is never silently replaced by another.
//!
//! As `flota_net::dial`, which takes whatever address the system gives: a controller limits enrolments by address, and
//! a thousand hosts in one process are no flood from one.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use flota_net::dial::{CONNECT_TIMEOUT, DialError, Dialed, EXPORTER_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
use flota_seal::binding::EXPORTER_LABEL;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Endpoint, Uri};

/// Connects to `endpoint` (`https://host:port`), from `source` if one is given.
///
/// With TLS 1.3 this succeeds even when the server is about to refuse the client certificate: the first RPC then fails.
pub(crate) async fn dial(endpoint: &str, source: Option<IpAddr>, tls: ClientConfig) -> Result<Dialed, DialError> {
    let (host, port) = split(endpoint)?;
    let address = format!("{host}:{port}");
    let attempt = tokio::time::timeout(CONNECT_TIMEOUT, connect(&host, port, source, &address, tls));
    let stream = attempt.await.map_err(|_| DialError::Timeout(address.clone()))??;
    let (_, session) = stream.get_ref();
    let exporter = session
        .export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)
        .map_err(|error| DialError::Handshake { address: address.clone(), source: std::io::Error::other(error) })?;
    let channel = over(stream, address).await?;
    Ok(Dialed { channel, exporter })
}

fn split(endpoint: &str) -> Result<(String, u16), DialError> {
    let wrong = || DialError::Address(endpoint.chars().take(120).collect());
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("https"), Some(host), Some(port)) => Ok((host.trim_matches(['[', ']']).to_owned(), port)),
        _ => Err(wrong()),
    }
}

async fn connect(
    host: &str,
    port: u16,
    source: Option<IpAddr>,
    address: &str,
    tls: ClientConfig,
) -> Result<TlsStream<TcpStream>, DialError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| DialError::Address(address.to_owned()))?;
    let refused = |source| DialError::Connect { address: address.to_owned(), source };
    let tcp = match source {
        None => TcpStream::connect((host, port)).await.map_err(refused)?,
        Some(source) => from(source, host, port).await.map_err(refused)?,
    };
    tcp.set_nodelay(true).map_err(refused)?;
    TlsConnector::from(Arc::new(tls))
        .connect(name, tcp)
        .await
        .map_err(|source| DialError::Handshake { address: address.to_owned(), source })
}

async fn from(source: IpAddr, host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut addresses = tokio::net::lookup_host((host, port)).await?;
    let same_family = addresses.find(|address| address.is_ipv4() == source.is_ipv4());
    let address = same_family.ok_or_else(|| std::io::Error::other("it has no address of the host's own kind"))?;
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(address).await
}

async fn over(stream: TlsStream<TcpStream>, address: String) -> Result<tonic::transport::Channel, DialError> {
    let once = Arc::new(Mutex::new(Some(stream)));
    let connector = tower::service_fn(move |_: Uri| {
        let taken = once.lock().ok().and_then(|mut stream| stream.take());
        async move { taken.map(TokioIo::new).ok_or_else(|| std::io::Error::other("the connection is gone")) }
    });
    // With an https URI tonic would insist on TLS of its own.
    Endpoint::from_static("http://flota.invalid")
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|source| DialError::Http { address, source })
}
