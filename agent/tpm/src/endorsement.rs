//! The endorsement key of the TPM, whichever of the TCG's templates it has a certificate for.

pub(crate) mod certificate;
mod template;

use tss_esapi::Context;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::{KeyHandle, ObjectHandle, TpmHandle};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{CapabilityData, Public};
use tss_esapi::traits::Marshall as _;

use crate::{EndorsementKind, TpmError};

/// Where firmware keeps EKs by convention (TCG Registry of Reserved TPM 2.0 Handles, 2.3.1). Which of them has which
/// handle differs, so all are looked at.
const PERSISTENT: std::ops::RangeInclusive<u32> = 0x8101_0000..=0x8101_FFFF;
/// Most keys looked at; TPMs have room for fewer.
const HANDLES: u32 = 32;

/// The EK, available as a parent for as long as this connection lasts or until [released](Endorsement::release).
#[derive(Debug)]
pub(crate) struct Endorsement {
    handle: KeyHandle,
    kind: EndorsementKind,
    residence: Residence,
    public_area: Vec<u8>,
    /// What a certificate of this key contains: the modulus, or the uncompressed point.
    key: Vec<u8>,
}

/// An EK with its certificate.
pub(crate) struct Certified {
    pub(crate) endorsement: Endorsement,
    pub(crate) certificate: Vec<u8>,
}

/// Whether the EK occupies one of the TPM's few slots for loaded objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Residence {
    Persistent,
    Transient,
}

impl Endorsement {
    /// Finds the first of these kinds that the TPM has a certificate and the key of it for.
    pub(crate) fn find(context: &mut Context, kinds: &[EndorsementKind]) -> Result<Certified, TpmError> {
        let mut unfit = None;
        for kind in kinds {
            match Self::find_one(context, *kind) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                // A vendor's mistake with one key is no reason to do without another.
                Err(error @ TpmError::EndorsementCertificate { .. }) => unfit = unfit.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        let kind = if let [only] = kinds { Some(*only) } else { None };
        Err(unfit.unwrap_or(TpmError::NoEndorsementCertificate { kind }))
    }

    /// The EK that the certificate of this kind is of: a persistent one, or else one made anew from the template, which
    /// always yields the same key. `None` if there is no such certificate.
    fn find_one(context: &mut Context, kind: EndorsementKind) -> Result<Option<Certified>, TpmError> {
        let Some(certificate) = certificate::endorsement(context, kind)? else { return Ok(None) };
        for handle in persistent(context)? {
            let found = Self::describe(context, handle, Residence::Persistent)?;
            if let Some(endorsement) = found.filter(|found| found.kind == kind && found.is_certified_by(&certificate)) {
                return Ok(Some(Certified { endorsement, certificate }));
            }
        }
        let endorsement = Self::create(context, kind)?;
        if endorsement.is_certified_by(&certificate) {
            return Ok(Some(Certified { endorsement, certificate }));
        }
        endorsement.release(context)?;
        let reason = "it is not of the endorsement key that this TPM makes";
        Err(TpmError::EndorsementCertificate { kind, reason })
    }

    /// Makes the transient EK. Slow on a hardware TPM: up to several seconds.
    pub(crate) fn create(context: &mut Context, kind: EndorsementKind) -> Result<Self, TpmError> {
        const DOING: &str = "creating the endorsement key";
        let template = kind.template().map_err(TpmError::command(DOING))?;
        let created = context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
            })
            .map_err(TpmError::command(DOING))?;
        let described = Self::describe(context, created.key_handle, Residence::Transient)?;
        described.ok_or(TpmError::Unexpected { doing: DOING })
    }

    pub(crate) fn handle(&self) -> KeyHandle {
        self.handle
    }

    pub(crate) fn kind(&self) -> EndorsementKind {
        self.kind
    }

    /// TPMT_PUBLIC.
    pub(crate) fn public_area(&self) -> &[u8] {
        &self.public_area
    }

    /// Runs a command that uses this key, with the session that authorises it.
    pub(crate) fn authorised<T>(
        &self,
        context: &mut Context,
        command: impl FnOnce(&mut Context, AuthSession) -> Result<T, tss_esapi::Error>,
    ) -> Result<T, tss_esapi::Error> {
        template::authorised(context, self.kind, command)
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

    /// `None` if the object is a key of no template.
    fn describe(context: &mut Context, handle: KeyHandle, residence: Residence) -> Result<Option<Self>, TpmError> {
        const DOING: &str = "reading the endorsement key";
        let (public, _, _) =
            context.execute_without_session(|context| context.read_public(handle)).map_err(TpmError::command(DOING))?;
        let Some((kind, key)) = EndorsementKind::of(&public).zip(key_of(&public)) else { return Ok(None) };
        let public_area = public.marshall().map_err(TpmError::command(DOING))?;
        Ok(Some(Self { handle, kind, residence, public_area, key }))
    }

    /// Whether the key stands in the certificate. Enough to choose between keys of our own TPM; the controller compares
    /// properly.
    fn is_certified_by(&self, certificate: &[u8]) -> bool {
        certificate.windows(self.key.len()).any(|window| window == self.key)
    }
}

/// Every persistent object where EKs are kept.
fn persistent(context: &mut Context) -> Result<Vec<KeyHandle>, TpmError> {
    const DOING: &str = "looking for the endorsement key";
    let found = context.execute_without_session(|context| {
        let (found, _) = context.get_capability(CapabilityType::Handles, *PERSISTENT.start(), HANDLES)?;
        let CapabilityData::Handles(handles) = found else { return Ok(Vec::new()) };
        let of_range = |handle: &TpmHandle| PERSISTENT.contains(&u32::from(*handle));
        let handles = handles.into_inner().into_iter().filter(of_range);
        handles.map(|handle| context.tr_from_tpm_public(handle).map(ObjectHandle::into)).collect()
    });
    found.map_err(TpmError::command(DOING))
}

fn key_of(public: &Public) -> Option<Vec<u8>> {
    /// Uncompressed (SEC 1, 2.3.3).
    const POINT: u8 = 0x04;
    match public {
        Public::Rsa { unique, .. } if !unique.value().is_empty() => Some(unique.value().to_vec()),
        Public::Ecc { unique, parameters, .. } => {
            // Two coordinates of the same width; TPMs may strip leading zeros.
            let width = match parameters.ecc_curve() {
                EccCurve::NistP256 => 32,
                _ => 48,
            };
            let [x, y] = [unique.x().value(), unique.y().value()].map(|number| {
                let zeros = vec![0; width - number.len().min(width)];
                [&zeros[..], number].concat()
            });
            Some([&[POINT], &x[..], &y].concat())
        }
        _ => None,
    }
}
