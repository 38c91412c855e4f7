//! The accept loop: TLS in front, HTTP/1.1 behind, one task a connection, all gone when told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Longest TLS handshake. A client that connects and says nothing must not hold a task until the end of the test.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a refused accept: the usual cause, no file descriptor left, is not cured by asking again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Request weight spent over one connection. A connection stands for an IP address here: Binance counts by address,
/// and every host of a simulated fleet has the same one.
#[derive(Clone, Default)]
pub(crate) struct SpentWeight(pub(crate) Arc<AtomicU32>);

pub(crate) async fn serve(socket: TcpListener, tls: ServerConfig, router: Router, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let connection = converse(stream, acceptor.clone(), router.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection => {}
            }
        });
    }
}

/// Serves one client until it leaves. A client that breaks off is its own business, so errors end here.
async fn converse(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await else {
        return;
    };
    let service = TowerToHyperService::new(router.layer(Extension(SpentWeight::default())));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
