//! A connection to the Fleet listener with the TPM's key.

use std::sync::Arc;

use flota_daemon::dial::{DialError, Dialed, dial_with_exporter};
use flota_daemon::tls::{self, TlsFileError};
use flota_seal::binding::EXPORTER_LABEL;
use flota_tpm::Tpm;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::identity::Identity;
use crate::settings::Settings;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    #[error("connecting to the controller")]
    Dial(#[from] DialError),
}

/// Connects; the handshake is signed by the TPM.
pub(super) async fn connect(settings: &Settings, identity: &Identity, tpm: &Tpm) -> Result<Dialed, ConnectError> {
    let ca = tls::certificates(&tls::read_file(&settings.controller.ca_file)?)?;
    let key = CertifiedKey::new(vec![identity.certificate.clone()], tpm.tls_key());
    let config = tls::client_config_with(ca, Arc::new(SingleCertAndKey::from(key)))?;
    Ok(dial_with_exporter(&settings.controller.fleet, config, EXPORTER_LABEL).await?)
}
