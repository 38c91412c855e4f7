//! What the endorsement key, the attestation key and the TLS key of a host must be.
//!
//! The attributes are load-bearing. An unrestricted key signs whatever it is given, a forged quote included; a key
//! without `fixedTPM` can be moved into software; a key that was imported was in software all along.

use x509_parser::prelude::FromDer;
use x509_parser::public_key::{PublicKey as CertificateKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::hash::{HashAlg, NameAlg};
use crate::public::{Attributes, Curve, KeyKind, Public, PublicKey, Scheme, Symmetric};

/// Attributes of the attestation key: a restricted signing key that the TPM made and that cannot leave it.
pub const AK_ATTRIBUTES: Attributes = TLS_ATTRIBUTES.union(Attributes::RESTRICTED);

/// Attributes of the TLS key: as the attestation key but unrestricted, because TLS signs foreign data.
/// `noDA`: one wrong password elsewhere on the host must not lock the fleet's keys.
pub const TLS_ATTRIBUTES: Attributes = Attributes::FIXED_TPM
    .union(Attributes::FIXED_PARENT)
    .union(Attributes::SENSITIVE_DATA_ORIGIN)
    .union(Attributes::USER_WITH_AUTH)
    .union(Attributes::NO_DA)
    .union(Attributes::SIGN);

/// Checks an endorsement key against the templates of the TCG EK Credential Profile 2.5 (annex B) and against the key
/// in its certificate, given as a DER SubjectPublicKeyInfo.
pub fn check_ek_public(ek: &Public, cert_spki_der: &[u8]) -> Result<(), EkRejection> {
    if !same_key(ek.key(), cert_spki_der) {
        return Err(EkRejection::KeyMismatch);
    }
    let kind = ek.key().kind();
    if !EK_TEMPLATES.iter().any(|template| template.kind == kind) {
        return Err(EkRejection::Key { kind });
    }
    let template = EK_TEMPLATES
        .iter()
        .find(|template| template.kind == kind && template.attributes == ek.attributes())
        .ok_or(EkRejection::Attributes { found: ek.attributes() })?;
    if ek.name_alg() != template.name_alg {
        return Err(EkRejection::NameAlg { found: ek.name_alg(), expected: template.name_alg });
    }
    if ek.auth_policy() != template.policy {
        return Err(EkRejection::Policy);
    }
    if ek.symmetric() != template.symmetric {
        return Err(EkRejection::Symmetric { found: ek.symmetric(), expected: template.symmetric });
    }
    if ek.scheme() != Scheme::Null {
        return Err(EkRejection::Scheme { found: ek.scheme() });
    }
    Ok(())
}

/// Checks an attestation key: [`AK_ATTRIBUTES`] exactly, and P-256 with ECDSA-SHA256 or RSA of 2048 bits or more with
/// RSASSA-SHA256.
pub fn check_ak_public(ak: &Public) -> Result<(), AkRejection> {
    if ak.attributes() != AK_ATTRIBUTES {
        return Err(AkRejection::Attributes { found: ak.attributes() });
    }
    let expected = match ak.key().kind() {
        KeyKind::Ecc(Curve::P256) => Scheme::Ecdsa(HashAlg::Sha256),
        KeyKind::Rsa { bits: 2048.. } => Scheme::RsaSsa(HashAlg::Sha256),
        kind => return Err(AkRejection::Key { kind }),
    };
    if ak.scheme() != expected {
        return Err(AkRejection::Scheme { found: ak.scheme() });
    }
    if ak.symmetric() != Symmetric::Null {
        return Err(AkRejection::Symmetric { found: ak.symmetric() });
    }
    Ok(())
}

/// Checks a TLS key: [`TLS_ATTRIBUTES`] exactly, and P-256 with ECDSA-SHA256 (TLS 1.3 wants RSA-PSS with a salt that
/// many TPMs cannot make).
pub fn check_tls_public(tls: &Public) -> Result<(), TlsKeyRejection> {
    if tls.attributes() != TLS_ATTRIBUTES {
        return Err(TlsKeyRejection::Attributes { found: tls.attributes() });
    }
    let kind = tls.key().kind();
    if kind != KeyKind::Ecc(Curve::P256) {
        return Err(TlsKeyRejection::Key { kind });
    }
    if tls.scheme() != Scheme::Ecdsa(HashAlg::Sha256) {
        return Err(TlsKeyRejection::Scheme { found: tls.scheme() });
    }
    if tls.symmetric() != Symmetric::Null {
        return Err(TlsKeyRejection::Symmetric { found: tls.symmetric() });
    }
    Ok(())
}

/// Why an endorsement key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EkRejection {
    /// The public area holds another key than the certificate.
    #[error("checking the endorsement key: it is not the key in its certificate")]
    KeyMismatch,
    /// No template has a key of this type and size.
    #[error("checking the endorsement key: no TCG template has a key of type {kind:?}")]
    Key {
        /// Type and size of the key.
        kind: KeyKind,
    },
    /// The attributes are those of no template.
    #[error("checking the endorsement key: attributes {found} are those of no TCG template")]
    Attributes {
        /// The attributes of the key.
        found: Attributes,
    },
    /// The Name hash is not the template's.
    #[error("checking the endorsement key: its name algorithm is {found:?}, the template has {expected:?}")]
    NameAlg {
        /// The hash of the key.
        found: NameAlg,
        /// The hash of the template.
        expected: NameAlg,
    },
    /// The authorisation policy is neither PolicyA nor PolicyB, or not the one of its template.
    #[error("checking the endorsement key: its authorisation policy is not the published one")]
    Policy,
    /// The storage cipher is not the template's.
    #[error("checking the endorsement key: its cipher is {found:?}, the template has {expected:?}")]
    Symmetric {
        /// The cipher of the key.
        found: Symmetric,
        /// The cipher of the template.
        expected: Symmetric,
    },
    /// A storage key has no signing scheme.
    #[error("checking the endorsement key: a storage key has no scheme, this one has {found:?}")]
    Scheme {
        /// The scheme of the key.
        found: Scheme,
    },
}

impl EkRejection {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KeyMismatch => "ek_key_mismatch",
            Self::Key { .. } => "ek_key",
            Self::Attributes { .. } => "ek_attrs",
            Self::NameAlg { .. } => "ek_name_alg",
            Self::Policy => "ek_policy",
            Self::Symmetric { .. } => "ek_symmetric",
            Self::Scheme { .. } => "ek_scheme",
        }
    }
}

/// Why an attestation key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AkRejection {
    /// Not [`AK_ATTRIBUTES`].
    #[error("checking the attestation key: attributes are {found}, required are {AK_ATTRIBUTES}")]
    Attributes {
        /// The attributes of the key.
        found: Attributes,
    },
    /// Wrong type, size or curve.
    #[error("checking the attestation key: it is {kind:?}, accepted are P-256 and RSA of 2048 bits or more")]
    Key {
        /// Type and size of the key.
        kind: KeyKind,
    },
    /// The key is bound to no scheme or to another one.
    #[error("checking the attestation key: its scheme is {found:?}, accepted are ECDSA and RSASSA with SHA-256")]
    Scheme {
        /// The scheme of the key.
        found: Scheme,
    },
    /// A signing key has no cipher.
    #[error("checking the attestation key: a signing key has no cipher, this one has {found:?}")]
    Symmetric {
        /// The cipher of the key.
        found: Symmetric,
    },
}

impl AkRejection {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Attributes { .. } => "ak_attrs",
            Self::Key { .. } => "ak_key",
            Self::Scheme { .. } => "ak_scheme",
            Self::Symmetric { .. } => "ak_symmetric",
        }
    }
}

/// Why a TLS key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsKeyRejection {
    /// Not [`TLS_ATTRIBUTES`].
    #[error("checking the TLS key: attributes are {found}, required are {TLS_ATTRIBUTES}")]
    Attributes {
        /// The attributes of the key.
        found: Attributes,
    },
    /// Not P-256.
    #[error("checking the TLS key: it is {kind:?}, accepted is P-256")]
    Key {
        /// Type and size of the key.
        kind: KeyKind,
    },
    /// Not ECDSA with SHA-256.
    #[error("checking the TLS key: its scheme is {found:?}, accepted is ECDSA with SHA-256")]
    Scheme {
        /// The scheme of the key.
        found: Scheme,
    },
    /// A signing key has no cipher.
    #[error("checking the TLS key: a signing key has no cipher, this one has {found:?}")]
    Symmetric {
        /// The cipher of the key.
        found: Symmetric,
    },
}

impl TlsKeyRejection {
    /// A stable code for wire, metrics and tests.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Attributes { .. } => "tls_attrs",
            Self::Key { .. } => "tls_key",
            Self::Scheme { .. } => "tls_scheme",
            Self::Symmetric { .. } => "tls_symmetric",
        }
    }
}

struct EkTemplate {
    kind: KeyKind,
    attributes: Attributes,
    name_alg: NameAlg,
    policy: &'static [u8],
    symmetric: Symmetric,
}

impl EkTemplate {
    const fn low(kind: KeyKind) -> Self {
        let (name_alg, symmetric) = (NameAlg::Sha256, Symmetric::Aes128Cfb);
        Self { kind, attributes: EK_LOW_ATTRIBUTES, name_alg, policy: POLICY_A_SHA256, symmetric }
    }

    const fn high_256(kind: KeyKind) -> Self {
        let (name_alg, symmetric) = (NameAlg::Sha256, Symmetric::Aes128Cfb);
        Self { kind, attributes: EK_HIGH_ATTRIBUTES, name_alg, policy: POLICY_B_SHA256, symmetric }
    }

    const fn high_384(kind: KeyKind) -> Self {
        let (name_alg, symmetric) = (NameAlg::Sha384, Symmetric::Aes256Cfb);
        Self { kind, attributes: EK_HIGH_ATTRIBUTES, name_alg, policy: POLICY_B_SHA384, symmetric }
    }
}

/// Templates L-1, L-2, H-1, H-2, H-3, H-6 and H-7.
const EK_TEMPLATES: [EkTemplate; 7] = [
    EkTemplate::low(KeyKind::Rsa { bits: 2048 }),
    EkTemplate::low(KeyKind::Ecc(Curve::P256)),
    EkTemplate::high_256(KeyKind::Rsa { bits: 2048 }),
    EkTemplate::high_256(KeyKind::Ecc(Curve::P256)),
    EkTemplate::high_384(KeyKind::Ecc(Curve::P384)),
    EkTemplate::high_384(KeyKind::Rsa { bits: 3072 }),
    EkTemplate::high_384(KeyKind::Rsa { bits: 4096 }),
];

/// `0x000300B2`: a restricted decryption key whose use needs the policy.
const EK_LOW_ATTRIBUTES: Attributes = Attributes::FIXED_TPM
    .union(Attributes::FIXED_PARENT)
    .union(Attributes::SENSITIVE_DATA_ORIGIN)
    .union(Attributes::ADMIN_WITH_POLICY)
    .union(Attributes::RESTRICTED)
    .union(Attributes::DECRYPT);

/// `0x000300F2`: as the low range, usable with its auth value as well.
const EK_HIGH_ATTRIBUTES: Attributes = EK_LOW_ATTRIBUTES.union(Attributes::USER_WITH_AUTH);

/// PolicyA: `TPM2_PolicySecret(TPM_RH_ENDORSEMENT)` (EK Credential Profile 2.5, B.6.2).
const POLICY_A_SHA256: &[u8] = &[
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7,
    0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// PolicyB: `TPM2_PolicyOR(PolicyA, PolicyC)` (EK Credential Profile 2.5, B.6.5).
const POLICY_B_SHA256: &[u8] = &[
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3, 0x85, 0xd4,
    0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
];

/// PolicyB of the SHA-384 templates.
const POLICY_B_SHA384: &[u8] = &[
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07, 0x41, 0x48,
    0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47, 0xba, 0x09, 0x69, 0x96,
    0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];

/// Whether a SubjectPublicKeyInfo holds this key. Not a comparison of bytes: several vendors certify an RSA EK under
/// `id-RSAES-OAEP` with its parameters, which says the same key in other words.
fn same_key(key: &PublicKey, spki_der: &[u8]) -> bool {
    let Ok((rest, spki)) = SubjectPublicKeyInfo::from_der(spki_der) else { return false };
    if !rest.is_empty() {
        return false;
    }
    match (key, spki.parsed()) {
        (PublicKey::Rsa { modulus }, Ok(CertificateKey::RSA(rsa))) => same_rsa(modulus, &rsa),
        (PublicKey::Rsa { modulus }, Ok(CertificateKey::Unknown(bytes))) => {
            spki.algorithm.algorithm.to_id_string() == ID_RSAES_OAEP
                && RSAPublicKey::from_der(bytes).is_ok_and(|(rest, rsa)| rest.is_empty() && same_rsa(modulus, &rsa))
        }
        (PublicKey::Ecc { curve, x, y }, Ok(CertificateKey::EC(point))) => {
            let named = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            let named = named.map(|oid| oid.to_id_string());
            named.as_deref() == Some(curve_oid(*curve)) && point.data() == PublicKey::sec1_point(x, y)
        }
        _ => false,
    }
}

/// RFC 4055, section 1.2.
const ID_RSAES_OAEP: &str = "1.2.840.113549.1.1.7";

const fn curve_oid(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "1.2.840.10045.3.1.7",
        Curve::P384 => "1.3.132.0.34",
    }
}

fn same_rsa(modulus: &[u8], certified: &RSAPublicKey<'_>) -> bool {
    let unsigned = certified.modulus.strip_prefix(&[0]).unwrap_or(certified.modulus);
    unsigned == modulus && certified.try_exponent() == Ok(u64::from(crate::public::RSA_EXPONENT))
}
