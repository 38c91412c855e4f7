//! What the certificate itself must say to be one of an endorsement key.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::EkCertificate;

const OID_EKU_EK_CERTIFICATE: &str = "2.23.133.8.1";
const OID_TPM_MANUFACTURER: &str = "2.23.133.2.1";
const OID_TPM_MODEL: &str = "2.23.133.2.2";
const OID_TPM_VERSION: &str = "2.23.133.2.3";

/// Longest TPM attribute accepted, in bytes; model names are under 30.
const MAX_ATTRIBUTE_BYTES: usize = 64;

/// How a certificate with a valid path fails to be one of an endorsement key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafProblem {
    /// The certificate may issue others.
    #[error("it is a CA certificate")]
    IsCa,
    /// The extended key usage 2.23.133.8.1 is missing, so this may be any certificate of a trusted CA.
    #[error("it lacks the extended key usage tcg-kp-EKCertificate (2.23.133.8.1)")]
    Eku,
    /// keyUsage lacks keyEncipherment (RSA) or keyAgreement (ECC).
    #[error("its key usage does not allow {0}")]
    KeyUsage(&'static str),
    /// No subject alternative name, none with a directory name, or not critical beside an empty subject.
    #[error("it lacks a subject alternative name with the TPM's attributes, critical where the subject is empty")]
    SubjectAltName,
    /// A TPM attribute is missing, repeated or unreadable.
    #[error("its {0} is missing, repeated or not printable text")]
    TpmAttribute(&'static str),
}

impl LeafProblem {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::IsCa => "ek_cert_ca",
            Self::Eku => "ek_cert_eku",
            Self::KeyUsage(_) => "ek_cert_key_usage",
            Self::SubjectAltName | Self::TpmAttribute(_) => "ek_cert_san",
        }
    }
}

pub(super) fn read(certificate: &X509Certificate<'_>) -> Result<EkCertificate, LeafProblem> {
    if certificate.is_ca() {
        return Err(LeafProblem::IsCa);
    }
    check_eku(certificate)?;
    check_key_usage(certificate)?;
    let directory_name = directory_name(certificate)?;
    Ok(EkCertificate {
        spki_der: certificate.public_key().raw.to_vec(),
        serial: certificate.raw_serial().to_vec(),
        issuer: certificate.issuer().to_string(),
        manufacturer: attribute(directory_name, OID_TPM_MANUFACTURER, "tpmManufacturer")?,
        model: attribute(directory_name, OID_TPM_MODEL, "tpmModel")?,
        version: attribute(directory_name, OID_TPM_VERSION, "tpmVersion")?,
    })
}

fn check_eku(certificate: &X509Certificate<'_>) -> Result<(), LeafProblem> {
    let eku = certificate.extended_key_usage().ok().flatten().ok_or(LeafProblem::Eku)?;
    let named = eku.value.other.iter().any(|oid| oid.to_id_string() == OID_EKU_EK_CERTIFICATE);
    if named { Ok(()) } else { Err(LeafProblem::Eku) }
}

fn check_key_usage(certificate: &X509Certificate<'_>) -> Result<(), LeafProblem> {
    let flags = certificate.key_usage().ok().flatten().map(|usage| *usage.value);
    let (allowed, needed) = match certificate.public_key().parsed() {
        Ok(PublicKey::EC(_)) => (flags.is_some_and(|usage| usage.key_agreement()), "keyAgreement"),
        _ => (flags.is_some_and(|usage| usage.key_encipherment()), "keyEncipherment"),
    };
    if allowed { Ok(()) } else { Err(LeafProblem::KeyUsage(needed)) }
}

/// RFC 5280, section 4.2.1.6: the name is critical where the subject is empty.
fn directory_name<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a X509Name<'a>, LeafProblem> {
    let san = certificate.subject_alternative_name().ok().flatten().ok_or(LeafProblem::SubjectAltName)?;
    if certificate.subject().iter().next().is_none() && !san.critical {
        return Err(LeafProblem::SubjectAltName);
    }
    let mut names = san.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name),
        _ => Err(LeafProblem::SubjectAltName),
    }
}

fn attribute(name: &X509Name<'_>, oid: &str, label: &'static str) -> Result<String, LeafProblem> {
    let mut found = name.iter_attributes().filter(|attribute| attribute.attr_type().to_id_string() == oid);
    let (Some(attribute), None) = (found.next(), found.next()) else { return Err(LeafProblem::TpmAttribute(label)) };
    let text = attribute.as_str().map_err(|_| LeafProblem::TpmAttribute(label))?;
    let printable = !text.chars().any(char::is_control);
    if text.len() <= MAX_ATTRIBUTE_BYTES && printable {
        Ok(text.to_owned())
    } else {
        Err(LeafProblem::TpmAttribute(label))
    }
}
