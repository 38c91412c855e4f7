//! One connection to a gRPC server, over rustls, that is never silently replaced by another.
//!
//! tonic's channel reconnects by itself; the TLS exporter would change under evidence that is bound to it. So the
//! connection is made here, and the connector gives it out once.

mod farewell;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use farewell::Attended;
pub use farewell::Farewell;

/// Time for TCP and TLS together; a TPM signs in well under a second even when it is busy.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is probed this often, and given up when a probe is not answered in [`KEEPALIVE_TIMEOUT`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long a probe may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of keying material exported from the connection.
pub const EXPORTER_BYTES: usize = 32;

/// A connection that is up.
#[derive(Debug)]
pub struct Dialed {
    /// Speaks gRPC over it; broken for good once the connection is.
    pub channel: Channel,
    /// Keying material of this very connection (RFC 8446 §7.5), for the label asked for.
    pub exporter: [u8; EXPORTER_BYTES],
}

/// Why there is no connection. All but [`DialError::Address`] may go away by themselves.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The endpoint is not `https://host:port`.
    #[error("`{0}` is not an endpoint: expected https://host:port")]
    Address(String),
    /// Nobody answers there.
    #[error("connecting to {address}")]
    Connect {
        /// Whom.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No answer in [`CONNECT_TIMEOUT`].
    #[error("no answer from {0} in 10 s")]
    Timeout(String),
    /// The handshake failed: wrong CA, wrong name, or the server refused.
    #[error("TLS handshake with {address}")]
    Handshake {
        /// With whom.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// HTTP/2 did not start.
    #[error("starting HTTP/2 with {address}")]
    Http {
        /// With whom.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Connects to `endpoint` (`https://host:port`), exporting keying material without a label of its own.
pub async fn dial(endpoint: &str, tls: ClientConfig) -> Result<Dialed, DialError> {
    dial_with_exporter(endpoint, tls, b"EXPORTER-flota-unused").await
}

/// Connects to `endpoint` and exports keying material under `label`.
///
/// With TLS 1.3 this succeeds even when the server is about to refuse the client certificate: the first RPC then fails.
pub async fn dial_with_exporter(endpoint: &str, tls: ClientConfig, label: &[u8]) -> Result<Dialed, DialError> {
    open(endpoint, None, tls, label).await.map(|(dialed, _)| dialed)
}

/// The same, from an address of the caller's own if one is given, and not from whatever address the system chooses: a
/// controller limits enrolments by address, and a thousand simulated hosts in one process are no flood from one.
pub async fn dial_from(
    source: Option<IpAddr>,
    endpoint: &str,
    tls: ClientConfig,
    label: &[u8],
) -> Result<Dialed, DialError> {
    open(endpoint, source, tls, label).await.map(|(dialed, _)| dialed)
}

/// The same, for callers who want to know why the connection ended.
pub async fn dial_attended(endpoint: &str, tls: ClientConfig, label: &[u8]) -> Result<(Dialed, Farewell), DialError> {
    open(endpoint, None, tls, label).await
}

async fn open(
    endpoint: &str,
    source: Option<IpAddr>,
    tls: ClientConfig,
    label: &[u8],
) -> Result<(Dialed, Farewell), DialError> {
    let (host, port) = split(endpoint)?;
    let address = format!("{host}:{port}");
    let attempt = tokio::time::timeout(CONNECT_TIMEOUT, connect(host, port, source, &address, tls));
    let stream = attempt.await.map_err(|_| DialError::Timeout(address.clone()))??;
    let exporter = stream
        .get_ref()
        .1
        .export_keying_material([0; EXPORTER_BYTES], label, None)
        .map_err(|error| DialError::Handshake { address: address.clone(), source: std::io::Error::other(error) })?;
    let (stream, farewell) = Attended::new(stream);
    let channel = over(stream, &address).await?;
    Ok((Dialed { channel, exporter }, farewell))
}

fn split(endpoint: &str) -> Result<(String, u16), DialError> {
    let wrong = || DialError::Address(endpoint.chars().take(120).collect());
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("https"), Some(host), Some(port)) => Ok((host.trim_matches(['[', ']']).to_owned(), port)),
        _ => Err(wrong()),
    }
}

type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

async fn connect(
    host: String,
    port: u16,
    source: Option<IpAddr>,
    address: &str,
    tls: ClientConfig,
) -> Result<TlsStream, DialError> {
    let name = ServerName::try_from(host.clone()).map_err(|_| DialError::Address(address.to_owned()))?;
    let failed = |source| DialError::Connect { address: address.to_owned(), source };
    let tcp = match source {
        None => TcpStream::connect((host.as_str(), port)).await.map_err(failed)?,
        Some(source) => connect_from(source, &host, port).await.map_err(failed)?,
    };
    tcp.set_nodelay(true).map_err(failed)?;
    TlsConnector::from(Arc::new(tls))
        .connect(name, tcp)
        .await
        .map_err(|source| DialError::Handshake { address: address.to_owned(), source })
}

async fn connect_from(source: IpAddr, host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut addresses = tokio::net::lookup_host((host, port)).await?;
    let same_family = addresses.find(|address| address.is_ipv4() == source.is_ipv4());
    let address = same_family.ok_or_else(|| std::io::Error::other("it has no address of the host's own kind"))?;
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(address).await
}

async fn over(stream: Attended<TlsStream>, address: &str) -> Result<Channel, DialError> {
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
        .map_err(|source| DialError::Http { address: address.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_with_a_port() {
        assert_eq!(split("https://127.0.0.1:7443").unwrap(), ("127.0.0.1".into(), 7443));
        assert_eq!(split("https://[::1]:7443").unwrap(), ("::1".into(), 7443));
        for bad in ["http://a:1", "https://a", "a:1", "https://"] {
            assert!(matches!(split(bad), Err(DialError::Address(_))), "{bad}");
        }
    }
}
