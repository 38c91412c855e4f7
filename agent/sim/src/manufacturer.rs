//! A vendor of TPMs with one CA. Whoever puts its certificate into the controller's `ek_roots` takes its TPMs for real.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::soft_tpm::{AkKind, EndorsementKey, Keys, PrivateKey, SoftTpm, SoftTpmError};

/// `tcg-kp-EKCertificate`.
const EKU_EK_CERTIFICATE: [u64; 5] = [2, 23, 133, 8, 1];
/// `id-ce-subjectAltName`.
const SUBJECT_ALT_NAME: [u64; 4] = [2, 5, 29, 17];
/// The attributes of every TPM it makes, by the last arc of 2.23.133.2: manufacturer ("FLOT"), model, version.
const ATTRIBUTES: [(u8, &str); 3] = [(1, "id:464C4F54"), (2, "flota-sim"), (3, "id:00010000")];

/// Makes TPMs and certifies their endorsement keys.
pub struct Manufacturer {
    key: KeyPair,
    pem: String,
}

/// Why there is no TPM.
#[derive(Debug, thiserror::Error)]
pub enum ManufacturerError {
    /// The CA.
    #[error("making the CA of simulated TPMs")]
    Ca(#[source] rcgen::Error),
    /// A certificate.
    #[error("certifying the endorsement key of a simulated TPM")]
    Certificate(#[source] rcgen::Error),
    /// The TPM itself.
    #[error(transparent)]
    Tpm(#[from] SoftTpmError),
}

impl Manufacturer {
    /// A new one with a CA of its own.
    pub fn new() -> Result<Self, ManufacturerError> {
        let key = KeyPair::generate().map_err(ManufacturerError::Ca)?;
        let pem = ca_params().self_signed(&key).map_err(ManufacturerError::Ca)?.pem();
        Ok(Self { key, pem })
    }

    /// One whose key and certificate were kept.
    pub(crate) fn read(key: &PrivateKey, pem: String) -> Result<Self, ManufacturerError> {
        Ok(Self { key: KeyPair::try_from(key.der()).map_err(ManufacturerError::Ca)?, pem })
    }

    /// Its CA certificate, for the controller's `ek_roots`.
    pub fn ek_roots(&self) -> &str {
        &self.pem
    }

    /// A TPM like no other. Takes a tenth of a second and more: RSA keys are slow to find.
    pub fn make_tpm(&self, ak: AkKind) -> Result<SoftTpm, ManufacturerError> {
        let keys = Keys::generate(ak)?;
        let certificate = self.certify(&EndorsementKey::read(&keys.ek)?)?;
        Ok(SoftTpm::new(keys, certificate)?)
    }

    pub(crate) fn key(&self) -> PrivateKey {
        PrivateKey::new(self.key.serialize_der())
    }

    fn certify(&self, ek: &EndorsementKey) -> Result<Vec<u8>, ManufacturerError> {
        let ca = ca_params();
        let issuer = Issuer::from_params(&ca, &self.key);
        let certificate = ek_params().signed_by(ek, &issuer).map_err(ManufacturerError::Certificate)?;
        Ok(certificate.der().to_vec())
    }
}

impl fmt::Debug for Manufacturer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manufacturer").field("pem", &self.pem).finish_non_exhaustive()
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Flota simulated TPMs: trust it in tests only");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// As the EK Credential Profile 2.5, section 3.2, wants it: no subject, the TPM's attributes in a critical name, no
/// meaningful expiry.
fn ek_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_after = date_time_ymd(9999, 12, 31);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(EKU_EK_CERTIFICATE.to_vec())];
    let mut name = CustomExtension::from_oid_content(&SUBJECT_ALT_NAME, directory_name());
    name.set_criticality(true);
    params.custom_extensions = vec![name];
    params
}

/// GeneralNames with one directoryName that holds [`ATTRIBUTES`], as UTF8Strings.
fn directory_name() -> Vec<u8> {
    let relative: Vec<u8> = ATTRIBUTES
        .iter()
        .flat_map(|(arc, value)| {
            let oid = der(0x06, &[0x67, 0x81, 0x05, 0x02, *arc]);
            der(0x31, &der(0x30, &[oid, der(0x0c, value.as_bytes())].concat()))
        })
        .collect();
    der(0x30, &der(0xa4, &der(0x30, &relative)))
}

/// All attributes together take some 80 bytes, so the short form of a length always does.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap_or(u8::MAX)][..], content].concat()
}
