use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::*;

/// `TPM2_ActivateCredential` from the recovered seed on, written against the specification and not against `protect`.
fn activate(seed: &[u8], ak_name: &[u8], blob: &[u8]) -> Option<Vec<u8>> {
    let (mac, encrypted) = blob[2..].split_at(32);
    let hmac_key = kdfa(NameAlg::Sha256, seed, "INTEGRITY", &[], 32);
    if mac != NameAlg::Sha256.hmac(&hmac_key, &[encrypted, ak_name]) {
        return None;
    }
    let key = UnboundCipherKey::new(&AES_128, &kdfa(NameAlg::Sha256, seed, "STORAGE", ak_name, 16)).unwrap();
    let mut plain = encrypted.to_vec();
    DecryptingKey::cfb128(key).unwrap().decrypt(&mut plain, DecryptionContext::Iv128([0; 16].into())).unwrap();
    let len = usize::from(u16::from_be_bytes([plain[0], plain[1]]));
    assert_eq!(plain.len(), len + 2);
    Some(plain[2..].to_vec())
}

/// An EK public area of template L-1 or L-2 around a key.
fn ek_2b(parameters_and_unique: &[&[u8]], kind: u16) -> Vec<u8> {
    let header = [&kind.to_be_bytes()[..], &[0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2, 0, 0]].concat();
    let symmetric = [0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10];
    let tpmt = [&header[..], &symmetric, &parameters_and_unique.concat()].concat();
    [&u16::try_from(tpmt.len()).unwrap().to_be_bytes()[..], &tpmt].concat()
}

fn ecc_ek(point: &[u8]) -> Public {
    let (x, y) = point[1..].split_at(32);
    Public::parse_2b(&ek_2b(&[&[0x00, 0x03, 0x00, 0x10], &tpm2b(x), &tpm2b(y)], 0x0023)).unwrap()
}

#[test]
fn an_rsa_ek_recovers_the_secret_and_only_for_the_named_key() {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let spki = private.public_key().as_der().unwrap();
    let (_, spki) = SubjectPublicKeyInfo::from_der(spki.as_ref()).unwrap();
    let Ok(Parsed::RSA(rsa)) = spki.parsed() else { panic!("an RSA key") };
    let modulus = &rsa.modulus[1..];
    let ek = Public::parse_2b(&ek_2b(&[&[0x08, 0x00, 0, 0, 0, 0], &tpm2b(modulus)], 0x0001)).unwrap();

    let secret = [7; 32];
    let credential = make_credential(&ek, ek.name(), &secret, &SystemRandom::new()).unwrap();
    assert_eq!((credential.credential_blob.len(), credential.encrypted_secret.len()), (68, 256));

    let private = OaepPrivateDecryptingKey::new(private).unwrap();
    let mut seed = vec![0; private.min_output_size()];
    let seed =
        private.decrypt(&OAEP_SHA256_MGF1SHA256, &credential.encrypted_secret, &mut seed, Some(b"IDENTITY\0")).unwrap();
    assert_eq!(activate(seed, ek.name().as_bytes(), &credential.credential_blob), Some(secret.to_vec()));
    assert_eq!(activate(seed, &[0; 34], &credential.credential_blob), None);
}

#[test]
fn an_ecc_ek_recovers_the_secret() {
    let private = PrivateKey::generate(&ECDH_P256).unwrap();
    let point = private.compute_public_key().unwrap();
    let ek = ecc_ek(point.as_ref());

    let credential = make_credential(&ek, ek.name(), b"short", &SystemRandom::new()).unwrap();
    let ephemeral = &credential.encrypted_secret;
    assert_eq!(ephemeral.len(), 68);
    let (x, y) = (&ephemeral[2..34], &ephemeral[36..]);
    let peer = UnparsedPublicKey::new(&ECDH_P256, [&[4][..], x, y].concat());
    let static_x = &point.as_ref()[1..33];
    let seed = agreement::agree(&private, peer, (), |z| Ok(kdfe(NameAlg::Sha256, z, x, static_x))).unwrap();
    assert_eq!(activate(&seed, ek.name().as_bytes(), &credential.credential_blob), Some(b"short".to_vec()));
}

#[test]
fn refuses_a_secret_that_a_tpm_would_refuse() {
    let private = PrivateKey::generate(&ECDH_P256).unwrap();
    let ek = ecc_ek(private.compute_public_key().unwrap().as_ref());
    for len in [0, 33] {
        assert_eq!(
            make_credential(&ek, ek.name(), &vec![0; len], &SystemRandom::new()),
            Err(CredentialError::SecretSize { len, max: 32 })
        );
    }
}
