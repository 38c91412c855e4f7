//! From an EK certificate to a root that the operator trusts (TCG EK Credential Profile 2.5, section 3; RFC 5280).
//!
//! The path is built by webpki over the original bytes. webpki neither looks at keyUsage nor demands an EKU of the
//! leaf (asked to, it demands it of the CAs as well, and TPM vendors' CAs have none), so both are checked here.

mod leaf;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, aws_lc_rs as algorithms};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

pub use leaf::LeafProblem;

/// Largest certificate accepted, in bytes. EK certificates are about 1 KiB; the TPM's NV area bounds them at 2 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 8 * 1024;

/// Most intermediates a host may send along. Vendor chains are two or three long.
pub const MAX_EXTRA_INTERMEDIATES: usize = 8;

/// Most certificates in an operator's bundle. The bundles of all vendors together hold a few hundred.
pub const MAX_BUNDLE_CERTIFICATES: usize = 4096;

/// `tcg-kp-EKCertificate`, 2.23.133.8.1, as DER content.
const EKU_EK_CERTIFICATE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];

/// Signature algorithms accepted in a chain: SHA-256 and up, RSA-2048 and up, NIST curves.
static SIGNATURE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// The operator's bundle: the roots that are trusted, and intermediates that merely help to reach them.
#[derive(Debug, Clone)]
pub struct TrustRoots {
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

impl TrustRoots {
    /// Reads a PEM bundle. Self-issued certificates are trusted as roots, all others are intermediates.
    pub fn from_pem(bundle: &[u8]) -> Result<Self, TrustRootsError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(bundle)
            .take(MAX_BUNDLE_CERTIFICATES.saturating_add(1))
            .collect::<Result<_, _>>()
            .map_err(TrustRootsError::Pem)?;
        Self::from_der(certificates.iter().map(AsRef::as_ref))
    }

    /// The same from DER certificates.
    pub fn from_der<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TrustRootsError> {
        let mut roots = Self { anchors: Vec::new(), intermediates: Vec::new() };
        for (index, der) in certificates.into_iter().enumerate() {
            if index >= MAX_BUNDLE_CERTIFICATES {
                return Err(TrustRootsError::TooMany);
            }
            roots.add(index, der)?;
        }
        if roots.anchors.is_empty() { Err(TrustRootsError::NoRoot) } else { Ok(roots) }
    }

    fn add(&mut self, index: usize, der: &[u8]) -> Result<(), TrustRootsError> {
        let certificate = strict_certificate(der).ok_or(TrustRootsError::Certificate { index })?;
        if !certificate.is_ca() {
            return Err(TrustRootsError::NotACa { index });
        }
        let owned = CertificateDer::from(der.to_vec());
        if certificate.subject().as_raw() == certificate.issuer().as_raw() {
            let anchor =
                anchor_from_trusted_cert(&owned).map_err(|source| TrustRootsError::Root { index, source })?.to_owned();
            self.anchors.push(anchor);
        } else {
            self.intermediates.push(owned);
        }
        Ok(())
    }
}

/// Why a bundle cannot be used. The operator has to repair it; certificates are counted from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustRootsError {
    /// The PEM armour is broken.
    #[error("reading the TPM trust bundle as PEM")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// A certificate is not DER, is too large or has bytes after its end.
    #[error("reading certificate {index} of the TPM trust bundle: it is no single well-formed X.509 certificate")]
    Certificate {
        /// Its position.
        index: usize,
    },
    /// A certificate may not issue others. An EK certificate is never trusted by itself.
    #[error("reading certificate {index} of the TPM trust bundle: it is not a CA certificate")]
    NotACa {
        /// Its position.
        index: usize,
    },
    /// A root that webpki cannot use.
    #[error("reading certificate {index} of the TPM trust bundle as a root")]
    Root {
        /// Its position.
        index: usize,
        /// The reason.
        #[source]
        source: webpki::Error,
    },
    /// Over [`MAX_BUNDLE_CERTIFICATES`].
    #[error("reading the TPM trust bundle: it holds more than {MAX_BUNDLE_CERTIFICATES} certificates")]
    TooMany,
    /// No self-issued certificate, so nothing to trust.
    #[error("reading the TPM trust bundle: it holds no root certificate; add the vendor's root")]
    NoRoot,
}

/// What a verified EK certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkCertificate {
    /// The EK as a DER SubjectPublicKeyInfo, exactly as certified.
    pub spki_der: Vec<u8>,
    /// Serial number, big-endian, as encoded.
    pub serial: Vec<u8>,
    /// Issuer as text, for people; compare certificates by `spki_der` or by serial *and* this.
    pub issuer: String,
    /// tpmManufacturer (2.23.133.2.1), such as `id:53544D20`.
    pub manufacturer: String,
    /// tpmModel (2.23.133.2.2).
    pub model: String,
    /// tpmVersion (2.23.133.2.3), such as `id:00010002`.
    pub version: String,
}

/// Verifies an EK certificate up to one of the roots at `now_unix` (seconds since 1970-01-01 UTC).
///
/// `extra_intermediates` are DER certificates that came with it; they are hints, never trusted. Nothing is fetched
/// from a URL in a certificate and no revocation list is consulted.
pub fn verify_ek_certificate(
    cert_der: &[u8],
    extra_intermediates: &[impl AsRef<[u8]>],
    roots: &TrustRoots,
    now_unix: u64,
) -> Result<EkCertificate, EkChainError> {
    let certificate = strict_certificate(cert_der).ok_or(EkChainError::Malformed)?;
    let intermediates = pool(extra_intermediates, roots)?;
    verify_path(cert_der, &intermediates, roots, now_unix)?;
    leaf::read(&certificate).map_err(EkChainError::Leaf)
}

/// Why an EK certificate was refused.
#[derive(Debug, thiserror::Error)]
pub enum EkChainError {
    /// Not a certificate: not DER, over [`MAX_CERTIFICATE_BYTES`], or followed by more bytes.
    #[error("reading the EK certificate: it is no single well-formed X.509 certificate")]
    Malformed,
    /// An intermediate that the host sent along is too large, or there are too many.
    #[error(
        "reading the intermediates sent with the EK certificate: more than {MAX_EXTRA_INTERMEDIATES}, or one over \
         {MAX_CERTIFICATE_BYTES} bytes"
    )]
    Intermediates,
    /// No valid path to a trusted root.
    #[error("building a path from the EK certificate to a trusted TPM vendor root")]
    Path(#[source] webpki::Error),
    /// A CA on the path may not sign certificates (keyUsage lacks keyCertSign).
    #[error("building a path from the EK certificate: a CA on it lacks the key usage keyCertSign")]
    CaKeyUsage,
    /// The path holds, but the certificate is not one of an endorsement key.
    #[error("checking that the certificate is one of an endorsement key")]
    Leaf(#[source] LeafProblem),
}

impl EkChainError {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "ek_cert_der",
            Self::Intermediates => "ek_chain_size",
            Self::Path(webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. }) => "ek_cert_validity",
            Self::Path(webpki::Error::RequiredEkuNotFoundContext(_)) => "ek_cert_eku",
            Self::Path(_) | Self::CaKeyUsage => "ek_chain",
            Self::Leaf(problem) => problem.code(),
        }
    }
}

fn pool<'a>(extra: &'a [impl AsRef<[u8]>], roots: &'a TrustRoots) -> Result<Vec<CertificateDer<'a>>, EkChainError> {
    let too_large = extra.iter().any(|der| der.as_ref().len() > MAX_CERTIFICATE_BYTES);
    if extra.len() > MAX_EXTRA_INTERMEDIATES || too_large {
        return Err(EkChainError::Intermediates);
    }
    let sent = extra.iter().map(|der| CertificateDer::from(der.as_ref()));
    let bundled = roots.intermediates.iter().map(|der| CertificateDer::from(der.as_ref()));
    Ok(sent.chain(bundled).collect())
}

fn verify_path(
    cert_der: &[u8],
    intermediates: &[CertificateDer<'_>],
    roots: &TrustRoots,
    now_unix: u64,
) -> Result<(), EkChainError> {
    let der = CertificateDer::from(cert_der);
    let leaf = EndEntityCert::try_from(&der).map_err(EkChainError::Path)?;
    let path = leaf
        .verify_for_usage(
            SIGNATURE_ALGORITHMS,
            &roots.anchors,
            intermediates,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_unix)),
            KeyUsage::required_if_present(EKU_EK_CERTIFICATE),
            None,
            None,
        )
        .map_err(EkChainError::Path)?;
    for ca in path.intermediate_certificates() {
        let der = ca.der();
        let may_sign = strict_certificate(&der)
            .and_then(|ca| Some(ca.key_usage().ok()??.value.key_cert_sign()))
            .unwrap_or_default();
        if !may_sign {
            return Err(EkChainError::CaKeyUsage);
        }
    }
    Ok(())
}

fn strict_certificate(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > MAX_CERTIFICATE_BYTES {
        return None;
    }
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(certificate)
}
