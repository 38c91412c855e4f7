//! The attestation and the TLS key: made once, loaded each time.

use std::path::Path;

use tss_esapi::Context;
use tss_esapi::abstraction::ak::{create_ak_2, load_ak};
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, KeyCustomization};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, SignatureSchemeAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::structures::{Private, Public};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};

use crate::TpmError;
use crate::endorsement::Endorsement;
use crate::keyfile::{StoredKey, StoredKeys};
use crate::response::{Meaning, ResponseCode};

/// What a key may sign.
///
/// Both kinds are ECDSA on P-256 with SHA-256 and cannot leave the TPM. Both are `noDA`: a wrong password given to
/// some other key of the host must not lock these. Both are children of the EK: under the owner hierarchy the clock
/// fields of an attestation would be obfuscated.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// Only what the TPM itself states; so a signature proves that the TPM stated it.
    Attestation,
    /// Any digest.
    Tls,
}

impl KeyCustomization for Purpose {
    fn attributes(&self, builder: ObjectAttributesBuilder) -> ObjectAttributesBuilder {
        builder.with_restricted(matches!(self, Self::Attestation)).with_no_da(true)
    }
}

/// Makes both keys.
pub(crate) fn create(context: &mut Context, endorsement: &Endorsement) -> Result<StoredKeys, TpmError> {
    let mut create = |purpose: Purpose, doing| -> Result<StoredKey, TpmError> {
        let created = create_ak_2(
            context,
            endorsement.handle(),
            HashingAlgorithm::Sha256,
            AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256),
            SignatureSchemeAlgorithm::EcDsa,
            None,
            purpose,
        )
        .map_err(TpmError::command(doing))?;
        Ok(StoredKey {
            public: created.out_public.marshall().map_err(TpmError::command(doing))?,
            private: created.out_private.value().to_vec(),
        })
    };
    let ak = create(Purpose::Attestation, "creating the attestation key")?;
    let tls = create(Purpose::Tls, "creating the TLS key")?;
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
    load_ak(context, endorsement.handle(), None, private, public).map_err(|error| {
        let source = ResponseCode::from(error);
        match source.meaning() {
            Meaning::Integrity => refused(source),
            // The parameters are what the file says.
            Meaning::Other if source.concerns_parameter() => refused(source),
            _ => TpmError::command("loading a key")(error),
        }
    })
}
