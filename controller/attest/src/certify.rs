//! `TPM2_Certify` of the TLS key by the attestation key: both live in the same TPM (TPM 2.0 Library, Part 3, section
//! 18.2).

use subtle::ConstantTimeEq;

use crate::attest::{Attest, AttestError, Attested};
use crate::public::{Public, QualifiedName};
use crate::signature::{self, SignatureError};

/// What the host sent.
#[derive(Debug, Clone, Copy)]
pub struct CertifyEvidence<'a> {
    /// `TPMS_ATTEST`, byte for byte as signed.
    pub attest: &'a [u8],
    /// `TPMT_SIGNATURE` over it.
    pub signature: &'a [u8],
}

/// What must have been certified, by whom and when. None of it comes from the evidence.
#[derive(Debug, Clone)]
pub struct CertifyExpectation<'a> {
    /// The attestation key whose activation is being proven.
    pub ak: &'a Public,
    /// Its Qualified Name.
    pub ak_qualified_name: &'a QualifiedName,
    /// The hash that binds nonce, session, CSR and channel.
    pub qualifying_data: [u8; 32],
    /// The TLS key.
    pub tls_public: &'a Public,
    /// Its Qualified Name: where the fleet's agents create it, which is under the endorsement key.
    pub tls_qualified_name: &'a QualifiedName,
}

/// Verifies that the attestation key certified exactly this TLS key for exactly this exchange.
///
/// Name and Qualified Name are compared as fields. A search for the Name in the blob would also find it in the
/// qualifying data, which the host chooses.
pub fn verify_certify(
    evidence: &CertifyEvidence<'_>,
    expected: &CertifyExpectation<'_>,
) -> Result<(), CertifyRejection> {
    signature::verify(expected.ak, evidence.attest, evidence.signature)?;
    let attest = Attest::parse(evidence.attest)?;
    let Attested::Certify { name, qualified_name } = attest.body else {
        return Err(CertifyRejection::NotACertification);
    };
    if attest.qualified_signer != expected.ak_qualified_name.as_bytes() {
        return Err(CertifyRejection::QualifiedSigner);
    }
    if !bool::from(attest.extra_data.ct_eq(&expected.qualifying_data)) {
        return Err(CertifyRejection::QualifyingData);
    }
    if name != expected.tls_public.name().as_bytes() {
        return Err(CertifyRejection::Name);
    }
    if qualified_name != expected.tls_qualified_name.as_bytes() {
        return Err(CertifyRejection::QualifiedName);
    }
    Ok(())
}

/// Why a certification was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertifyRejection {
    /// Not signed by the attestation key.
    #[error("checking the signature of the TLS key's certification")]
    Signature(#[from] SignatureError),
    /// Not an attestation.
    #[error("reading the TLS key's certification")]
    Attest(#[from] AttestError),
    /// A quote, say.
    #[error("checking the TLS key's certification: it attests something else than a key")]
    NotACertification,
    /// The signing key does not live where it must.
    #[error("checking the TLS key's certification: the signer does not live under the endorsement key")]
    QualifiedSigner,
    /// Made for another exchange.
    #[error("checking the TLS key's certification: it answers another challenge or was made for another connection")]
    QualifyingData,
    /// Another key was certified.
    #[error("checking the TLS key's certification: it names another key")]
    Name,
    /// The key lives elsewhere than it must.
    #[error("checking the TLS key's certification: the key does not live under the endorsement key")]
    QualifiedName,
}

impl CertifyRejection {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Signature(SignatureError::Wire(_)) => "certify_signature_encoding",
            Self::Signature(SignatureError::Algorithm { .. }) => "certify_signature_algorithm",
            Self::Signature(_) => "certify_signature",
            Self::Attest(AttestError::Magic { .. }) => "certify_magic",
            Self::Attest(AttestError::Wire(_)) => "certify_encoding",
            Self::Attest(AttestError::Type { .. }) | Self::NotACertification => "certify_type",
            Self::QualifiedSigner => "certify_qualified_signer",
            Self::QualifyingData => "certify_qualifying_data",
            Self::Name => "certify_name",
            Self::QualifiedName => "certify_qualified_name",
        }
    }
}
