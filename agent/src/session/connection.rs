//! A connection to the Fleet listener with the host's key.

use std::sync::Arc;

use flota_net::dial::{DialError, Dialed, Farewell, dial_attended};
use flota_net::tls::{self, TlsFileError};
use flota_seal::binding::EXPORTER_LABEL;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::host_key::HostKey;
use crate::identity::Identity;
use crate::settings::Settings;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error("the certificate of this host is not of its key: it was enrolled with another one")]
    OtherKey(#[source] rustls::Error),
    #[error("connecting to the controller")]
    Dial(#[from] DialError),
}

/// Connects; the handshake is signed by the key, in the TPM where there is one.
pub(super) async fn connect(
    settings: &Settings,
    identity: &Identity,
    key: &HostKey,
) -> Result<(Dialed, Farewell), ConnectError> {
    let ca = tls::certificates(&tls::read_file(&settings.controller.ca_file)?)?;
    let key = CertifiedKey::new(vec![identity.certificate.clone()], key.signing());
    key.keys_match().map_err(ConnectError::OtherKey)?;
    let config = tls::client_config_with(ca, Arc::new(SingleCertAndKey::from(key)))?;
    Ok(dial_attended(&settings.controller.fleet, config, EXPORTER_LABEL).await?)
}
