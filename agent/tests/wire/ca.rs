//! The fleet's CA, as far as hosts can tell.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

/// The host of all these tests.
pub(crate) const HOST_ID: &str = "0123456789abcdef";

pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) certificate: CertificateDer<'static>,
}

/// How long a client certificate is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Day,
    Over,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), pem, certificate: der }
    }

    /// Certificate and key of the listeners, PEM.
    pub(crate) fn server(&self) -> (CertificateDer<'static>, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key.serialize_pem())
    }

    /// A client certificate over the key of this request, whose own signature must hold.
    pub(crate) fn client(&self, csr: &[u8], life: Life) -> Vec<u8> {
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(csr)).unwrap();
        let mut params = CertificateParams::default();
        let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_micros(flota_daemon::present().try_into().unwrap());
        let day = Duration::from_hours(24);
        (params.not_before, params.not_after) = match life {
            Life::Day => (now - Duration::from_mins(5), now + day),
            Life::Over => (now - day * 2, now - day),
        };
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(format!("flota://host/{HOST_ID}").as_str().try_into().unwrap())];
        params.signed_by(&request.public_key, &self.issuer).unwrap().der().to_vec()
    }
}
