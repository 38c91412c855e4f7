//! Credentials, certifications and quotes, verified from their bytes.

use flota_tpm::{Tpm, TpmError};
use sha2::{Digest as _, Sha256};
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::structures::{Digest, Name, Public};
use tss_esapi::traits::UnMarshall as _;

use crate::bench::{Host, name, parse_attest, sized, verify};

const SECRET: [u8; 32] = [0x5E; 32];

#[test]
fn a_credential_for_this_attestation_key_is_opened_and_no_other() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    assert_activates(&host, &tpm);

    let identity = tpm.identity();
    let (blob, secret) = make_credential(&host, &identity.ek_public, name(&identity.tls_public));
    let for_other_key = tpm.activate_credential(&blob, &secret);
    assert!(matches!(for_other_key, Err(TpmError::CredentialRefused { .. })), "{for_other_key:?}");

    let (blob, secret) = make_credential(&host, &identity.ek_public, name(&identity.ak_public));
    let mut altered = blob.clone();
    *altered.last_mut().unwrap() ^= 1;
    for (blob, secret) in [
        (altered.as_slice(), secret.as_slice()),
        (&blob, &secret[1..]),
        (&[], &secret),
        (&blob, &[]),
        (&blob[..20], &secret),
        (&[0xFF; 500], &secret),
        (&blob, &[0xFF; 1000]),
    ] {
        let outcome = tpm.activate_credential(blob, secret);
        assert!(matches!(outcome, Err(TpmError::CredentialRefused { .. })), "{outcome:?}");
    }
    assert_eq!(host.loaded(), (0, 2), "no failure leaves a session behind");
    assert_activates(&host, &tpm);
}

/// Encrypted for another endorsement key, it does not even come out as something; libtpms calls that a failure of its own.
#[test]
fn a_credential_for_another_tpm_is_refused_and_the_tpm_works_on() {
    let (host, other) = (Host::new(), Host::new());
    let (tpm, theirs) = (host.open().unwrap(), other.open().unwrap());
    for object in [&tpm.identity().ak_public, &theirs.identity().ak_public] {
        let (blob, secret) = make_credential(&other, &theirs.identity().ek_public, name(object));
        let refused = tpm.activate_credential(&blob, &secret);
        assert!(matches!(refused, Err(TpmError::CredentialRefused { .. })), "{refused:?}");
    }
    assert_activates(&host, &tpm);
    assert_eq!(host.loaded(), (0, 2));
}

#[test]
fn the_attestation_key_vouches_for_the_tls_key() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let certified = tpm.certify_tls_key([3; 32]).unwrap();

    verify(&tpm.identity().ak_public, &certified.attest, &certified.signature);
    let (kind, extra_data, attested) = parse_attest(&certified.attest);
    assert_eq!((kind, extra_data), (0x8017, [3; 32].as_slice()));
    assert_eq!(sized(attested).0, name(&tpm.identity().tls_public));
}

#[test]
fn a_quote_is_over_the_values_that_come_with_it() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    host.swtpm.extend_pcr(7, [1; 32]).unwrap();
    host.swtpm.extend_pcr(16, [2; 32]).unwrap();

    let all: Vec<u8> = (0..24).collect();
    for (asked, bitmap) in [(&[16, 0, 7, 7][..], [0x81, 0x00, 0x01]), (&all, [0xFF; 3]), (&[23], [0, 0, 0x80])] {
        let quote = tpm.quote([9; 32], asked).unwrap();
        verify(&tpm.identity().ak_public, &quote.attest, &quote.signature);
        let (kind, extra_data, attested) = parse_attest(&quote.attest);
        assert_eq!((kind, extra_data), (0x8018, [9; 32].as_slice()));
        // one bank, SHA-256, three octets
        let (selection, digest) = attested.split_at(10);
        assert_eq!(selection, [&[0, 0, 0, 1, 0, 0x0B, 3], &bitmap[..]].concat());
        let values: Vec<u8> = quote.pcr_values.iter().flat_map(|(_, value)| *value).collect();
        assert_eq!(sized(digest).0, Sha256::digest(values).as_slice());

        let mut expected = asked.to_vec();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(quote.pcr_values.iter().map(|(index, _)| *index).collect::<Vec<_>>(), expected);
        for (index, value) in quote.pcr_values {
            assert_eq!(value, host.swtpm.read_pcr(index).unwrap(), "PCR {index}");
        }
    }
    assert!(matches!(tpm.quote([0; 32], &[]), Err(TpmError::Selection { .. })));
    assert!(matches!(tpm.quote([0; 32], &[24]), Err(TpmError::Selection { .. })));
}

/// A session that is left behind with each quote would end them after some hours, when the TPM has no context left.
#[test]
fn case_74_ten_thousand_quotes_leave_nothing_loaded() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    for round in 0..10_000_u16 {
        let mut qualifying = [0; 32];
        qualifying[..2].copy_from_slice(&round.to_be_bytes());
        tpm.quote(qualifying, &[0, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    }
    assert_eq!(host.loaded(), (0, 2), "the attestation and the TLS key, nothing else");
    assert_activates(&host, &tpm);
    drop(tpm);
    assert_eq!(host.loaded(), (0, 0));
}

#[test]
fn quotes_hold_while_pcrs_change() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    std::thread::scope(|scope| {
        let quoting = scope.spawn(|| {
            for _ in 0..200 {
                match tpm.quote([0; 32], &[0, 16]) {
                    Ok(quote) => verify(&tpm.identity().ak_public, &quote.attest, &quote.signature),
                    Err(TpmError::PcrsChanging { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        while !quoting.is_finished() {
            host.swtpm.extend_pcr(16, [1; 32]).unwrap();
        }
    });
    tpm.quote([0; 32], &[0, 16]).unwrap();
}

/// Panics unless the TPM opens a credential made for its attestation key.
pub(crate) fn assert_activates(host: &Host, tpm: &Tpm) {
    let identity = tpm.identity();
    let (blob, secret) = make_credential(host, &identity.ek_public, name(&identity.ak_public));
    let opened = tpm.activate_credential(&blob, &secret).unwrap();
    assert_eq!(opened.expose(), SECRET);
    assert!(!format!("{opened:?}").contains("94"), "no secret in Debug");
}

/// A credential as some controller would make it; here by libtss2's own TPM2_MakeCredential, which needs no secret of
/// the TPM.
fn make_credential(host: &Host, ek_public: &[u8], object: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let mut context = host.context();
    let ek = context.load_external_public(Public::unmarshall(sized(ek_public).0).unwrap(), Hierarchy::Null).unwrap();
    let (secret, name) = (Digest::try_from(SECRET.as_slice()).unwrap(), Name::try_from(object).unwrap());
    let (blob, encrypted) = context.make_credential(ek, secret, name).unwrap();
    (blob.value().to_vec(), encrypted.value().to_vec())
}
