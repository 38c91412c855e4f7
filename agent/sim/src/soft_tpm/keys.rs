//! The private halves: made, read from PKCS#8, and used.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use zeroize::Zeroizing;

use super::{SoftTpmError, structures};

/// DER of an RSAPublicKey with a modulus of 2048 bits, up to the modulus (RFC 8017, A.1.1), and behind it: 65537.
const RSA_2048_PREFIX: [u8; 9] = [0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
const RSA_65537_SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// What attestation key a TPM has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AkKind {
    /// P-256 with ECDSA and SHA-256.
    P256,
    /// RSA-2048 with RSASSA-PKCS1-v1_5 and SHA-256.
    Rsa2048,
}

/// A PKCS#8 document. Never printed, wiped when dropped.
pub(crate) struct PrivateKey(Zeroizing<Vec<u8>>);

/// The private keys of a TPM.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) ek: PrivateKey,
    pub(crate) ak: (AkKind, PrivateKey),
    pub(crate) tls: PrivateKey,
}

impl PrivateKey {
    pub(crate) fn new(der: Vec<u8>) -> Self {
        Self(Zeroizing::new(der))
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.0
    }

    fn p256() -> Result<Self, SoftTpmError> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).and_then(|key| key.to_pkcs8v1());
        key.map(|document| Self::new(document.as_ref().to_vec())).map_err(|_| SoftTpmError::Crypto("making a key"))
    }

    /// Takes a tenth of a second and more.
    fn rsa_2048() -> Result<Self, SoftTpmError> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048);
        let document: Result<Pkcs8V1Der<'_>, _> = key.and_then(|key| key.as_der());
        document.map(|document| Self::new(document.as_ref().to_vec())).map_err(|_| SoftTpmError::Crypto("making a key"))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl Keys {
    /// New ones.
    pub(crate) fn generate(ak: AkKind) -> Result<Self, SoftTpmError> {
        let ak_key = match ak {
            AkKind::P256 => PrivateKey::p256()?,
            AkKind::Rsa2048 => PrivateKey::rsa_2048()?,
        };
        Ok(Self { ek: PrivateKey::rsa_2048()?, ak: (ak, ak_key), tls: PrivateKey::p256()? })
    }
}

/// The endorsement key, which decrypts.
pub(crate) struct EndorsementKey {
    pub(super) oaep: OaepPrivateDecryptingKey,
    /// RSAPublicKey, DER.
    public: Vec<u8>,
}

impl EndorsementKey {
    pub(crate) fn read(key: &PrivateKey) -> Result<Self, SoftTpmError> {
        let wrong = SoftTpmError::Key("the endorsement key");
        let public = rsa::KeyPair::from_pkcs8(key.der()).map_err(|_| wrong)?.public_key().as_ref().to_vec();
        let private = PrivateDecryptingKey::from_pkcs8(key.der()).map_err(|_| wrong)?;
        Ok(Self { oaep: OaepPrivateDecryptingKey::new(private).map_err(|_| wrong)?, public })
    }

    pub(super) fn modulus(&self) -> Result<&[u8], SoftTpmError> {
        modulus(&self.public).ok_or(SoftTpmError::Key("the endorsement key"))
    }
}

/// What is certified.
impl rcgen::PublicKeyData for EndorsementKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// The attestation key, which signs what the TPM made.
pub(super) enum AkKey {
    P256(EcdsaKeyPair),
    Rsa2048(rsa::KeyPair),
}

impl AkKey {
    pub(super) fn read((kind, key): &(AkKind, PrivateKey)) -> Result<Self, SoftTpmError> {
        let read = match kind {
            AkKind::P256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.der()).map(Self::P256),
            AkKind::Rsa2048 => rsa::KeyPair::from_pkcs8(key.der()).map(Self::Rsa2048),
        };
        read.map_err(|_| SoftTpmError::Key("the attestation key"))
    }

    /// TPMT_PUBLIC.
    pub(super) fn public(&self) -> Result<Vec<u8>, SoftTpmError> {
        let public = match self {
            Self::P256(key) => coordinates(key).map(|(x, y)| structures::ecc_ak_public(x, y)),
            Self::Rsa2048(key) => modulus(key.public_key().as_ref()).map(structures::rsa_ak_public),
        };
        public.ok_or(SoftTpmError::Key("the attestation key"))
    }

    /// TPMT_SIGNATURE.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SoftTpmError> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::P256(key) => key.sign(&random, message).map(|fixed| structures::ecdsa_signature(fixed.as_ref())),
            Self::Rsa2048(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| structures::rsassa_signature(&signature))
            }
        };
        signed.map_err(|_| SoftTpmError::Crypto("signing an attestation"))
    }
}

/// The TLS key.
pub(super) struct TlsKey(EcdsaKeyPair);

impl TlsKey {
    pub(super) fn read(key: &PrivateKey) -> Result<Self, SoftTpmError> {
        let read = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.der());
        read.map(Self).map_err(|_| SoftTpmError::Key("the TLS key"))
    }

    /// TPMT_PUBLIC.
    pub(super) fn public(&self) -> Result<Vec<u8>, SoftTpmError> {
        let (x, y) = coordinates(&self.0).ok_or(SoftTpmError::Key("the TLS key"))?;
        Ok(structures::tls_public(x, y))
    }
}

/// The coordinates of an uncompressed point (SEC 1, section 2.3.3).
fn coordinates(key: &EcdsaKeyPair) -> Option<(&[u8], &[u8])> {
    key.public_key().as_ref().strip_prefix(&[0x04])?.split_at_checked(32)
}

/// The modulus in an RSAPublicKey of 2048 bits with the exponent 65537.
fn modulus(public: &[u8]) -> Option<&[u8]> {
    let modulus = public.strip_prefix(&RSA_2048_PREFIX)?.strip_suffix(&RSA_65537_SUFFIX)?;
    (modulus.len() == 256).then_some(modulus)
}
