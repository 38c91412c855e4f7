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
const FIXED_PARENT: u32 = 1 << 4;
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

type Lie = fn(&mut EccPublic);

/// Attestation keys of another make than the agent's.
fn refuses_ak(lies: &[(&str, Lie, &str)]) {
    let key = SoftKey::generate();
    for (what, lie, code) in lies {
        let mut public = EccPublic::signing(&key, soft_tpm::AK_ATTRIBUTES);
        lie(&mut public);
        assert_eq!(check_ak_public(&public.parse()).unwrap_err().code(), *code, "{what}");
    }
}

#[test]
fn case_07_an_ek_that_is_not_the_certified_key_is_refused() {
    let (host, other) = (Host::new(), Host::new());
    let spki = other.ek.spki_der();
    assert_eq!(check_ek_public(&host.ek, spki), Err(EkRejection::KeyMismatch));
    assert_eq!(check_ek_public(&host.ek, &[]), Err(EkRejection::KeyMismatch));
    assert_eq!(check_ek_public(&host.ek, &[host.ek.spki_der(), &[0]].concat()), Err(EkRejection::KeyMismatch));
}

#[test]
fn case_08_an_ek_that_departs_from_its_template_is_refused() {
    let lies: &[(&str, Lie, &str)] = &[
        ("attributes of no template", |p| p.attributes |= 1 << 10, "ek_attrs"),
        ("high-range attributes with the low-range policy", |p| p.attributes |= 1 << 6, "ek_policy"),
        ("no policy", |p| p.policy.clear(), "ek_policy"),
        ("another policy", |p| p.policy[0] ^= 1, "ek_policy"),
        ("AES-256 in a SHA-256 template", |p| p.symmetric[1] = 256, "ek_symmetric"),
        ("no cipher", |p| p.symmetric = vec![0x0010], "ek_symmetric"),
        ("a signing scheme", |p| p.scheme = vec![0x0018, 0x000b], "ek_scheme"),
        ("SHA-384 name", |p| (p.name_alg, p.policy) = (0x000c, vec![0; 48]), "ek_name_alg"),
    ];
    let key = SoftKey::generate();
    for (what, lie, code) in lies {
        let mut public = EccPublic::endorsement(&key);
        lie(&mut public);
        let ek = public.parse();
        assert_eq!(check_ek_public(&ek, ek.spki_der()).unwrap_err().code(), *code, "{what}");
    }
}

#[test]
fn case_09_an_unrestricted_ak_is_refused() {
    refuses_ak(&[("unrestricted", |p| p.attributes &= !RESTRICTED, "ak_attrs")]);
}

#[test]
fn case_10_an_ak_that_may_leave_its_tpm_is_refused() {
    refuses_ak(&[
        ("not fixedTPM", |p| p.attributes &= !FIXED_TPM, "ak_attrs"),
        ("not fixedParent", |p| p.attributes &= !FIXED_PARENT, "ak_attrs"),
        ("neither", |p| p.attributes &= !(FIXED_TPM | FIXED_PARENT), "ak_attrs"),
    ]);
}

#[test]
fn case_11_an_imported_ak_is_refused() {
    refuses_ak(&[("not sensitiveDataOrigin", |p| p.attributes &= !SENSITIVE_DATA_ORIGIN, "ak_attrs")]);
}

#[test]
fn case_12_an_ak_that_decrypts_is_refused() {
    refuses_ak(&[
        ("decrypt", |p| p.attributes |= DECRYPT, "ak_attrs"),
        ("an undefined attribute", |p| p.attributes |= 1 << 31, "ak_attrs"),
    ]);
}

#[test]
fn case_13_an_ak_without_a_strong_scheme_is_refused() {
    refuses_ak(&[
        ("no scheme", |p| p.scheme = vec![0x0010], "ak_scheme"),
        ("SHA-1", |p| p.scheme = vec![0x0018, SHA1], "ak_scheme"),
        ("SHA-384", |p| p.scheme = vec![0x0018, 0x000c], "ak_scheme"),
        ("a cipher", |p| p.symmetric = vec![0x0006, 128, 0x0043], "ak_symmetric"),
    ]);
}

#[test]
fn case_13_an_rsa_ak_that_is_short_or_pads_otherwise_is_refused() {
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
fn case_23_a_tls_key_that_is_restricted_or_portable_is_refused() {
    let lies: &[(&str, u32)] = &[
        ("restricted", soft_tpm::TLS_ATTRIBUTES | RESTRICTED),
        ("exportable", soft_tpm::TLS_ATTRIBUTES & !FIXED_TPM),
        ("imported", soft_tpm::TLS_ATTRIBUTES & !SENSITIVE_DATA_ORIGIN),
        ("decrypts", soft_tpm::TLS_ATTRIBUTES | DECRYPT),
    ];
    let key = SoftKey::generate();
    for (what, attributes) in lies {
        let public = EccPublic::signing(&key, *attributes).parse();
        assert_eq!(check_tls_public(&public).unwrap_err().code(), "tls_attrs", "{what}");
    }
    let no_scheme = EccPublic { scheme: vec![0x0010], ..EccPublic::signing(&key, soft_tpm::TLS_ATTRIBUTES) };
    assert_eq!(check_tls_public(&no_scheme.parse()).unwrap_err().code(), "tls_scheme");
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
    let lies: &[(&str, Lie)] = &[
        ("point off the curve", |p| p.y[31] ^= 1),
        ("point at infinity", |p| (p.x, p.y) = (Vec::new(), Vec::new())),
        ("coordinate too wide", |p| p.x = vec![1; 33]),
        ("P-192, case 13", |p| p.curve = 0x0001),
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
    assert!(Public::parse_2b(&[&bytes[..], &[0]].concat()).is_err(), "a byte after the structure");
    assert!(Public::parse_2b(&tpm2b(&[&bytes[2..], &[0]].concat())).is_err(), "a byte inside the size");
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
