//! Public areas: what parses, and which keys are accepted for what.

use flota_attest::public::{Public, QualifiedName};
use flota_attest::rules::{
    AK_ATTRIBUTES, EkRejection, TLS_ATTRIBUTES, check_ak_public, check_ek_public, check_tls_public,
};

use crate::golden::golden;
use crate::soft_tpm::{self, EK_ATTRIBUTES, EccPublic, Host, POLICY_A, SHA1, SoftKey, rsa_public, tpm2b};

const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const FIXED_TPM: u32 = 1 << 1;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;

#[test]
fn accepts_the_keys_an_agent_makes() {
    let host = Host::new();
    assert_eq!(check_ek_public(&host.ek, host.ek.spki_der()), Ok(()));
    assert_eq!(check_ak_public(&host.ak), Ok(()));
    assert_eq!(check_tls_public(&host.tls), Ok(()));
    assert_eq!(AK_ATTRIBUTES.bits(), soft_tpm::AK_ATTRIBUTES);
    assert_eq!(TLS_ATTRIBUTES.bits(), soft_tpm::TLS_ATTRIBUTES);
    assert_eq!(Public::parse_2b(&host.ak.to_2b()).unwrap(), host.ak);
}

#[test]
fn refuses_an_ak_that_could_sign_a_forged_quote() {
    type Lie = fn(&mut EccPublic);
    let lies: &[(u8, &str, Lie, &str)] = &[
        (9, "unrestricted", |p| p.attributes &= !RESTRICTED, "ak_attrs"),
        (10, "may leave its TPM", |p| p.attributes &= !FIXED_TPM, "ak_attrs"),
        (11, "imported", |p| p.attributes &= !SENSITIVE_DATA_ORIGIN, "ak_attrs"),
        (12, "decrypts", |p| p.attributes |= DECRYPT, "ak_attrs"),
        (12, "an undefined attribute", |p| p.attributes |= 1 << 31, "ak_attrs"),
        (13, "no scheme", |p| p.scheme = vec![0x0010], "ak_scheme"),
        (13, "SHA-1", |p| p.scheme = vec![0x0018, SHA1], "ak_scheme"),
        (13, "SHA-384", |p| p.scheme = vec![0x0018, 0x000c], "ak_scheme"),
        (13, "a cipher", |p| p.symmetric = vec![0x0006, 128, 0x0043], "ak_symmetric"),
    ];
    let key = SoftKey::generate();
    for (number, what, lie, code) in lies {
        let mut public = EccPublic::signing(&key, soft_tpm::AK_ATTRIBUTES);
        lie(&mut public);
        assert_eq!(check_ak_public(&public.parse()).unwrap_err().code(), *code, "{number}: {what}");
    }
}

#[test]
fn refuses_an_rsa_ak_that_is_short_or_pads_otherwise() {
    let modulus = golden_modulus();
    let ak = |scheme: u8, modulus: &[u8]| {
        let parameters = [0x00, 0x10, 0x00, scheme, 0x00, 0x0b];
        Public::parse_2b(&rsa_public(soft_tpm::AK_ATTRIBUTES, &[], &parameters, modulus)).unwrap()
    };
    assert_eq!(check_ak_public(&ak(0x14, &modulus)), Ok(()));
    assert_eq!(check_ak_public(&ak(0x16, &modulus)).unwrap_err().code(), "ak_scheme");
    let mut short = modulus[..128].to_vec();
    short[127] |= 1;
    assert_eq!(check_ak_public(&ak(0x14, &short)).unwrap_err().code(), "ak_key");
}

#[test]
fn refuses_a_tls_key_that_is_restricted_or_portable() {
    let lies: &[(u8, &str, u32, &str)] = &[
        (23, "restricted", soft_tpm::TLS_ATTRIBUTES | RESTRICTED, "tls_attrs"),
        (23, "exportable", soft_tpm::TLS_ATTRIBUTES & !FIXED_TPM, "tls_attrs"),
        (23, "imported", soft_tpm::TLS_ATTRIBUTES & !SENSITIVE_DATA_ORIGIN, "tls_attrs"),
        (23, "decrypts", soft_tpm::TLS_ATTRIBUTES | DECRYPT, "tls_attrs"),
    ];
    let key = SoftKey::generate();
    for (number, what, attributes, code) in lies {
        let public = EccPublic::signing(&key, *attributes).parse();
        assert_eq!(check_tls_public(&public).unwrap_err().code(), *code, "{number}: {what}");
    }
    let no_scheme = EccPublic { scheme: vec![0x0010], ..EccPublic::signing(&key, soft_tpm::TLS_ATTRIBUTES) };
    assert_eq!(check_tls_public(&no_scheme.parse()).unwrap_err().code(), "tls_scheme");
}

#[test]
fn refuses_an_ek_that_departs_from_its_template() {
    type Lie = fn(&mut EccPublic);
    let lies: &[(u8, &str, Lie, &str)] = &[
        (8, "attributes of no template", |p| p.attributes |= 1 << 10, "ek_attrs"),
        (8, "high-range attributes with the low-range policy", |p| p.attributes |= 1 << 6, "ek_policy"),
        (8, "no policy", |p| p.policy.clear(), "ek_policy"),
        (8, "another policy", |p| p.policy[0] ^= 1, "ek_policy"),
        (8, "AES-256 in a SHA-256 template", |p| p.symmetric[1] = 256, "ek_symmetric"),
        (8, "no cipher", |p| p.symmetric = vec![0x0010], "ek_symmetric"),
        (8, "a signing scheme", |p| p.scheme = vec![0x0018, 0x000b], "ek_scheme"),
        (8, "SHA-384 name", |p| (p.name_alg, p.policy) = (0x000c, vec![0; 48]), "ek_name_alg"),
    ];
    let key = SoftKey::generate();
    for (number, what, lie, code) in lies {
        let mut public = EccPublic::endorsement(&key);
        lie(&mut public);
        let ek = public.parse();
        assert_eq!(check_ek_public(&ek, ek.spki_der()).unwrap_err().code(), *code, "{number}: {what}");
    }
}

/// 7.
#[test]
fn refuses_an_ek_that_is_not_the_certified_key() {
    let (host, other) = (Host::new(), Host::new());
    let spki = other.ek.spki_der();
    assert_eq!(check_ek_public(&host.ek, spki), Err(EkRejection::KeyMismatch));
    assert_eq!(check_ek_public(&host.ek, &[]), Err(EkRejection::KeyMismatch));
    assert_eq!(check_ek_public(&host.ek, &[host.ek.spki_der(), &[0]].concat()), Err(EkRejection::KeyMismatch));
}

#[test]
fn an_rsa_ek_may_be_certified_for_oaep() {
    let modulus = golden_modulus();
    let symmetric_scheme = [0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10];
    let policy = hex::decode(POLICY_A).unwrap();
    let ek = Public::parse_2b(&rsa_public(EK_ATTRIBUTES, &policy, &symmetric_scheme, &modulus)).unwrap();
    let mut spki = ek.spki_der().to_vec();
    assert_eq!(check_ek_public(&ek, &spki), Ok(()));
    // rsaEncryption 1.2.840.113549.1.1.1 becomes id-RSAES-OAEP 1.2.840.113549.1.1.7.
    assert_eq!(spki[6..17], hex::decode("06092a864886f70d010101").unwrap());
    spki[16] = 7;
    assert_eq!(check_ek_public(&ek, &spki), Ok(()));
    spki[16] = 10;
    assert_eq!(check_ek_public(&ek, &spki), Err(EkRejection::KeyMismatch));
    let mut other = ek.spki_der().to_vec();
    other[40] ^= 1;
    assert_eq!(check_ek_public(&ek, &other), Err(EkRejection::KeyMismatch));
}

#[test]
fn a_public_area_that_parses_is_a_valid_key() {
    type Lie = fn(&mut EccPublic);
    let lies: &[(&str, Lie)] = &[
        ("point off the curve", |p| p.y[31] ^= 1),
        ("point at infinity", |p| (p.x, p.y) = (Vec::new(), Vec::new())),
        ("coordinate too wide", |p| p.x = vec![1; 33]),
        ("13: P-192", |p| p.curve = 0x0001),
        ("SHA-1 name", |p| p.name_alg = SHA1),
        ("policy of the wrong size", |p| p.policy = vec![0; 20]),
        ("AES-192", |p| p.symmetric = vec![0x0006, 192, 0x0043]),
        ("CTR", |p| p.symmetric = vec![0x0006, 128, 0x0040]),
    ];
    let key = SoftKey::generate();
    let good = EccPublic::signing(&key, soft_tpm::AK_ATTRIBUTES);
    for (what, lie) in lies {
        let mut public = good.clone();
        lie(&mut public);
        assert!(Public::parse_2b(&public.marshal()).is_err(), "{what}");
    }
    let bytes = good.marshal();
    for cut in 0..bytes.len() {
        assert!(Public::parse_2b(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    assert!(Public::parse_2b(&[&bytes[..], &[0]].concat()).is_err(), "6: a byte after the structure");
    assert!(Public::parse_2b(&tpm2b(&[&bytes[2..], &[0]].concat())).is_err(), "6: a byte inside the size");
}

#[test]
fn a_stripped_coordinate_is_the_same_key_under_another_name() {
    let key = std::iter::repeat_with(SoftKey::generate)
        .take(10_000)
        .find(|key| key.coordinates().0[0] == 0)
        .expect("a short coordinate among 10,000 keys");
    let padded = EccPublic::signing(&key, soft_tpm::AK_ATTRIBUTES);
    let stripped = EccPublic { x: padded.x[1..].to_vec(), ..padded.clone() }.parse();
    let padded = padded.parse();
    assert_eq!(padded.spki_der(), stripped.spki_der());
    assert_ne!(padded.name(), stripped.name());
}

#[test]
fn a_qualified_name_depends_on_every_ancestor() {
    let (host, other) = (Host::new(), Host::new());
    let root = QualifiedName::endorsement_root();
    assert_eq!(root.as_bytes(), [0x40, 0, 0, 0x0b]);
    let under = |ek: &Public| host.ak.qualified_name(&ek.qualified_name(&root));
    assert_eq!(under(&host.ek), host.ak_qn);
    assert_ne!(under(&other.ek), host.ak_qn);
    assert_ne!(host.ak.qualified_name(&root), host.ak_qn);
}

fn golden_modulus() -> Vec<u8> {
    let public = golden("ak.pub");
    public[public.len() - 256..].to_vec()
}
