//! A TPM vendor with keys of its own: certifies endorsement keys and writes certificates into a TPM.

use flota_attest::ek_chain::TrustRoots;
use flota_attest::public::{Public as Parsed, PublicKey};
use flota_tpm::EndorsementKind;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};
use tss_esapi::Context;
use tss_esapi::attributes::NvIndexAttributesBuilder;
use tss_esapi::handles::{NvIndexTpmHandle, PersistentTpmHandle, TpmHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::dynamic_handles::Persistent;
use tss_esapi::interface_types::resource_handles::{Hierarchy, NvAuth, Provision};
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{MaxNvBuffer, NvPublicBuilder, Public};
use tss_esapi::traits::{Marshall as _, UnMarshall as _};

use crate::bench::Host;
use crate::raw::tpm2b;

/// Root and intermediate.
pub(crate) struct Vendor {
    root: (CertificateParams, KeyPair),
    intermediate: (CertificateParams, KeyPair),
}

impl Vendor {
    pub(crate) fn new() -> Self {
        let ca = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            (params, KeyPair::generate().unwrap())
        };
        Self { root: ca("vendor root"), intermediate: ca("vendor intermediate") }
    }

    pub(crate) fn roots(&self) -> TrustRoots {
        TrustRoots::from_der([&self.root()[..], &self.intermediate()]).unwrap()
    }

    pub(crate) fn root(&self) -> Vec<u8> {
        self.root.0.self_signed(&self.root.1).unwrap().der().to_vec()
    }

    pub(crate) fn intermediate(&self) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.root.0, &self.root.1);
        self.intermediate.0.signed_by(&self.intermediate.1, &issuer).unwrap().der().to_vec()
    }

    /// An endorsement certificate of a key that is in no TPM.
    pub(crate) fn certificate_of_nobody(&self) -> Vec<u8> {
        self.certify(&KeyPair::generate().unwrap(), KeyUsagePurpose::KeyAgreement)
    }

    fn certificate_of(&self, ek: &Parsed) -> Vec<u8> {
        let usage = match ek.key() {
            PublicKey::Rsa { .. } => KeyUsagePurpose::KeyEncipherment,
            PublicKey::Ecc { .. } => KeyUsagePurpose::KeyAgreement,
        };
        self.certify(&Subject::of(ek), usage)
    }

    fn certify(&self, key: &impl PublicKeyData, usage: KeyUsagePurpose) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.not_after = date_time_ymd(9999, 12, 31);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![usage];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
        params.custom_extensions = vec![tpm_name()];
        let issuer = Issuer::from_params(&self.intermediate.0, &self.intermediate.1);
        params.signed_by(key, &issuer).unwrap().der().to_vec()
    }
}

/// Makes the TPM's endorsement key of this kind, and leaves a certificate of it where the TCG says.
pub(crate) fn endorse(host: &Host, vendor: &Vendor, kind: EndorsementKind) {
    let (template, index) = template(kind);
    let mut context = host.context();
    let created = context
        .execute_with_session(Some(AuthSession::Password), |context| {
            context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
        })
        .unwrap();
    context.flush_context(created.key_handle.into()).unwrap();
    let ek = Parsed::parse_2b(&tpm2b(&created.out_public.marshall().unwrap())).unwrap();
    write_index(host, index, &vendor.certificate_of(&ek));
}

/// Defines an NV index and writes it, unless there is nothing to write.
pub(crate) fn write_index(host: &Host, index: u32, certificate: &[u8]) {
    let attributes = NvIndexAttributesBuilder::new()
        .with_owner_write(true)
        .with_auth_read(true)
        .with_owner_read(true)
        .with_no_da(true)
        .build()
        .unwrap();
    let public = NvPublicBuilder::new()
        .with_nv_index(NvIndexTpmHandle::new(index).unwrap())
        .with_index_name_algorithm(HashingAlgorithm::Sha256)
        .with_index_attributes(attributes)
        .with_data_area_size(if certificate.is_empty() { 900 } else { certificate.len() })
        .build()
        .unwrap();
    let mut context = host.context();
    context.execute_with_session(Some(AuthSession::Password), |context| {
        let handle = context.nv_define_space(Provision::Owner, None, public).unwrap();
        for (part, offset) in certificate.chunks(512).zip((0..).step_by(512)) {
            let part = MaxNvBuffer::try_from(part).unwrap();
            context.nv_write(NvAuth::Owner, handle, part, offset).unwrap();
        }
    });
}

/// Removes an NV index, whoever defined it.
pub(crate) fn remove_certificate(host: &Host, index: u32) {
    let mut context = host.context();
    let handle = TpmHandle::NvIndex(NvIndexTpmHandle::new(index).unwrap());
    let handle = context.tr_from_tpm_public(handle).unwrap();
    let remove = |context: &mut Context, owner| {
        context.execute_with_session(Some(AuthSession::Password), |context| {
            context.nv_undefine_space(owner, handle.into())
        })
    };
    if remove(&mut context, Provision::Platform).is_err() {
        remove(&mut context, Provision::Owner).unwrap();
    }
}

/// Has the TPM no longer keep an object.
pub(crate) fn evict(host: &Host, handle: u32) {
    let mut context = host.context();
    let persistent = PersistentTpmHandle::new(handle).unwrap();
    let object = context.tr_from_tpm_public(TpmHandle::Persistent(persistent)).unwrap();
    context
        .execute_with_session(Some(AuthSession::Password), |context| {
            context.evict_control(Provision::Owner, object, Persistent::Persistent(persistent))
        })
        .unwrap();
}

/// Template and certificate's index from the tables of the EK Credential Profile 2.5, not from the code under test.
fn template(kind: EndorsementKind) -> (Public, u32) {
    const POLICY_A: &str = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
    const POLICY_B: &str = "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0";
    const POLICY_B_384: &str = "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba0969964615\
                                0f9fc000f3f80e12";
    let (rsa, ecc) = ([0, 1], [0, 0x23]);
    let (sha256, sha384) = ([0, 0x0B], [0, 0x0C]);
    let (low, high) = ([0, 3, 0, 0xB2], [0, 3, 0, 0xF2]);
    let (aes128, aes256) = ([0, 6, 0, 128, 0, 0x43, 0, 0x10], [0, 6, 1, 0, 0, 0x43, 0, 0x10]);
    let zeros = tpm2b(&[0; 32]);
    let curve = |id: u8, coordinate: &[u8]| [&[0, id, 0, 0x10][..], coordinate, coordinate].concat();
    let bits = |high: u8, low: u8| vec![high, low, 0, 0, 0, 0, 0, 0];
    let (kind, hash, attributes, policy, symmetric, key, index) = match kind {
        EndorsementKind::P256 => (ecc, sha256, low, POLICY_A, aes128, curve(3, &zeros), 0x01C0_000A),
        EndorsementKind::HighP256 => (ecc, sha256, high, POLICY_B, aes128, curve(3, &[0, 0]), 0x01C0_0014),
        EndorsementKind::P384 => (ecc, sha384, high, POLICY_B_384, aes256, curve(4, &[0, 0]), 0x01C0_0016),
        EndorsementKind::HighRsa2048 => (rsa, sha256, high, POLICY_B, aes128, bits(0x08, 0), 0x01C0_0012),
        EndorsementKind::Rsa3072 => (rsa, sha384, high, POLICY_B_384, aes256, bits(0x0C, 0), 0x01C0_001C),
        EndorsementKind::Rsa2048 | EndorsementKind::Rsa4096 => panic!("made by swtpm_setup, or not at all"),
    };
    let policy = tpm2b(&hex::decode(policy).unwrap());
    let area = [&kind[..], &hash, &attributes, &policy, &symmetric, &key].concat();
    (Public::unmarshall(&area).unwrap(), index)
}

/// A public key as rcgen takes it.
struct Subject {
    algorithm: &'static SignatureAlgorithm,
    bits: Vec<u8>,
}

impl Subject {
    fn of(ek: &Parsed) -> Self {
        match ek.key() {
            PublicKey::Rsa { .. } => {
                // SEQUENCE, AlgorithmIdentifier of rsaEncryption, BIT STRING header without unused bits: 4 + 15 + 5.
                Self { algorithm: &rcgen::PKCS_RSA_SHA256, bits: ek.spki_der()[24..].to_vec() }
            }
            PublicKey::Ecc { x, y, .. } => {
                let wide = x.len() == 48;
                let algorithm = if wide { &rcgen::PKCS_ECDSA_P384_SHA384 } else { &rcgen::PKCS_ECDSA_P256_SHA256 };
                Self { algorithm, bits: [&[4], &x[..], y].concat() }
            }
        }
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

/// The subject alternative name of an endorsement certificate: manufacturer, model and version of the TPM.
fn tpm_name() -> CustomExtension {
    let der = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat();
    let attributes: Vec<u8> = [(1, "id:464C4F54"), (2, "test"), (3, "id:00000001")]
        .iter()
        .flat_map(|(arc, value)| {
            let oid = der(0x06, &[0x67, 0x81, 0x05, 0x02, *arc]);
            der(0x31, &der(0x30, &[oid, der(0x0C, value.as_bytes())].concat()))
        })
        .collect();
    let name = der(0x30, &der(0xA4, &der(0x30, &attributes)));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], name);
    extension.set_criticality(true);
    extension
}
