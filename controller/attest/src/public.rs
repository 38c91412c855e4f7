//! `TPM2B_PUBLIC`: the public half of a TPM object, its Name and its Qualified Name (TPM 2.0 Library, Part 1,
//! section 16 "Names"; Part 2, section 12.2).
//!
//! Only what this fleet uses is accepted: RSA with exponent 65537, P-256 and P-384. A parsed key is a valid key: the
//! point lies on its curve and the modulus has the size it claims.

mod parse;

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;

use crate::hash::{HashAlg, NameAlg};
use crate::wire::WireError;

/// The only RSA exponent accepted; on the wire a TPM writes it as 0 (Part 2, section 12.2.3.5).
pub const RSA_EXPONENT: u32 = 65537;

/// Largest `TPM2B_PUBLIC` accepted, in bytes: an RSA-4096 key takes 512 and its parameters under 100.
pub const MAX_PUBLIC_BYTES: usize = 1024;

/// A validated public area.
#[derive(Clone)]
pub struct Public {
    /// The `TPMT_PUBLIC` exactly as received: the Name is a hash over it, so it is never re-encoded.
    tpmt: Vec<u8>,
    name_alg: NameAlg,
    name: Name,
    attributes: Attributes,
    auth_policy: Vec<u8>,
    symmetric: Symmetric,
    scheme: Scheme,
    key: PublicKey,
    verifier: ParsedPublicKey,
    spki_der: Vec<u8>,
}

impl Public {
    /// Parses a `TPM2B_PUBLIC`, size prefix included. The prefix must equal what follows.
    pub fn parse_2b(bytes: &[u8]) -> Result<Self, WireError> {
        parse::parse_2b(bytes)
    }

    /// The `TPM2B_PUBLIC` this was parsed from, byte for byte.
    pub fn to_2b(&self) -> Vec<u8> {
        let size = u16::try_from(self.tpmt.len()).unwrap_or(u16::MAX); // bounded by MAX_PUBLIC_BYTES at parse
        [&size.to_be_bytes()[..], &self.tpmt].concat()
    }

    /// The hash that forms this object's Name.
    pub const fn name_alg(&self) -> NameAlg {
        self.name_alg
    }

    /// The Name: `nameAlg || H(TPMT_PUBLIC)`.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The Qualified Name of this object under a parent: `nameAlg || H(QN(parent) || Name)`.
    pub fn qualified_name(&self, parent: &QualifiedName) -> QualifiedName {
        QualifiedName(prefixed_digest(self.name_alg, &[&parent.0, &self.name.0]))
    }

    /// The object attributes.
    pub const fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// The authorisation policy digest; empty where the object has none.
    pub fn auth_policy(&self) -> &[u8] {
        &self.auth_policy
    }

    /// The cipher with which a storage key protects its children.
    pub const fn symmetric(&self) -> Symmetric {
        self.symmetric
    }

    /// The signing scheme that the key is bound to.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The key itself.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The key as a DER SubjectPublicKeyInfo (RFC 5280), as certificates and CSRs carry it.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The key made ready for SHA-256 verification (SHA-384 for P-384), once for its life.
    pub(crate) const fn verifier(&self) -> &ParsedPublicKey {
        &self.verifier
    }
}

impl PartialEq for Public {
    fn eq(&self, other: &Self) -> bool {
        self.tpmt == other.tpmt
    }
}

impl Eq for Public {}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Public")
            .field("name", &self.name)
            .field("attributes", &self.attributes)
            .field("symmetric", &self.symmetric)
            .field("scheme", &self.scheme)
            .field("key", &self.key.kind())
            .finish_non_exhaustive()
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA with the exponent [`RSA_EXPONENT`].
    Rsa {
        /// The modulus, big-endian, without leading zeros: 128, 256, 384 or 512 bytes.
        modulus: Vec<u8>,
    },
    /// A point on a NIST curve.
    Ecc {
        /// The curve.
        curve: Curve,
        /// The x coordinate, padded to the curve's width.
        x: Vec<u8>,
        /// The y coordinate, padded to the curve's width.
        y: Vec<u8>,
    },
}

impl PublicKey {
    /// Type and size.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Rsa { modulus } => KeyKind::Rsa { bits: modulus.len().saturating_mul(8) },
            Self::Ecc { curve, .. } => KeyKind::Ecc(*curve),
        }
    }

    /// The uncompressed SEC 1 point (`04 || x || y`) of an ECC key.
    pub(crate) fn sec1_point(x: &[u8], y: &[u8]) -> Vec<u8> {
        [&[0x04][..], x, y].concat()
    }
}

/// Type and size of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Size of the modulus in bits.
        bits: usize,
    },
    /// A NIST curve.
    Ecc(Curve),
}

/// A NIST curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Curve {
    /// Width of a coordinate in bytes.
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

/// The cipher of a storage key; always CFB (Part 1, section 11.4.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetric {
    /// Not a storage key.
    Null,
    /// AES-128-CFB.
    Aes128Cfb,
    /// AES-256-CFB.
    Aes256Cfb,
}

/// The signing scheme that a key is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// None: chosen at each use.
    Null,
    /// RSASSA-PKCS1-v1_5.
    RsaSsa(HashAlg),
    /// RSASSA-PSS.
    RsaPss(HashAlg),
    /// ECDSA.
    Ecdsa(HashAlg),
}

/// `TPMA_OBJECT` (Part 2, section 8.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attributes(u32);

impl Attributes {
    /// The object can never leave its TPM.
    pub const FIXED_TPM: Self = Self(1 << 1);
    /// The object can never move to another parent.
    pub const FIXED_PARENT: Self = Self(1 << 4);
    /// The TPM made the secret part itself; it was not imported.
    pub const SENSITIVE_DATA_ORIGIN: Self = Self(1 << 5);
    /// The auth value allows use.
    pub const USER_WITH_AUTH: Self = Self(1 << 6);
    /// Administrative use needs the policy.
    pub const ADMIN_WITH_POLICY: Self = Self(1 << 7);
    /// Failed authorisations do not count towards dictionary attack lockout.
    pub const NO_DA: Self = Self(1 << 10);
    /// Signs (or decrypts) only what the TPM made itself.
    pub const RESTRICTED: Self = Self(1 << 16);
    /// May decrypt.
    pub const DECRYPT: Self = Self(1 << 17);
    /// May sign.
    pub const SIGN: Self = Self(1 << 18);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::FIXED_TPM, "fixedTPM"),
        (Self::FIXED_PARENT, "fixedParent"),
        (Self::SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin"),
        (Self::USER_WITH_AUTH, "userWithAuth"),
        (Self::ADMIN_WITH_POLICY, "adminWithPolicy"),
        (Self::NO_DA, "noDA"),
        (Self::RESTRICTED, "restricted"),
        (Self::DECRYPT, "decrypt"),
        (Self::SIGN, "sign"),
    ];

    /// The attributes of a `TPMA_OBJECT` word.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The `TPMA_OBJECT` word.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The attributes of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every attribute of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x} (", self.0)?;
        let mut separator = "";
        for (_, name) in Self::NAMES.iter().filter(|(bit, _)| self.contains(*bit)) {
            write!(f, "{separator}{name}")?;
            separator = "|";
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The Name of an object: the TPM's own identity for it, algorithm identifier included.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    fn of(name_alg: NameAlg, tpmt: &[u8]) -> Self {
        Self(prefixed_digest(name_alg, &[tpmt]))
    }

    /// The bytes as the TPM writes them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

/// The Qualified Name of an object: its Name and all its ancestors up to the hierarchy, so it says where a key lives.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct QualifiedName(Vec<u8>);

impl QualifiedName {
    /// The endorsement hierarchy itself: its handle, `TPM_RH_ENDORSEMENT`.
    pub fn endorsement_root() -> Self {
        Self(vec![0x40, 0x00, 0x00, 0x0b])
    }

    /// The bytes as the TPM writes them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

fn prefixed_digest(alg: NameAlg, parts: &[&[u8]]) -> Vec<u8> {
    [&alg.id().to_be_bytes()[..], &alg.digest(parts)].concat()
}
