//! The certificates that the TPM's vendor left in its non-volatile storage.

use tss_esapi::Context;
use tss_esapi::abstraction::nv;
use tss_esapi::constants::CapabilityType;
use tss_esapi::handles::{NvIndexTpmHandle, TpmHandle};
use tss_esapi::interface_types::resource_handles::NvAuth;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::CapabilityData;

use crate::response::{Meaning, ResponseCode};
use crate::{EndorsementKind, TpmError};

/// Where vendors leave the certificates between the endorsement certificate and their root (EK Credential Profile 2.5,
/// 2.2.1.6).
const CHAIN: std::ops::RangeInclusive<u32> = 0x01C0_0100..=0x01C0_01FF;
/// Largest chain that is read, in bytes. The non-volatile storage of a TPM holds less.
const MAX_CHAIN_BYTES: usize = 32 * 1024;
/// Most indices asked for at once; a TPM answers with as many as fit its buffer and says whether there are more.
const HANDLES: u32 = 64;

/// The certificate of a key, without the padding that some vendors leave behind it; `None` if the TPM holds none.
pub(crate) fn endorsement(context: &mut Context, kind: EndorsementKind) -> Result<Option<Vec<u8>>, TpmError> {
    const DOING: &str = "reading the endorsement certificate";
    let Some(mut certificate) = read(context, kind.certificate_index()).map_err(TpmError::command(DOING))? else {
        return Ok(None);
    };
    let reason = "it is not a DER sequence of the length it claims";
    let length = der_length(&certificate).ok_or(TpmError::EndorsementCertificate { kind, reason })?;
    certificate.truncate(length);
    Ok(Some(certificate))
}

/// The certificates that lead from the endorsement certificate to the vendor's root, in the TPM's order; mostly none.
///
/// Their bytes are one sequence that may be cut between two indices anywhere. What is no certificate ends it: behind
/// the last one some vendors leave padding.
pub(crate) fn chain(context: &mut Context) -> Result<Vec<Vec<u8>>, TpmError> {
    const DOING: &str = "reading the chain of the endorsement certificate";
    let mut bytes = Vec::new();
    for index in chain_indices(context).map_err(TpmError::command(DOING))? {
        bytes.extend(read(context, index).map_err(TpmError::command(DOING))?.unwrap_or_default());
        if bytes.len() > MAX_CHAIN_BYTES {
            tracing::warn!("the TPM's certificate chain is longer than {MAX_CHAIN_BYTES} bytes; the rest is left");
            break;
        }
    }
    Ok(split(&bytes))
}

fn chain_indices(context: &mut Context) -> Result<Vec<u32>, tss_esapi::Error> {
    let mut indices = Vec::new();
    let mut first = *CHAIN.start();
    loop {
        let (found, more) = context
            .execute_without_session(|context| context.get_capability(CapabilityType::Handles, first, HANDLES))?;
        let CapabilityData::Handles(handles) = found else { return Ok(indices) };
        let found: Vec<u32> = handles.into_inner().into_iter().map(u32::from).collect();
        indices.extend(found.iter().filter(|index| CHAIN.contains(index)));
        match found.last() {
            Some(last) if more && *last >= first && *last < *CHAIN.end() => first = last.saturating_add(1),
            _ => return Ok(indices),
        }
    }
}

/// The contents of an index; `None` if it is not defined, or was never written.
fn read(context: &mut Context, index: u32) -> Result<Option<Vec<u8>>, tss_esapi::Error> {
    let index = NvIndexTpmHandle::new(index)?;
    let contents = context.execute_without_session(|context| {
        let handle = context.tr_from_tpm_public(TpmHandle::NvIndex(index))?;
        context.execute_with_session(Some(AuthSession::Password), |context| {
            nv::read_full(context, NvAuth::NvIndex(handle.into()), index)
        })
    });
    match contents {
        Err(error) if matches!(ResponseCode::from(error).meaning(), Meaning::NoSuchHandle | Meaning::NotWritten) => {
            Ok(None)
        }
        contents => contents.map(Some),
    }
}

fn split(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut certificates = Vec::new();
    while let Some((certificate, rest)) = der_length(bytes).and_then(|length| bytes.split_at_checked(length)) {
        certificates.push(certificate.to_vec());
        bytes = rest;
    }
    certificates
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
    use super::{der_length, split};

    #[test]
    fn padding_is_told_from_the_certificate() {
        assert_eq!(der_length(&[0x30, 0x82, 0, 2, 5, 0, 0xFF, 0xFF]), Some(6));
        assert_eq!(der_length(&[0x30, 0x82, 0, 2, 5, 0]), Some(6));
        assert_eq!(der_length(&[0x30, 0x82, 0, 3, 5, 0]), None);
        assert_eq!(der_length(&[0; 8]), None);
        assert_eq!(der_length(&[]), None);
    }

    #[test]
    fn a_chain_is_split_and_ends_where_it_stops_being_one() {
        let (one, two) = ([0x30, 0x82, 0, 2, 5, 0], [0x30, 0x82, 0, 1, 9]);
        assert_eq!(split(&[&one[..], &two, &[0xFF; 9]].concat()), [one.to_vec(), two.to_vec()]);
        assert_eq!(split(&[&one[..], &two[..4]].concat()), [one.to_vec()]);
        assert!(split(&[]).is_empty() && split(&[0xFF; 40]).is_empty());
    }
}
