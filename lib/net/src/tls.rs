//! rustls settings that all binaries share: aws-lc-rs, TLS 1.3 alone, HTTP/2 alone, no resumption.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// HTTP/2, the only protocol spoken (RFC 7540 §3.1).
pub const ALPN: &[u8] = b"h2";

/// A certificate or key file that cannot be used. Never holds the file's contents.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// Cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Holds no PEM of the kind needed.
    #[error("{what} is not usable PEM")]
    Pem {
        /// Which input.
        what: &'static str,
    },
    /// Certificate and key do not belong together, or rustls does not support them.
    #[error("{what} cannot be used")]
    Unusable {
        /// Which input.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The crypto provider of every binary.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes [`provider`] the process-wide default, for libraries that ask rustls for one. A second call changes nothing.
pub fn install_provider() {
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Reads a file, naming it in the error.
pub fn read_file(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(path).map_err(|source| TlsFileError::Read { path: path.to_owned(), source })
}

/// All certificates of a PEM text.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsFileError::Pem { what: "the certificate" }),
    }
}

/// The first private key of a PEM text.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsFileError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsFileError::Pem { what: "the private key" })
}

/// Client settings with a certificate and key of files, as operators have.
pub fn client_config(ca_pem: &[u8], cert_pem: &[u8], key_pem: &[u8]) -> Result<ClientConfig, TlsFileError> {
    let builder = client_builder(certificates(ca_pem)?)?;
    let config = builder
        .with_client_auth_cert(certificates(cert_pem)?, private_key(key_pem)?)
        .map_err(|source| TlsFileError::Unusable { what: "the client certificate with its key", source })?;
    Ok(finish(config))
}

/// Client settings that present whatever `resolver` gives, as agents with a TPM key do.
pub fn client_config_with(
    ca: Vec<CertificateDer<'static>>,
    resolver: Arc<dyn ResolvesClientCert>,
) -> Result<ClientConfig, TlsFileError> {
    Ok(finish(client_builder(ca)?.with_client_cert_resolver(resolver)))
}

/// Client settings without a certificate, for enrolment.
pub fn anonymous_client_config(ca: Vec<CertificateDer<'static>>) -> Result<ClientConfig, TlsFileError> {
    Ok(finish(client_builder(ca)?.with_no_client_auth()))
}

type ClientBuilder = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client_builder(ca: Vec<CertificateDer<'static>>) -> Result<ClientBuilder, TlsFileError> {
    let mut roots = RootCertStore::empty();
    for certificate in ca {
        roots.add(certificate).map_err(|source| TlsFileError::Unusable { what: "the fleet CA", source })?;
    }
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| TlsFileError::Unusable { what: "TLS 1.3", source })?
        .with_root_certificates(roots))
}

fn finish(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would need no signature of the client's key, so it would prove nothing about the TPM.
    config.resumption = Resumption::disabled();
    config
}
