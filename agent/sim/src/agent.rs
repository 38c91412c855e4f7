//! What an agent says to a controller, without a host behind it: it enrols, holds a session, and proves what its TPM is.
//!
//! It runs no bot and makes no exports; what a health check finds is in its script. What is wanted of it goes through the real engine, and its
//! script says how its bot takes it.

mod enrol;
mod evidence;
mod exchange;
mod refusal;
mod session;
mod update;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use flota_model::{HostId, HostName};
use flota_net::dial::{self, DialError, Dialed};
use flota_net::tls::{self, TlsFileError};
use flota_seal::binding::EXPORTER_LABEL;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

pub use enrol::EnrolError;
pub use exchange::SimulatedExchange;
pub use refusal::Refusal;
pub use session::{Observer, Session, SessionEnd, SessionEvent};
pub use update::Script;

use update::Updates;

use crate::soft_tpm::{SoftTpm, SoftTpmError};

/// Where the controller is, and where the simulated host is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Enrollment listener, `https://host:port`.
    pub enrollment: String,
    /// Fleet listener, `https://host:port`.
    pub fleet: String,
    /// The fleet CA.
    pub fleet_ca: Vec<CertificateDer<'static>>,
    /// The host's own address; none: as the system chooses.
    pub source: Option<IpAddr>,
}

/// One of the loopback network's addresses for each host, so that limits by address see many hosts and not one.
/// Linux needs no set-up for it.
pub fn loopback_address(index: u16) -> IpAddr {
    let [high, low] = index.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 1, high, low))
}

/// A simulated host that may not be enrolled yet.
#[derive(Debug, Clone)]
pub struct SimulatedAgent {
    tpm: Arc<SoftTpm>,
    place: Place,
    updates: Updates,
}

/// Who a host is in its fleet, as the controller said at enrolment.
#[derive(Debug, Clone)]
pub struct Member {
    /// For ever.
    pub host_id: HostId,
    /// Given by an operator.
    pub host_name: HostName,
    /// Client certificate of the TLS key.
    pub certificate: CertificateDer<'static>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The fleet CA or the TLS key.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// The TPM.
    #[error(transparent)]
    Tpm(#[from] SoftTpmError),
    /// The connection.
    #[error("connecting to the controller's fleet listener")]
    Dial(#[from] DialError),
    /// The controller refused.
    #[error("the controller refused the session")]
    Refused(#[from] Refusal),
}

impl SimulatedAgent {
    /// A host with this TPM.
    pub fn new(tpm: Arc<SoftTpm>, place: Place) -> Self {
        Self { tpm, place, updates: Updates::new(Script::default()) }
    }

    /// The same host, on which nothing has run yet, with another script. Its clones share what happens to it.
    #[must_use]
    pub fn scripted(&self, script: Script) -> Self {
        Self { updates: Updates::new(script), ..self.clone() }
    }

    /// Its TPM, to be looked at or broken.
    pub fn tpm(&self) -> &Arc<SoftTpm> {
        &self.tpm
    }

    /// Becomes a member of the fleet, with the whole line that `flota token create` printed.
    pub async fn enrol(&self, token: &str) -> Result<Member, EnrolError> {
        let tls = tls::anonymous_client_config(self.place.fleet_ca.clone())?;
        let connection = self.dial(&self.place.enrollment, tls).await?;
        enrol::enrol(&self.tpm, connection, token).await
    }

    /// Opens a session. It does nothing until [`Session::run`].
    pub async fn connect(&self, member: &Member, observer: Observer) -> Result<Session, ConnectError> {
        let key = CertifiedKey::new(vec![member.certificate.clone()], self.tpm.tls_signing_key()?);
        let resolver = Arc::new(SingleCertAndKey::from(key));
        let tls = tls::client_config_with(self.place.fleet_ca.clone(), resolver)?;
        let connection = self.dial(&self.place.fleet, tls).await?;
        Ok(session::open(Arc::clone(&self.tpm), self.updates.clone(), connection, member, observer).await?)
    }

    async fn dial(&self, endpoint: &str, tls: ClientConfig) -> Result<Dialed, DialError> {
        dial::dial_from(self.place.source, endpoint, tls, EXPORTER_LABEL).await
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host_name, self.host_id)
    }
}
