//! Keys that a TPM makes or holds willingly and that the controller must not take: cases 9 to 13, 20, 21 and 23.

use aws_lc_rs::encoding::{AsBigEndian as _, EcPrivateKeyBin};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use flota_attest::public::Public as Parsed;
use flota_attest::rules::{check_ak_public, check_tls_public};
use flota_swtpm::SwtpmError;
use tss_esapi::Context;
use tss_esapi::abstraction::ak::{create_ak_2, load_ak};
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, KeyCustomization};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, SignatureSchemeAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::structures::{Private, Public};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};

use crate::bench::{Host, name};
use crate::controller::{NONCE, Record};
use crate::raw::{self, tpm2b};

/// The object has no password to be used with (TPM 2.0 part 2, 6.6.3).
const RC_AUTH_UNAVAILABLE: u32 = 0x12F;
const P256: AsymmetricAlgorithmSelection = AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256);

/// The agent's attributes, changed.
#[derive(Clone, Copy)]
struct Changed(fn(ObjectAttributesBuilder) -> ObjectAttributesBuilder);

impl KeyCustomization for Changed {
    fn attributes(&self, builder: ObjectAttributesBuilder) -> ObjectAttributesBuilder {
        (self.0)(builder.with_no_da(true))
    }
}

const UNCHANGED: Changed = Changed(|builder| builder);

/// Has the TPM make a key under its EK and load it, so that there is no doubt that such a key exists.
fn make(
    host: &Host,
    algorithm: AsymmetricAlgorithmSelection,
    hash: HashingAlgorithm,
    scheme: SignatureSchemeAlgorithm,
    changed: Changed,
) -> Vec<u8> {
    let mut context = host.context();
    let ek = ek(&mut context);
    let made = create_ak_2(&mut context, ek, hash, algorithm, scheme, None, changed).unwrap();
    let public = made.out_public.marshall().unwrap();
    load_ak(&mut context, ek, None, made.out_private, made.out_public).unwrap();
    tpm2b(&public)
}

fn ek(context: &mut Context) -> KeyHandle {
    let handle = PersistentTpmHandle::new(0x8101_0001).unwrap();
    ObjectHandle::into(context.tr_from_tpm_public(TpmHandle::Persistent(handle)).unwrap())
}

fn ak_refusal(public: &[u8]) -> &'static str {
    match Parsed::parse_2b(public) {
        Ok(key) => check_ak_public(&key).unwrap_err().code(),
        Err(error) => {
            assert!(error.to_string().contains("TPM2B_PUBLIC"), "{error}");
            "tpm_structure"
        }
    }
}

#[test]
fn cases_9_to_12_attestation_keys_with_other_attributes_are_refused() {
    let host = Host::new();
    let make = |changed| make(&host, P256, HashingAlgorithm::Sha256, SignatureSchemeAlgorithm::EcDsa, Changed(changed));
    let good = make(|builder| builder);
    check_ak_public(&Parsed::parse_2b(&good).unwrap()).unwrap();

    assert_eq!(ak_refusal(&make(|builder| builder.with_restricted(false))), "ak_attrs", "9: unrestricted");
    let portable = make(|builder| builder.with_fixed_tpm(false).with_fixed_parent(false));
    assert_eq!(ak_refusal(&portable), "ak_attrs", "10: may leave its TPM");
    assert_eq!(ak_refusal(&make(|builder| builder.with_no_da(false))), "ak_attrs", "may be locked by others");
    let policy = make(|builder| builder.with_admin_with_policy(true));
    assert_eq!(ak_refusal(&policy), "ak_attrs", "another attribute");
    assert_eq!(ak_refusal(&host.open().unwrap().identity().ek_public), "ak_attrs", "12: the EK, which decrypts");
}

/// The TPM takes in a key that was in software all along, and lets it quote.
#[test]
fn case_11_an_imported_attestation_key_is_refused() {
    let host = Host::new();
    let software = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let scalar: EcPrivateKeyBin<'_> = software.private_key().as_be_bytes().unwrap();
    // userWithAuth, noDA, restricted, sign; neither fixedTPM nor fixedParent nor sensitiveDataOrigin
    let area = public_area(&software, 0x0005_0440);
    // TPM2B_SENSITIVE: type, no password, no seed, the scalar
    let sensitive = tpm2b(&[&[0, 0x23, 0, 0, 0, 0][..], &tpm2b(scalar.as_ref())].concat());

    let mut context = host.context();
    let ek = ek(&mut context);
    let public = Public::unmarshall(&area).unwrap();
    let duplicate = Private::try_from(sensitive).unwrap();
    let private = import(&mut context, ek, public.clone(), duplicate);
    let ak = load_ak(&mut context, ek, None, private, public).unwrap();
    let handle = raw::handle(&host.swtpm, &tpm2b(&area));
    raw::quote(&host.swtpm, handle, &NONCE, &[(raw::SHA256, &[1, 0, 0])]);
    context.flush_context(ak.into()).unwrap();
    assert_eq!(ak_refusal(&tpm2b(&area)), "ak_attrs");
}

fn import(context: &mut Context, ek: KeyHandle, public: Public, duplicate: Private) -> Private {
    use tss_esapi::constants::SessionType;
    use tss_esapi::handles::{AuthHandle, SessionHandle};
    use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
    use tss_esapi::structures::{Digest, EncryptedSecret, Nonce, SymmetricDefinition, SymmetricDefinitionObject};
    let (aes, hash) = (SymmetricDefinition::AES_128_CFB, HashingAlgorithm::Sha256);
    let session = context.start_auth_session(None, None, None, SessionType::Policy, aes, hash).unwrap().unwrap();
    let policy = PolicySession::try_from(session).unwrap();
    context
        .execute_with_session(Some(AuthSession::Password), |context| {
            let (nonce, endorsement) = (Nonce::default(), AuthHandle::Endorsement);
            context.policy_secret(policy, endorsement, nonce, Digest::default(), Nonce::default(), None)
        })
        .unwrap();
    let private = context
        .execute_with_session(Some(session), |context| {
            let (secret, none) = (EncryptedSecret::default(), SymmetricDefinitionObject::Null);
            context.import(ek.into(), None, public, duplicate, secret, none)
        })
        .unwrap();
    context.flush_context(SessionHandle::from(session).into()).unwrap();
    private
}

#[test]
fn case_13_attestation_keys_of_weak_algorithms_are_refused() {
    use SignatureSchemeAlgorithm::{EcDsa, RsaPss, RsaSsa};
    let host = Host::new();
    let curve = AsymmetricAlgorithmSelection::Ecc;
    let rsa = AsymmetricAlgorithmSelection::Rsa;
    let (sha1, sha256) = (HashingAlgorithm::Sha1, HashingAlgorithm::Sha256);
    for (what, algorithm, hash, scheme, code) in [
        ("SHA-1", P256, sha1, EcDsa, "tpm_structure"),
        ("P-192", curve(EccCurve::NistP192), sha256, EcDsa, "tpm_structure"),
        ("P-224", curve(EccCurve::NistP224), sha256, EcDsa, "tpm_structure"),
        ("P-384", curve(EccCurve::NistP384), sha256, EcDsa, "ak_key"),
        ("RSA-1024", rsa(RsaKeyBits::Rsa1024), sha256, RsaSsa, "ak_key"),
        ("RSASSA-PSS", rsa(RsaKeyBits::Rsa2048), sha256, RsaPss, "ak_scheme"),
        ("SHA-384", P256, HashingAlgorithm::Sha384, EcDsa, "ak_scheme"),
    ] {
        assert_eq!(ak_refusal(&make(&host, algorithm, hash, scheme, UNCHANGED)), code, "{what}");
    }
}

#[test]
fn case_20_a_certification_of_another_key_of_the_same_tpm_is_refused() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let record = Record::of(&tpm);
    let ak = raw::handle(&host.swtpm, &record.ak.to_2b());
    let (attest, signature) = raw::certify(&host.swtpm, ak, ak, &NONCE).unwrap();
    assert_eq!(record.judge_certification(&attest, &signature).unwrap_err().code(), "certify_name", "the AK");
    // The TLS key that the host had before, of the same parent.
    let mut earlier = Record::of(&tpm);
    drop(tpm);
    host.forget_keys();
    let tpm = host.open().unwrap();
    earlier.ak = Record::of(&tpm).ak;
    earlier.ak_name = Record::of(&tpm).ak_name;
    let certified = tpm.certify_tls_key(NONCE).unwrap();
    let refused = earlier.judge_certification(&certified.attest, &certified.signature).unwrap_err();
    assert_eq!(refused.code(), "certify_name", "another TLS key");
}

/// The host chooses the qualifying data; whoever searches the certification for the name would find it there.
#[test]
fn case_20_a_name_in_the_qualifying_data_is_not_a_certified_name() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let record = Record::of(&tpm);
    let ak = raw::handle(&host.swtpm, &record.ak.to_2b());
    let wanted = name(&tpm.identity().tls_public);
    let (attest, signature) = raw::certify(&host.swtpm, ak, ak, &wanted).unwrap();
    assert!(attest.windows(wanted.len()).any(|window| window == wanted));
    let refused = record.judge_certification(&attest, &signature).unwrap_err();
    assert_eq!(refused.code(), "certify_qualifying_data");
}

#[test]
fn case_21_a_quote_and_the_time_are_no_certifications() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let record = Record::of(&tpm);
    let ak = raw::handle(&host.swtpm, &record.ak.to_2b());
    let quote = tpm.quote(NONCE, &[0]).unwrap();
    let refused = record.judge_certification(&quote.attest, &quote.signature).unwrap_err();
    assert_eq!(refused.code(), "certify_type");
    let (attest, signature) = raw::time(&host.swtpm, ak, &NONCE);
    assert_eq!(record.judge_certification(&attest, &signature).unwrap_err().code(), "certify_type");
    let certified = tpm.certify_tls_key(NONCE).unwrap();
    record.judge_certification(&certified.attest, &certified.signature).unwrap();
}

#[test]
fn case_23_tls_keys_with_other_attributes_are_refused() {
    let host = Host::new();
    let make = |changed| {
        let made = make(&host, P256, HashingAlgorithm::Sha256, SignatureSchemeAlgorithm::EcDsa, Changed(changed));
        Parsed::parse_2b(&made).unwrap()
    };
    check_tls_public(&make(|builder| builder.with_restricted(false))).unwrap();
    let restricted = make(|builder| builder);
    assert_eq!(check_tls_public(&restricted).unwrap_err().code(), "tls_attrs", "restricted");
    let portable = make(|builder| builder.with_restricted(false).with_fixed_tpm(false).with_fixed_parent(false));
    assert_eq!(check_tls_public(&portable).unwrap_err().code(), "tls_attrs", "exportable");
}

/// The public half of a software key can be loaded with any attributes, and looks like a key of the TPM. But it has no
/// password to use it with, so the TPM certifies nothing about it.
#[test]
fn case_23_a_software_key_that_poses_as_the_tpms_is_not_certified() {
    let host = Host::new();
    let tpm = host.open().unwrap();
    let software = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let area = public_area(&software, 0x0004_0472);
    check_tls_public(&Parsed::parse_2b(&tpm2b(&area)).unwrap()).unwrap();
    let mut context = host.context();
    context.load_external_public(Public::unmarshall(&area).unwrap(), Hierarchy::Null).unwrap();

    let mut record = Record::of(&tpm);
    let ak = raw::handle(&host.swtpm, &record.ak.to_2b());
    record.tls = Parsed::parse_2b(&tpm2b(&area)).unwrap();
    let ek_name = record.ek.qualified_name(&flota_attest::public::QualifiedName::endorsement_root());
    record.tls_name = record.tls.qualified_name(&ek_name);
    let posing = raw::handle(&host.swtpm, &tpm2b(&area));
    let refused = raw::certify(&host.swtpm, ak, posing, &NONCE).unwrap_err();
    assert!(matches!(refused, SwtpmError::Refused { code: RC_AUTH_UNAVAILABLE, .. }), "{refused}");
    // The best that it can have is the certification of the TPM's own key.
    let certified = tpm.certify_tls_key(NONCE).unwrap();
    let refused = record.judge_certification(&certified.attest, &certified.signature).unwrap_err();
    assert_eq!(refused.code(), "certify_name");
}

/// TPMT_PUBLIC of a P-256 key with ECDSA-SHA256.
fn public_area(key: &EcdsaKeyPair, attributes: u32) -> Vec<u8> {
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let parameters = [0, 0, 0, 0x10, 0, 0x18, 0, 0x0B, 0, 3, 0, 0x10];
    [&[0, 0x23, 0, 0x0B][..], &attributes.to_be_bytes(), &parameters, &tpm2b(x), &tpm2b(y)].concat()
}
