//! The attestation and the TLS key: made once, loaded each time.

use std::path::Path;

use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::structures::{
    EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, Private, Public, PublicBuilder, PublicEccParameters,
    PublicKeyRsa, PublicRsaParameters, RsaExponent, RsaScheme, SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};

use crate::endorsement::Endorsement;
use crate::keyfile::{StoredKey, StoredKeys};
use crate::response::{Meaning, ResponseCode};
use crate::{AttestationKind, TpmError};

/// What a key may sign.
///
/// Both kinds sign with SHA-256 and cannot leave the TPM. Both are `noDA`: a wrong password given to some other key of
/// the host must not lock these. Both are children of the EK: under the owner hierarchy the clock fields of an
/// attestation would be obfuscated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Only what the TPM itself states; so a signature proves that the TPM stated it.
    Attestation,
    /// Any digest.
    Tls,
}

/// Makes both keys. Without a choice the attestation key is P-256, or RSA-2048 if the TPM refuses to make that. The TLS key
/// is always P-256: TLS 1.3 wants RSA signatures in a form that many TPMs cannot make.
pub(crate) fn create(
    context: &mut Context,
    endorsement: &Endorsement,
    attestation: Option<AttestationKind>,
) -> Result<StoredKeys, TpmError> {
    let mut make = |kind, purpose, doing| create_one(context, endorsement, kind, purpose, doing);
    let (purpose, doing) = (Purpose::Attestation, "creating the attestation key");
    let ak = match attestation {
        Some(kind) => make(kind, purpose, doing),
        None => match make(AttestationKind::P256, purpose, doing) {
            Err(error) if error.is_unsupported() => make(AttestationKind::Rsa2048, purpose, doing),
            outcome => outcome,
        },
    }?;
    let tls = match make(AttestationKind::P256, Purpose::Tls, "creating the TLS key") {
        Err(error) if error.is_unsupported() => Err(TpmError::NoP256 { source: Box::new(error) }),
        outcome => outcome,
    }?;
    Ok(StoredKeys::new(endorsement.public_area().to_vec(), ak, tls))
}

/// Loads a key of the file at `path`, which is named in the error if the TPM refuses it.
pub(crate) fn load(
    context: &mut Context,
    endorsement: &Endorsement,
    key: &StoredKey,
    path: &Path,
) -> Result<KeyHandle, TpmError> {
    let refused = |source| TpmError::KeysRefused { path: path.to_path_buf(), source };
    let private = Private::try_from(key.private.as_slice()).map_err(|error| refused(error.into()))?;
    let public = Public::unmarshall(&key.public).map_err(|error| refused(error.into()))?;
    let loaded = endorsement.authorised(context, |context, session| {
        context.execute_with_session(Some(session), |context| context.load(endorsement.handle(), private, public))
    });
    loaded.map_err(|error| {
        let source = ResponseCode::from(error);
        match source.meaning() {
            Meaning::Integrity => refused(source),
            // The parameters are what the file says.
            Meaning::Other if source.concerns_parameter() => refused(source),
            _ => TpmError::command("loading a key")(error),
        }
    })
}

/// The kind of a stored attestation key; `None` if it is neither.
pub(crate) fn attestation_kind(key: &StoredKey) -> Option<AttestationKind> {
    match Public::unmarshall(&key.public) {
        Ok(Public::Ecc { .. }) => Some(AttestationKind::P256),
        Ok(Public::Rsa { .. }) => Some(AttestationKind::Rsa2048),
        _ => None,
    }
}

fn create_one(
    context: &mut Context,
    endorsement: &Endorsement,
    kind: AttestationKind,
    purpose: Purpose,
    doing: &'static str,
) -> Result<StoredKey, TpmError> {
    let template = template(kind, purpose).map_err(TpmError::command(doing))?;
    let created = endorsement
        .authorised(context, |context, session| {
            context.execute_with_session(Some(session), |context| {
                context.create(endorsement.handle(), template, None, None, None, None)
            })
        })
        .map_err(TpmError::command(doing))?;
    Ok(StoredKey {
        public: created.out_public.marshall().map_err(TpmError::command(doing))?,
        private: created.out_private.value().to_vec(),
    })
}

fn template(kind: AttestationKind, purpose: Purpose) -> Result<Public, tss_esapi::Error> {
    let restricted = purpose == Purpose::Attestation;
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(restricted)
        .with_sign_encrypt(true)
        .build()?;
    let builder =
        PublicBuilder::new().with_name_hashing_algorithm(HashingAlgorithm::Sha256).with_object_attributes(attributes);
    match kind {
        AttestationKind::P256 => builder
            .with_public_algorithm(PublicAlgorithm::Ecc)
            .with_ecc_parameters(p256())
            .with_ecc_unique_identifier(EccPoint::default()),
        AttestationKind::Rsa2048 => builder
            .with_public_algorithm(PublicAlgorithm::Rsa)
            .with_rsa_parameters(rsa2048())
            .with_rsa_unique_identifier(PublicKeyRsa::default()),
    }
    .build()
}

const SHA256: HashScheme = HashScheme::new(HashingAlgorithm::Sha256);

const fn p256() -> PublicEccParameters {
    let (symmetric, kdf) = (SymmetricDefinitionObject::Null, KeyDerivationFunctionScheme::Null);
    PublicEccParameters::new(symmetric, EccScheme::EcDsa(SHA256), EccCurve::NistP256, kdf)
}

fn rsa2048() -> PublicRsaParameters {
    let (symmetric, exponent) = (SymmetricDefinitionObject::Null, RsaExponent::default());
    PublicRsaParameters::new(symmetric, RsaScheme::RsaSsa(SHA256), RsaKeyBits::Rsa2048, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_attestation_key_is_restricted() {
        for kind in [AttestationKind::P256, AttestationKind::Rsa2048] {
            for (purpose, attributes) in [(Purpose::Attestation, 0x0005_0472_u32), (Purpose::Tls, 0x0004_0472)] {
                let area = template(kind, purpose).unwrap().marshall().unwrap();
                assert_eq!(area[4..8], attributes.to_be_bytes(), "{kind} {purpose:?}");
                let key = StoredKey { public: area, private: Vec::new() };
                assert_eq!(attestation_kind(&key), Some(kind));
            }
        }
    }
}
