//! Every structure that libtss2 hands out, read by the controller's parser as well: the same fields, and the same bytes
//! when it is written again.

use flota_attest::attest::{Attest, Attested};
use flota_attest::public::{KeyKind, Public as Parsed, PublicKey, Scheme, Symmetric};
use flota_tpm::{AttestationKind, EndorsementKind, KeyChoice};
use tss_esapi::structures::{Attest as Theirs, AttestInfo, Public, Signature};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};

use crate::bench::{Host, sized};
use crate::controller::Record;
use crate::raw::{self, SHA1, SHA256, tpm2b};

fn every_choice() -> impl Iterator<Item = KeyChoice> {
    let endorsement = [EndorsementKind::Rsa2048, EndorsementKind::P384];
    let attestation = [AttestationKind::P256, AttestationKind::Rsa2048];
    endorsement
        .into_iter()
        .flat_map(move |ek| attestation.map(|ak| KeyChoice { endorsement: Some(ek), attestation: Some(ak) }))
}

#[test]
fn public_areas_are_read_alike_and_written_alike() {
    let host = Host::new();
    for choice in every_choice() {
        let tpm = host.open_choosing(choice).unwrap();
        let identity = tpm.identity();
        for bytes in [&identity.ek_public, &identity.ak_public, &identity.tls_public] {
            let theirs = Public::unmarshall(sized(bytes).0).unwrap();
            let ours = Parsed::parse_2b(bytes).unwrap();
            assert_same_public(&ours, &theirs);
            assert_eq!(&write_public(&ours), bytes, "from its fields");
            assert_eq!(&ours.to_2b(), bytes);
            assert_eq!(tpm2b(&theirs.marshall().unwrap()), *bytes);
        }
        assert_same_names(&host, &Record::of(&tpm));
        drop(tpm);
        host.forget_keys();
    }
}

#[test]
fn quotes_are_read_alike_and_written_alike() {
    let host = Host::new();
    for choice in every_choice() {
        let tpm = host.open_choosing(choice).unwrap();
        let record = Record::of(&tpm);
        let ak = raw::handle(&host.swtpm, &record.ak.to_2b());
        let selections: [&[(u16, &[u8])]; 6] = [
            &[(SHA256, &[1, 0, 0])],
            &[(SHA256, &[0xFF; 3])],
            &[(SHA256, &[0, 0, 0x80])],
            &[(SHA1, &[1, 0, 0])],
            &[(SHA256, &[1, 2, 4]), (SHA256, &[4, 2, 1])],
            &[],
        ];
        for (length, selection) in selections.iter().enumerate() {
            let qualifying = vec![0xA5; length * 12];
            let (attest, signature) = raw::quote(&host.swtpm, ak, &qualifying, selection);
            assert_same_attestation(&attest);
            assert_same_signature(&record, &attest, &signature);
        }
        drop(tpm);
        host.forget_keys();
    }
}

#[test]
fn certifications_are_read_alike_and_written_alike() {
    let host = Host::new();
    for choice in every_choice() {
        let tpm = host.open_choosing(choice).unwrap();
        let record = Record::of(&tpm);
        let certified = tpm.certify_tls_key([7; 32]).unwrap();
        assert_same_attestation(&certified.attest);
        assert_same_signature(&record, &certified.attest, &certified.signature);
        drop(tpm);
        host.forget_keys();
    }
}

fn assert_same_public(ours: &Parsed, theirs: &Public) {
    assert_eq!(ours.attributes().bits(), theirs.object_attributes().0);
    assert_eq!(ours.name_alg().id(), u16::from(theirs.name_hashing_algorithm()));
    assert_eq!(ours.auth_policy(), theirs.auth_policy().value());
    match (ours.key(), theirs) {
        (PublicKey::Rsa { modulus }, Public::Rsa { unique, parameters, .. }) => {
            assert_eq!(modulus, unique.value());
            assert_eq!(ours.key().kind(), KeyKind::Rsa { bits: usize::from(u16::from(parameters.key_bits())) });
        }
        (PublicKey::Ecc { x, y, .. }, Public::Ecc { unique, .. }) => {
            assert_eq!((&x[..], &y[..]), (unique.x().value(), unique.y().value()));
        }
        other => panic!("another type of key: {other:?}"),
    }
}

/// The TPM's own words: it names objects itself.
fn assert_same_names(host: &Host, record: &Record) {
    let mut context = host.context();
    for (key, qualified) in [(&record.ak, &record.ak_name), (&record.tls, &record.tls_name)] {
        let handle = tss_esapi::handles::TpmHandle::try_from(raw::handle(&host.swtpm, &key.to_2b())).unwrap();
        let object = context.tr_from_tpm_public(handle).unwrap();
        let (_, name, qualified_name) = context.read_public(object.into()).unwrap();
        assert_eq!(key.name().as_bytes(), name.value());
        assert_eq!(qualified.as_bytes(), qualified_name.value());
    }
}

fn assert_same_attestation(bytes: &[u8]) {
    let theirs = Theirs::unmarshall(bytes).unwrap();
    let ours = Attest::parse(bytes).unwrap();
    assert_eq!(ours.qualified_signer, theirs.qualified_signer().value());
    assert_eq!(ours.extra_data, theirs.extra_data().value());
    let clock = theirs.clock_info();
    assert_eq!((ours.clock.clock, ours.clock.reset_count), (clock.clock(), clock.reset_count()));
    assert_eq!((ours.clock.restart_count, ours.clock.safe), (clock.restart_count(), clock.safe()));
    assert_eq!(ours.firmware_version, theirs.firmware_version());
    match (&ours.body, theirs.attested()) {
        (Attested::Quote { selections, pcr_digest }, AttestInfo::Quote { info }) => {
            assert_eq!(*pcr_digest, info.pcr_digest().value());
            let listed = info.pcr_selection().get_selections();
            assert_eq!(selections.len(), listed.len());
            for (ours, theirs) in selections.iter().zip(listed) {
                assert_eq!(ours.bank, u16::from(theirs.hashing_algorithm()));
                let bitmap = theirs.selected().into_iter().fold(0, |bits, slot| bits | u64::from(u32::from(slot)));
                assert_eq!(ours.bitmap, bitmap);
            }
        }
        (Attested::Certify { name, qualified_name }, AttestInfo::Certify { info }) => {
            assert_eq!((*name, *qualified_name), (info.name().value(), info.qualified_name().value()));
        }
        other => panic!("another type of attestation: {other:?}"),
    }
    assert_eq!(write_attestation(&ours), bytes, "from its fields");
    assert_eq!(theirs.marshall().unwrap(), bytes);
}

fn assert_same_signature(record: &Record, message: &[u8], bytes: &[u8]) {
    let theirs = Signature::unmarshall(bytes).unwrap();
    let written = match &theirs {
        Signature::EcDsa(signature) => {
            let (r, s) = (signature.signature_r().value(), signature.signature_s().value());
            [&[0, 0x18, 0, 0x0B][..], &tpm2b(r), &tpm2b(s)].concat()
        }
        Signature::RsaSsa(signature) => [&[0, 0x14, 0, 0x0B][..], &tpm2b(signature.signature().value())].concat(),
        other => panic!("another type of signature: {other:?}"),
    };
    assert_eq!(written, bytes, "from its fields");
    assert_eq!(theirs.marshall().unwrap(), bytes);
    flota_attest::signature::verify(&record.ak, message, &written).unwrap();
}

/// TPM2B_PUBLIC from what the controller's parser kept of it.
fn write_public(public: &Parsed) -> Vec<u8> {
    let symmetric: &[u8] = match public.symmetric() {
        Symmetric::Null => &[0, 0x10],
        Symmetric::Aes128Cfb => &[0, 6, 0, 128, 0, 0x43],
        Symmetric::Aes256Cfb => &[0, 6, 1, 0, 0, 0x43],
    };
    let scheme: &[u8] = match public.scheme() {
        Scheme::Null => &[0, 0x10],
        Scheme::RsaSsa(_) => &[0, 0x14, 0, 0x0B],
        Scheme::Ecdsa(_) => &[0, 0x18, 0, 0x0B],
        Scheme::RsaPss(_) => panic!("no key of ours"),
    };
    let (kind, key) = match (public.key(), public.key().kind()) {
        (PublicKey::Rsa { modulus }, KeyKind::Rsa { bits }) => {
            let bits = u16::try_from(bits).unwrap().to_be_bytes();
            (1_u16, [&bits[..], &[0; 4], &tpm2b(modulus)].concat())
        }
        (PublicKey::Ecc { x, y, .. }, KeyKind::Ecc(curve)) => {
            let id = if curve.coordinate_bytes() == 32 { 3 } else { 4 };
            (0x23, [&[0, id, 0, 0x10][..], &tpm2b(x), &tpm2b(y)].concat())
        }
        _ => panic!("a key of another type than itself"),
    };
    tpm2b(
        &[
            &kind.to_be_bytes()[..],
            &public.name_alg().id().to_be_bytes(),
            &public.attributes().bits().to_be_bytes(),
            &tpm2b(public.auth_policy()),
            symmetric,
            scheme,
            &key,
        ]
        .concat(),
    )
}

/// TPMS_ATTEST from what the controller's parser kept of it.
fn write_attestation(attest: &Attest<'_>) -> Vec<u8> {
    let (kind, body) = match &attest.body {
        Attested::Quote { selections, pcr_digest } => {
            let mut body = u32::try_from(selections.len()).unwrap().to_be_bytes().to_vec();
            for selection in selections {
                body.extend(selection.bank.to_be_bytes());
                body.push(selection.select_bytes);
                body.extend(&selection.bitmap.to_le_bytes()[..usize::from(selection.select_bytes)]);
            }
            body.extend(tpm2b(pcr_digest));
            (0x8018_u16, body)
        }
        Attested::Certify { name, qualified_name } => (0x8017, [tpm2b(name), tpm2b(qualified_name)].concat()),
    };
    [
        &[0xFF, b'T', b'C', b'G'][..],
        &kind.to_be_bytes(),
        &tpm2b(attest.qualified_signer),
        &tpm2b(attest.extra_data),
        &attest.clock.clock.to_be_bytes(),
        &attest.clock.reset_count.to_be_bytes(),
        &attest.clock.restart_count.to_be_bytes(),
        &[u8::from(attest.clock.safe)],
        &attest.firmware_version.to_be_bytes(),
        &body,
    ]
    .concat()
}
