//! Simulated exchanges for tests: HTTPS on a real socket, real request signatures, each exchange's own error bodies.
//!
//! Binance spot stands at the root, every other one behind its prefix ([`ExchangeId::prefix`]). Each verifies what a
//! client sends (key, time window or nonce, signature) as strictly as the exchange documents, and can be told to fail,
//! throttle, lag, or run a wrong clock, for everybody or for one key. They know balances and prices but no orders, and
//! must never be reachable from outside the machine: the listener is on loopback unless told otherwise. Nothing here
//! may share code with the clients under test: it is the second opinion on their signatures.
//!
//! Start reading at [`ExchangeSim::start`]; what it can be told is [`Order`], what an exchange is, `venue.rs`.

mod accounts;
mod behaviour;
mod binance;
mod certificate;
mod listener;
mod signature;
#[cfg(test)]
mod vectors;
mod venue;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use accounts::{Account, AccountsError, ExchangeId};
pub use behaviour::{Mode, Order, UnusableOrder};
pub use certificate::CertificateError;

use behaviour::Behaviours;

/// Lifetime of the server's certificate unless a test asks for another: the life of a test and then some.
const CERTIFICATE_LIFETIME: Duration = Duration::from_hours(24 * 90);

/// What a simulated exchange is started with.
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the certificate of the simulator's own authority is written, as PEM. Its key never leaves the process.
    pub ca_file: PathBuf,
    /// Who may sign requests.
    pub accounts: Vec<Account>,
    /// How long the server's certificate is valid from now on.
    pub certificate_lifetime: Duration,
}

impl Config {
    /// A free port on loopback, no accounts, a certificate for 90 days.
    pub fn new(ca_file: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            ca_file: ca_file.into(),
            accounts: Vec::new(),
            certificate_lifetime: CERTIFICATE_LIFETIME,
        }
    }

    /// Adds an account.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }
}

/// Why a simulated exchange did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("listening on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error("making the simulator's certificates")]
    Certificate(#[source] CertificateError),
    /// The authority's certificate could not be written for the clients.
    #[error("writing the authority's certificate to {}", path.display())]
    CaFile {
        /// [`Config::ca_file`].
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A running exchange. Dropping it closes the port and every connection.
pub struct ExchangeSim {
    address: SocketAddr,
    ca_file: PathBuf,
    behaviours: Arc<Behaviours>,
    _stop: DropGuard,
}

impl ExchangeSim {
    /// Starts an exchange on the current tokio runtime. It answers from the moment this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let Config { listen, ca_file, accounts, certificate_lifetime } = config;
        let certificates = certificate::Certificates::issue(certificate_lifetime).map_err(StartError::Certificate)?;
        let tls = certificates.server_config().map_err(StartError::Certificate)?;
        std::fs::write(&ca_file, certificates.authority_pem())
            .map_err(|source| StartError::CaFile { path: ca_file.clone(), source })?;

        let refused = |source| StartError::Listen { address: listen, source };
        let socket = TcpListener::bind(listen).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        let behaviours = Arc::new(Behaviours::default());
        // Binance last: its fallback, which counts and misbehaves too, is the one that stays.
        let router = venue::router(&accounts, &behaviours).merge(binance::router(&accounts, Arc::clone(&behaviours)));
        let stop = CancellationToken::new();
        tokio::spawn(listener::serve(socket, tls, router, stop.clone()));
        Ok(Self { address, ca_file, behaviours, _stop: stop.drop_guard() })
    }

    /// Root of the API, for example `https://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Root of one exchange's API, for example `https://127.0.0.1:40123/kraken_spot`.
    pub fn base_url_of(&self, exchange: ExchangeId) -> String {
        format!("https://{}{}", self.address, exchange.prefix())
    }

    /// The file with the authority's certificate that a client must trust.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Tells the exchange how to behave from the next request on; the same as `POST /control`.
    pub fn obey(&self, order: Order) {
        self.behaviours.obey(order);
    }

    /// How often `path`, its prefix included, was asked for since the start, refused requests included.
    pub fn served(&self, path: &str) -> u64 {
        self.behaviours.served(path)
    }

    /// How many requests were served, all paths together.
    pub fn served_in_all(&self) -> u64 {
        self.behaviours.served_in_all()
    }
}
