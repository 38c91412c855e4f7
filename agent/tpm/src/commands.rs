//! The commands, on an open connection. Keys have the empty password, so password sessions suffice; a session with
//! parameter encryption costs ten times as much and, unsalted, keeps nothing from whoever listens on the bus.

use sha2::{Digest as _, Sha256};
use tss_esapi::Context;
use tss_esapi::constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK};
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    AttestInfo, Data, Digest, EccSignature, EncryptedSecret, HashcheckTicket, IdObject, PcrSelectSize, PcrSelection,
    PcrSelectionList, PcrSlot, Signature, SignatureScheme,
};
use tss_esapi::tss2_esys::{TPM2B_DIGEST, TPMT_TK_HASHCHECK};

use crate::TpmError;
use crate::connection::Connection;
use crate::endorsement::Endorsement;
use crate::evidence::{ActivatedSecret, Attestation, Quote};
use crate::response::{Meaning, ResponseCode};

/// Attempts at reading and quoting the same PCR values. Extensions come in bursts while services start; five attempts
/// of a millisecond each outlast any seen in practice.
const QUOTE_ATTEMPTS: u8 = 5;
/// PCRs of a PC Client TPM (PC Client Platform TPM Profile, 4.6.1).
const PCR_COUNT: u8 = 24;

/// PCRs to quote: at least one, each below 24, ascending, none twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PcrSet(Vec<u8>);

impl TryFrom<&[u8]> for PcrSet {
    type Error = TpmError;

    fn try_from(indices: &[u8]) -> Result<Self, TpmError> {
        if indices.is_empty() {
            return Err(TpmError::Selection { reason: "no PCR was asked for, and a quote of none proves nothing" });
        }
        if indices.iter().any(|index| *index >= PCR_COUNT) {
            return Err(TpmError::Selection { reason: "a PCR above 23 was asked for" });
        }
        let mut indices = indices.to_vec();
        indices.sort_unstable();
        indices.dedup();
        Ok(Self(indices))
    }
}

/// Reads and quotes until the quoted digest is that of the values read.
pub(crate) fn quote(connection: &mut Connection, qualifying: [u8; 32], pcrs: &PcrSet) -> Result<Quote, TpmError> {
    const DOING: &str = "quoting PCRs";
    let Connection { context, ak, .. } = connection;
    for _ in 0..QUOTE_ATTEMPTS {
        let pcr_values = read_pcrs(context, pcrs)?;
        let (attest, signature) = context
            .execute_with_session(Some(AuthSession::Password), |context| {
                let data = Data::try_from(qualifying.as_slice())?;
                context.quote(*ak, data, SignatureScheme::Null, selection(&pcrs.0)?)
            })
            .map_err(TpmError::command(DOING))?;
        let AttestInfo::Quote { info } = attest.attested() else {
            return Err(TpmError::Unexpected { doing: DOING });
        };
        let digest = pcr_values.iter().fold(Sha256::new(), |hash, (_, value)| hash.chain_update(value)).finalize();
        if info.pcr_digest().value() == digest.as_slice() {
            let Attestation { attest, signature } = Attestation::marshal(DOING, &attest, &signature)?;
            return Ok(Quote { attest, signature, pcr_values });
        }
    }
    Err(TpmError::PcrsChanging { attempts: QUOTE_ATTEMPTS })
}

/// The attestation key's word that the TLS key is in the same TPM.
pub(crate) fn certify_tls_key(connection: &mut Connection, qualifying: [u8; 32]) -> Result<Attestation, TpmError> {
    const DOING: &str = "certifying the TLS key";
    let Connection { context, ak, tls, .. } = connection;
    let both = (Some(AuthSession::Password), Some(AuthSession::Password), None);
    let (attest, signature) = context
        .execute_with_sessions(both, |context| {
            let data = Data::try_from(qualifying.as_slice())?;
            context.certify((*tls).into(), *ak, data, SignatureScheme::Null)
        })
        .map_err(TpmError::command(DOING))?;
    Attestation::marshal(DOING, &attest, &signature)
}

/// Opens a credential that was made for the attestation key under this EK.
pub(crate) fn activate(
    connection: &mut Connection,
    credential_blob: &[u8],
    encrypted_secret: &[u8],
) -> Result<ActivatedSecret, TpmError> {
    let refused = |source: ResponseCode| TpmError::CredentialRefused { source };
    let blob = IdObject::try_from(credential_blob).map_err(|error| refused(error.into()))?;
    let secret = EncryptedSecret::try_from(encrypted_secret).map_err(|error| refused(error.into()))?;
    let Connection { context, kind, endorsement, ak, .. } = connection;
    let outcome = if let Some(endorsement) = endorsement {
        activate_with(context, endorsement, *ak, blob, secret)
    } else {
        let endorsement = Endorsement::create(context, *kind)?;
        let outcome = activate_with(context, &endorsement, *ak, blob, secret);
        endorsement.release(context)?;
        outcome
    };
    let error = match outcome {
        Ok(digest) => return Ok(ActivatedSecret::new(digest.value())),
        Err(error) => error,
    };
    let source = ResponseCode::from(error);
    Err(match source.meaning() {
        Meaning::Integrity => refused(source),
        // The parameters are what came over the wire.
        Meaning::Other if source.concerns_parameter() => refused(source),
        // What was encrypted for another key does not come out as anything, and some TPMs call that a failure of theirs.
        Meaning::Failure if still_works(context) => refused(source),
        _ => TpmError::command("activating a credential")(error),
    })
}

fn still_works(context: &mut Context) -> bool {
    context.execute_without_session(|context| context.get_random(1)).is_ok()
}

/// Signs a SHA-256 digest with the TLS key; returns r and s, big-endian, of up to 32 bytes each.
pub(crate) fn sign(connection: &mut Connection, digest: [u8; 32]) -> Result<EccSignature, TpmError> {
    const DOING: &str = "signing with the TLS key";
    let Connection { context, tls, .. } = connection;
    let signature = context
        .execute_with_session(Some(AuthSession::Password), |context| {
            // Not hashed by the TPM, and so without its ticket: an unrestricted key does not ask for one.
            let ticket = HashcheckTicket::try_from(TPMT_TK_HASHCHECK {
                tag: TPM2_ST_HASHCHECK,
                hierarchy: TPM2_RH_NULL,
                digest: TPM2B_DIGEST::default(),
            })?;
            context.sign(*tls, Digest::try_from(digest.as_slice())?, SignatureScheme::Null, ticket)
        })
        .map_err(TpmError::command(DOING))?;
    match signature {
        Signature::EcDsa(signature) => Ok(signature),
        _ => Err(TpmError::Unexpected { doing: DOING }),
    }
}

fn activate_with(
    context: &mut Context,
    endorsement: &Endorsement,
    ak: KeyHandle,
    blob: IdObject,
    secret: EncryptedSecret,
) -> Result<Digest, tss_esapi::Error> {
    endorsement.authorised(context, |context, session| {
        context.execute_with_sessions((Some(AuthSession::Password), Some(session), None), |context| {
            context.activate_credential(ak, endorsement.handle(), blob, secret)
        })
    })
}

/// TPM2_PCR_Read returns at most eight values at a time, and says which.
fn read_pcrs(context: &mut Context, pcrs: &PcrSet) -> Result<Vec<(u8, [u8; 32])>, TpmError> {
    const DOING: &str = "reading PCRs";
    let mut values = Vec::with_capacity(pcrs.0.len());
    let mut missing = pcrs.0.clone();
    while !missing.is_empty() {
        let (_, read, digests) = context
            .execute_without_session(|context| context.pcr_read(selection(&missing)?))
            .map_err(TpmError::command(DOING))?;
        let read: Vec<u8> = read.get_selections().iter().flat_map(PcrSelection::selected).map(index).collect();
        if read.is_empty() {
            return Err(TpmError::NoSha256Bank);
        }
        if read.len() != digests.len() || !read.iter().all(|index| missing.contains(index)) {
            return Err(TpmError::Unexpected { doing: DOING });
        }
        for (index, digest) in read.iter().zip(digests.value()) {
            let value = digest.value().try_into().map_err(|_| TpmError::Unexpected { doing: DOING })?;
            values.push((*index, value));
        }
        missing.retain(|index| !read.contains(index));
    }
    values.sort_unstable_by_key(|(index, _)| *index);
    Ok(values)
}

/// One SHA-256 bank with a bitmap of three octets, the form that the controller demands.
fn selection(indices: &[u8]) -> Result<PcrSelectionList, tss_esapi::Error> {
    let slots = indices.iter().map(|index| PcrSlot::try_from(1_u32 << index)).collect::<Result<Vec<_>, _>>()?;
    PcrSelectionList::builder()
        .with_size_of_select(PcrSelectSize::ThreeOctets)
        .with_selection(HashingAlgorithm::Sha256, &slots)
        .build()
}

fn index(slot: PcrSlot) -> u8 {
    u8::try_from(u32::from(slot).trailing_zeros()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_ordered_and_cannot_be_empty() {
        assert_eq!(PcrSet::try_from([7, 0, 7, 23].as_slice()).unwrap(), PcrSet(vec![0, 7, 23]));
        assert!(PcrSet::try_from([].as_slice()).is_err());
        assert!(PcrSet::try_from([24].as_slice()).is_err());
    }
}
