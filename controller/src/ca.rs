//! The fleet's certificate authority: one P-256 key in the data folder signs the controller, its operators and its hosts.

use std::path::Path;
use std::time::Duration;

use flota_model::{HostId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

use crate::files::{self, FileError};

/// Agents renew long before; a stolen certificate without its TPM is worth nothing anyway.
pub const HOST_LIFETIME: Duration = Duration::from_hours(24);
/// Operators' certificates. An operator whose certificate ends is removed and added again on the controller's machine.
pub const OPERATOR_LIFETIME: Duration = Duration::from_hours(2160);
/// The controller makes itself a new certificate whenever it starts.
const SERVER_LIFETIME: Duration = Duration::from_hours(9528);
/// The CA itself.
const CA_LIFETIME: Duration = Duration::from_hours(87600);
/// Certificates begin a little before now: hosts' clocks differ by minutes.
const BACKDATED: Duration = Duration::from_mins(5);

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca-key.pem";

/// Scheme of the URIs that name hosts and operators in certificates.
pub const SCHEME: &str = "flota";

/// The CA with its key. Not Debug.
pub struct FleetCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate with its fresh key, both PEM. Not Debug.
pub struct Issued {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PKCS#8 PEM.
    pub key_pem: String,
}

/// The CA could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Its files.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate could not be made.
    #[error("making a certificate for {whom}")]
    Issue {
        /// For whom.
        whom: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The request of a host is malformed or not signed by its own key.
    #[error("the certificate request is not valid")]
    Request(#[source] rcgen::Error),
}

impl FleetCa {
    /// Makes a new CA in `data_dir`; refuses to replace one.
    pub fn create(data_dir: &Path, fleet: &str, now: Timestamp) -> Result<Self, CaError> {
        let issue = |source| CaError::Issue { whom: "the fleet CA".into(), source };
        let key = KeyPair::generate().map_err(issue)?;
        let mut params = parameters(Vec::new(), now, CA_LIFETIME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, format!("Flota fleet {fleet}"));
        let certificate = params.self_signed(&key).map_err(issue)?;
        files::create(&data_dir.join(KEY_FILE), 0o600, key.serialize_pem().as_bytes())?;
        files::create(&data_dir.join(CERTIFICATE_FILE), 0o644, certificate.pem().as_bytes())?;
        Self::load(data_dir)
    }

    /// The CA of `data_dir`.
    pub fn load(data_dir: &Path) -> Result<Self, CaError> {
        let pem = files::read_text(&data_dir.join(CERTIFICATE_FILE))?;
        let key_pem = files::read_text(&data_dir.join(KEY_FILE))?;
        let unusable = |source| CaError::Issue { whom: "the fleet CA".into(), source };
        let key = KeyPair::from_pem(&key_pem).map_err(unusable)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(unusable)?;
        let certificate = flota_net::tls::certificates(pem.as_bytes())
            .ok()
            .and_then(|certificates| certificates.into_iter().next())
            .ok_or_else(|| unusable(rcgen::Error::CouldNotParseCertificate))?;
        Ok(Self { issuer, certificate, pem })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server certificate for these DNS names and addresses.
    pub fn issue_server(&self, names: &[String], now: Timestamp) -> Result<Issued, CaError> {
        let issue = |source| CaError::Issue { whom: "the controller".into(), source };
        let params = CertificateParams::new(names.to_vec()).map_err(issue)?;
        let mut params = parameters(params.subject_alt_names, now, SERVER_LIFETIME);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "flota-controller");
        self.issue_with_fresh_key(&params).map_err(issue)
    }

    /// A client certificate for an operator.
    pub fn issue_operator(&self, name: &str, now: Timestamp) -> Result<Issued, CaError> {
        let issue = |source| CaError::Issue { whom: format!("operator {name}"), source };
        let params = client_parameters("operator", name, now, OPERATOR_LIFETIME).map_err(issue)?;
        self.issue_with_fresh_key(&params).map_err(issue)
    }

    /// A client certificate for a host, over the key of its request. Nothing else of the request is used: the host does
    /// not choose its name.
    pub fn issue_host(
        &self,
        host: &HostId,
        request: &[u8],
        now: Timestamp,
    ) -> Result<(CertificateDer<'static>, Timestamp), CaError> {
        let request = parse_request(request)?;
        let issue = |source| CaError::Issue { whom: format!("host {host}"), source };
        let params = client_parameters("host", host.as_str(), now, HOST_LIFETIME).map_err(issue)?;
        let certificate = params.signed_by(&request.public_key, &self.issuer).map_err(issue)?;
        Ok((certificate.der().clone(), now.plus(HOST_LIFETIME)))
    }

    fn issue_with_fresh_key(&self, params: &CertificateParams) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

/// The SubjectPublicKeyInfo of a certificate request whose self-signature holds.
pub fn request_public_key(request: &[u8]) -> Result<Vec<u8>, CaError> {
    Ok(parse_request(request)?.public_key.subject_public_key_info())
}

fn parse_request(request: &[u8]) -> Result<CertificateSigningRequestParams, CaError> {
    CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request)).map_err(CaError::Request)
}

fn client_parameters(
    kind: &str,
    name: &str,
    now: Timestamp,
    lifetime: Duration,
) -> Result<CertificateParams, rcgen::Error> {
    let uri = SanType::URI(format!("{SCHEME}://{kind}/{name}").as_str().try_into()?);
    let mut params = parameters(vec![uri], now, lifetime);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn parameters(names: Vec<SanType>, now: Timestamp, lifetime: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let seconds = Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or(0));
    let present = rcgen::date_time_ymd(1970, 1, 1) + seconds;
    params.not_before = present - BACKDATED;
    params.not_after = present + lifetime;
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}
