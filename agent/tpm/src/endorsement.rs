//! The endorsement key and its certificate (TCG EK Credential Profile 2.5, template L-1: RSA-2048).

use tss_esapi::Context;
use tss_esapi::abstraction::AsymmetricAlgorithmSelection;
use tss_esapi::abstraction::DefaultKey;
use tss_esapi::abstraction::ek::{create_ek_object_2, retrieve_ek_pubcert};
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::structures::Public;
use tss_esapi::traits::Marshall as _;

use crate::TpmError;
use crate::response::{Meaning, ResponseCode};

/// Where firmware keeps the EK by convention (TCG PC Client provisioning guidance, RSA-2048).
const PERSISTENT_HANDLE: u32 = 0x8101_0001;
const ALGORITHM: AsymmetricAlgorithmSelection = AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048);

/// The EK, available as a parent for as long as this connection lasts or until [released](Endorsement::release).
#[derive(Debug)]
pub(crate) struct Endorsement {
    handle: KeyHandle,
    residence: Residence,
    public_area: Vec<u8>,
}

/// Whether the EK occupies one of the TPM's few slots for loaded objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Residence {
    Persistent,
    Transient,
}

impl Endorsement {
    /// Finds the EK that `certificate` is of: the persistent one, or else one made anew from the template, which
    /// always yields the same key.
    pub(crate) fn find(context: &mut Context, certificate: &[u8]) -> Result<Self, TpmError> {
        if let Some(handle) = persistent(context)? {
            let endorsement = Self::describe(context, handle, Residence::Persistent)?;
            // The handle is a convention only: some other key may live there.
            if let Some(endorsement) = endorsement.filter(|found| found.is_certified_by(certificate)) {
                return Ok(endorsement);
            }
        }
        let endorsement = Self::create(context)?;
        if endorsement.is_certified_by(certificate) {
            return Ok(endorsement);
        }
        endorsement.release(context)?;
        Err(TpmError::EndorsementCertificate { reason: "it is not of the endorsement key that this TPM makes" })
    }

    /// Makes the transient EK. Slow on a hardware TPM: up to several seconds.
    pub(crate) fn create(context: &mut Context) -> Result<Self, TpmError> {
        const DOING: &str = "creating the endorsement key";
        let handle = create_ek_object_2(context, ALGORITHM, DefaultKey).map_err(TpmError::command(DOING))?;
        Self::describe(context, handle, Residence::Transient)?.ok_or(TpmError::Unexpected { doing: DOING })
    }

    pub(crate) fn handle(&self) -> KeyHandle {
        self.handle
    }

    /// TPMT_PUBLIC.
    pub(crate) fn public_area(&self) -> &[u8] {
        &self.public_area
    }

    /// Frees the slot of a transient EK; a persistent one is handed back, for it costs nothing to keep.
    pub(crate) fn release(self, context: &mut Context) -> Result<Option<Self>, TpmError> {
        match self.residence {
            Residence::Persistent => Ok(Some(self)),
            Residence::Transient => context
                .flush_context(self.handle.into())
                .map(|()| None)
                .map_err(TpmError::command("releasing the endorsement key")),
        }
    }

    /// `None` if the object is no RSA key, and so not the EK of this template.
    fn describe(context: &mut Context, handle: KeyHandle, residence: Residence) -> Result<Option<Self>, TpmError> {
        const DOING: &str = "reading the endorsement key";
        let (public, _, _) = context.read_public(handle).map_err(TpmError::command(DOING))?;
        let public_area = public.marshall().map_err(TpmError::command(DOING))?;
        Ok(matches!(public, Public::Rsa { .. }).then_some(Self { handle, residence, public_area }))
    }

    /// Whether the key's modulus stands in the certificate. Enough to choose between two keys of our own TPM; the
    /// controller compares properly.
    fn is_certified_by(&self, certificate: &[u8]) -> bool {
        const MODULUS: usize = 256;
        let modulus = self.public_area.last_chunk::<MODULUS>();
        modulus.is_some_and(|modulus| certificate.windows(MODULUS).any(|window| window == modulus))
    }
}

/// The certificate of NV index 0x01C00002, without the padding that some vendors leave behind it.
pub(crate) fn certificate(context: &mut Context) -> Result<Vec<u8>, TpmError> {
    let mut certificate = retrieve_ek_pubcert(context, ALGORITHM).map_err(|error| {
        let source = ResponseCode::from(error);
        match source.meaning() {
            Meaning::NoSuchHandle => TpmError::NoEndorsementCertificate { source },
            _ => TpmError::command("reading the endorsement certificate")(error),
        }
    })?;
    let length = der_length(&certificate)
        .ok_or(TpmError::EndorsementCertificate { reason: "it is not a DER sequence of the length it claims" })?;
    certificate.truncate(length);
    Ok(certificate)
}

fn persistent(context: &mut Context) -> Result<Option<KeyHandle>, TpmError> {
    const DOING: &str = "looking for the endorsement key";
    let handle = PersistentTpmHandle::new(PERSISTENT_HANDLE).map_err(TpmError::command(DOING))?;
    match context.tr_from_tpm_public(TpmHandle::Persistent(handle)) {
        Ok(object) => Ok(Some(ObjectHandle::into(object))),
        Err(error) if ResponseCode::from(error).meaning() == Meaning::NoSuchHandle => Ok(None),
        Err(error) => Err(TpmError::command(DOING)(error)),
    }
}

/// Length of the DER SEQUENCE that `bytes` begin with. Certificates are longer than 255 bytes and shorter than 64 KiB,
/// so only the form with two length octets occurs.
fn der_length(bytes: &[u8]) -> Option<usize> {
    let &[0x30, 0x82, high, low, ..] = bytes else { return None };
    let length = 4 + usize::from(u16::from_be_bytes([high, low]));
    (length <= bytes.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::der_length;

    #[test]
    fn padding_is_told_from_the_certificate() {
        assert_eq!(der_length(&[0x30, 0x82, 0, 2, 5, 0, 0xFF, 0xFF]), Some(6));
        assert_eq!(der_length(&[0x30, 0x82, 0, 2, 5, 0]), Some(6));
        assert_eq!(der_length(&[0x30, 0x82, 0, 3, 5, 0]), None);
        assert_eq!(der_length(&[0; 8]), None);
        assert_eq!(der_length(&[]), None);
    }
}
