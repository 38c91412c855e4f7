//! A host of a test's own making: everything that `flota-agent` says to a controller, step by step, so that a test can
//! take one step wrongly. Its TPM is a real one.
//!
//! It decides nothing and checks nothing: what it is answered is the test's to judge.

mod enrolment;
mod session;

use std::path::Path;
use std::sync::Arc;

use flota_net::tls;
use flota_swtpm::Swtpm;
use flota_tpm::{KeyChoice, Tpm, TpmConfig};
use rcgen::CertificateParams;

use crate::controller::Controller;

pub use enrolment::{EnrolmentConnection, Member, begin_request, enrol, prove, sign_begin, transcript};
pub use session::{FleetSession, evidence, fleet_channel};

/// Opens the keys of a folder in a TPM, or makes new ones there. A TPM has room for the keys of one folder at a time.
pub fn open_tpm(swtpm: &Swtpm, state_dir: &Path, choice: KeyChoice) -> anyhow::Result<Tpm> {
    let config = TpmConfig { tcti: swtpm.tcti().parse()?, state_dir: state_dir.to_owned() };
    Ok(Tpm::open_choosing(config, choice)?)
}

/// A certificate request over the TPM's TLS key, signed by it.
pub fn certificate_request(tpm: &Tpm) -> anyhow::Result<Vec<u8>> {
    Ok(CertificateParams::default().serialize_request(&*tpm.tls_key())?.der().to_vec())
}

/// TLS settings with this certificate and the TPM's key; without one, those of somebody unknown.
fn client_config(controller: &Controller, identity: Option<(&[u8], &Tpm)>) -> anyhow::Result<rustls::ClientConfig> {
    let ca = tls::certificates(&std::fs::read(controller.ca_file())?)?;
    let Some((certificate, tpm)) = identity else { return Ok(tls::anonymous_client_config(ca)?) };
    let certificate = rustls::pki_types::CertificateDer::from(certificate.to_vec());
    let key = rustls::sign::CertifiedKey::new(vec![certificate], tpm.tls_key());
    Ok(tls::client_config_with(ca, Arc::new(rustls::sign::SingleCertAndKey::from(key)))?)
}
