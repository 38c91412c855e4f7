//! The simulator's own authority and server certificate, made anew at every start.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// How far before now the certificates begin, so that a client whose clock is a little slow accepts them.
const BACKDATED: Duration = Duration::from_hours(1);

/// Why no certificates could be made: a defect of this program or of its libraries, never of a client.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate itself.
    #[error("issuing a certificate")]
    Issue(#[from] rcgen::Error),
    /// The TLS server that presents it.
    #[error("setting up the TLS server")]
    Tls(#[from] rustls::Error),
}

pub(crate) struct Certificates {
    authority_pem: String,
    server: CertificateDer<'static>,
    server_key: PrivatePkcs8KeyDer<'static>,
}

impl Certificates {
    /// Makes an authority, and a certificate for `localhost` and the loopback addresses that is valid for `lifetime`.
    pub(crate) fn issue(lifetime: Duration) -> Result<Self, CertificateError> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        authority.distinguished_name.push(DnType::CommonName, "Flota exchange simulator");
        let authority_pem = authority.self_signed(&authority_key)?.pem();

        let now = SystemTime::now();
        let server_key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut server = CertificateParams::new(names)?;
        server.not_before = (now - BACKDATED).into();
        server.not_after = (now + lifetime).into();
        let server = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;

        Ok(Self { authority_pem, server: server.der().clone(), server_key: server_key.serialize_der().into() })
    }

    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    pub(crate) fn server_config(&self) -> Result<ServerConfig, CertificateError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(self.server_key.clone_key());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.server.clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
