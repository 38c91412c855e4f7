//! EK certificates and their chains, made by a CA that errs on request.

use flota_attest::ek_chain::{TrustRoots, TrustRootsError, verify_ek_certificate};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber, date_time_ymd,
};

/// 2026-02-02.
const NOW: u64 = 1_770_000_000;
const NO_INTERMEDIATES: &[Vec<u8>] = &[];

/// A root, an intermediate under it and an EK to certify.
pub(crate) struct Pki {
    root_params: CertificateParams,
    root_key: KeyPair,
    intermediate_params: CertificateParams,
    intermediate_key: KeyPair,
    ek_key: KeyPair,
}

impl Pki {
    pub(crate) fn new() -> Self {
        Self {
            root_params: ca_params("TPM vendor root"),
            root_key: KeyPair::generate().unwrap(),
            intermediate_params: ca_params("TPM vendor intermediate"),
            intermediate_key: KeyPair::generate().unwrap(),
            ek_key: KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn roots(&self) -> TrustRoots {
        TrustRoots::from_der([&self.root()[..]]).unwrap()
    }

    fn root(&self) -> Vec<u8> {
        self.root_params.self_signed(&self.root_key).unwrap().der().to_vec()
    }

    fn intermediate(&self) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.root_params, &self.root_key);
        self.intermediate_params.signed_by(&self.intermediate_key, &issuer).unwrap().der().to_vec()
    }

    /// A proper EK certificate, issued by the intermediate.
    pub(crate) fn ek_certificate(&self) -> Vec<u8> {
        self.certify(&ek_params())
    }

    fn certify(&self, params: &CertificateParams) -> Vec<u8> {
        let issuer = Issuer::from_params(&self.intermediate_params, &self.intermediate_key);
        params.signed_by(&self.ek_key, &issuer).unwrap().der().to_vec()
    }

    /// The code of the refusal.
    fn refusal(&self, certificate: &[u8]) -> &'static str {
        verify_ek_certificate(certificate, &[self.intermediate()], &self.roots(), NOW).unwrap_err().code()
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// As swtpm's CA does it: no subject, a critical subject alternative name, no meaningful expiry.
fn ek_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from(4711_u64));
    params.not_after = date_time_ymd(9999, 12, 31);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
    params.custom_extensions = vec![tpm_san(&[(1, "id:00001014"), (2, "swtpm"), (3, "id:20191023")], true)];
    params
}

/// A subject alternative name holding one directory name with these TPM attributes (2.23.133.2.n).
fn tpm_san(attributes: &[(u8, &str)], critical: bool) -> CustomExtension {
    let set: Vec<u8> = attributes
        .iter()
        .flat_map(|(arc, value)| {
            let oid = der(0x06, &[0x67, 0x81, 0x05, 0x02, *arc]);
            der(0x31, &der(0x30, &[oid, der(0x0c, value.as_bytes())].concat()))
        })
        .collect();
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], der(0x30, &der(0xa4, &der(0x30, &set))));
    extension.set_criticality(critical);
    extension
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = u8::try_from(content.len()).unwrap();
    assert!(len < 128, "short form only");
    [&[tag, len][..], content].concat()
}

#[test]
fn accepts_a_proper_chain_and_reads_the_certificate() {
    let pki = Pki::new();
    let ek = verify_ek_certificate(&pki.ek_certificate(), &[pki.intermediate()], &pki.roots(), NOW).unwrap();
    assert_eq!(ek.spki_der, pki.ek_key.subject_public_key_info());
    assert_eq!(ek.serial, 4711_u16.to_be_bytes());
    assert_eq!(ek.issuer, "CN=TPM vendor intermediate");
    assert_eq!((&ek.manufacturer[..], &ek.model[..], &ek.version[..]), ("id:00001014", "swtpm", "id:20191023"));
}

#[test]
fn intermediates_of_the_bundle_need_not_be_sent() {
    let pki = Pki::new();
    let issuer = Issuer::from_params(&pki.root_params, &pki.root_key);
    let intermediate = pki.intermediate_params.signed_by(&pki.intermediate_key, &issuer).unwrap();
    let bundle = [pki.root_params.self_signed(&pki.root_key).unwrap().pem(), intermediate.pem()].concat();
    let roots = TrustRoots::from_pem(bundle.as_bytes()).unwrap();
    verify_ek_certificate(&pki.ek_certificate(), NO_INTERMEDIATES, &roots, NOW).unwrap();
}

#[test]
fn case_01_a_self_signed_ek_certificate_is_refused() {
    let pki = Pki::new();
    let self_signed = ek_params().self_signed(&pki.ek_key).unwrap();
    assert_eq!(pki.refusal(self_signed.der()), "ek_chain");
}

#[test]
fn case_02_an_ek_certificate_of_an_unknown_ca_is_refused() {
    let (pki, foreign) = (Pki::new(), Pki::new());
    assert_eq!(pki.refusal(&foreign.ek_certificate()), "ek_chain");
    let roots = pki.roots();
    let error =
        verify_ek_certificate(&foreign.ek_certificate(), &[foreign.intermediate(), foreign.root()], &roots, NOW);
    assert_eq!(error.unwrap_err().code(), "ek_chain", "a root that was sent along is not trusted");
    let error = verify_ek_certificate(&pki.ek_certificate(), NO_INTERMEDIATES, &roots, NOW);
    assert_eq!(error.unwrap_err().code(), "ek_chain", "the intermediate is missing");
}

#[test]
fn case_03_an_intermediate_that_may_not_issue_is_refused() {
    for is_ca in [IsCa::ExplicitNoCa, IsCa::NoCa] {
        let mut pki = Pki::new();
        pki.intermediate_params.is_ca = is_ca;
        assert_eq!(pki.refusal(&pki.ek_certificate()), "ek_chain");
    }
    let mut pki = Pki::new();
    pki.intermediate_params.key_usages = vec![KeyUsagePurpose::CrlSign];
    assert_eq!(pki.refusal(&pki.ek_certificate()), "ek_chain");
    pki.intermediate_params.key_usages = Vec::new();
    assert_eq!(pki.refusal(&pki.ek_certificate()), "ek_chain");
}

#[test]
fn case_03_a_path_longer_than_a_ca_allows_is_refused() {
    let mut pki = Pki::new();
    pki.intermediate_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let second_key = KeyPair::generate().unwrap();
    let second_params = ca_params("second intermediate");
    let issuer = Issuer::from_params(&pki.intermediate_params, &pki.intermediate_key);
    let second = second_params.signed_by(&second_key, &issuer).unwrap().der().to_vec();
    let issuer = Issuer::from_params(&second_params, &second_key);
    let ek = ek_params().signed_by(&pki.ek_key, &issuer).unwrap().der().to_vec();
    let error = verify_ek_certificate(&ek, &[pki.intermediate(), second], &pki.roots(), NOW).unwrap_err();
    assert_eq!(error.code(), "ek_chain");
}

#[test]
fn case_04_an_ek_certificate_outside_its_validity_is_refused() {
    let pki = Pki::new();
    let mut params = ek_params();
    params.not_after = date_time_ymd(2020, 1, 1);
    assert_eq!(pki.refusal(&pki.certify(&params)), "ek_cert_validity");
    params.not_before = date_time_ymd(2030, 1, 1);
    params.not_after = date_time_ymd(2031, 1, 1);
    assert_eq!(pki.refusal(&pki.certify(&params)), "ek_cert_validity");
}

/// Certificates that a trusted CA did issue, for something else.
#[test]
fn case_05_a_certificate_of_something_else_than_an_endorsement_key_is_refused() {
    type Lie = fn(&mut CertificateParams);
    let lies: &[(&str, Lie, &str)] = &[
        ("no extended key usage", |p| p.extended_key_usages.clear(), "ek_cert_eku"),
        ("a TLS server", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], "ek_cert_eku"),
        ("any usage", |p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], "ek_cert_eku"),
        ("no key usage", |p| p.key_usages.clear(), "ek_cert_key_usage"),
        ("RSA's key usage", |p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment], "ek_cert_key_usage"),
        ("a CA", |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "ek_chain"),
        ("no subject alternative name", |p| p.custom_extensions.clear(), "ek_cert_san"),
        (
            "a DNS name",
            |p| {
                p.custom_extensions.clear();
                p.subject_alt_names = vec![rcgen::SanType::DnsName("host.example".try_into().unwrap())];
            },
            "ek_cert_san",
        ),
        (
            "not critical beside an empty subject",
            |p| p.custom_extensions = vec![tpm_san(&[(1, "a"), (2, "b"), (3, "c")], false)],
            "ek_cert_san",
        ),
        ("no model", |p| p.custom_extensions = vec![tpm_san(&[(1, "a"), (3, "c")], true)], "ek_cert_san"),
        (
            "two models",
            |p| p.custom_extensions = vec![tpm_san(&[(1, "a"), (2, "b"), (2, "b"), (3, "c")], true)],
            "ek_cert_san",
        ),
        (
            "a line break in a model",
            |p| p.custom_extensions = vec![tpm_san(&[(1, "a"), (2, "b\nok"), (3, "c")], true)],
            "ek_cert_san",
        ),
    ];
    let pki = Pki::new();
    for (what, lie, code) in lies {
        let mut params = ek_params();
        lie(&mut params);
        assert_eq!(pki.refusal(&pki.certify(&params)), *code, "{what}");
    }
}

#[test]
fn case_06_trailing_bytes_truncation_and_size_are_refused() {
    let pki = Pki::new();
    let certificate = pki.ek_certificate();
    assert_eq!(pki.refusal(&[&certificate[..], &[0]].concat()), "ek_cert_der");
    for cut in 0..certificate.len() {
        assert_eq!(pki.refusal(&certificate[..cut]), "ek_cert_der", "cut at {cut}");
    }
    assert_eq!(pki.refusal(&vec![0x30; 9000]), "ek_cert_der");
    let error = verify_ek_certificate(&certificate, &vec![pki.intermediate(); 9], &pki.roots(), NOW).unwrap_err();
    assert_eq!(error.code(), "ek_chain_size");
}

#[test]
fn case_06_one_flipped_bit_breaks_the_chain() {
    let pki = Pki::new();
    let (certificate, intermediate, roots) = (pki.ek_certificate(), [pki.intermediate()], pki.roots());
    for bit in (0..certificate.len() * 8).step_by(3) {
        let mut flipped = certificate.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(verify_ek_certificate(&flipped, &intermediate, &roots, NOW).is_err(), "bit {bit}");
    }
}

#[test]
fn a_bundle_needs_a_root_and_only_cas() {
    let pki = Pki::new();
    let (root, intermediate, ek) = (pki.root(), pki.intermediate(), pki.ek_certificate());
    let of = |certificates: &[&[u8]]| TrustRoots::from_der(certificates.iter().copied());
    assert!(matches!(of(&[]), Err(TrustRootsError::NoRoot)));
    assert!(matches!(of(&[&intermediate]), Err(TrustRootsError::NoRoot)));
    assert!(matches!(of(&[&root, &ek]), Err(TrustRootsError::NotACa { index: 1 })));
    let self_signed = ek_params().self_signed(&pki.ek_key).unwrap();
    assert!(matches!(of(&[self_signed.der()]), Err(TrustRootsError::NotACa { index: 0 })));
    assert!(matches!(of(&[&root[..9]]), Err(TrustRootsError::Certificate { index: 0 })));
    assert!(matches!(TrustRoots::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA"), Err(TrustRootsError::Pem(_))));
}
