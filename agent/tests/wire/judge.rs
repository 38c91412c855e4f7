//! What a controller verifies of a host's TPM.

use aws_lc_rs::rand::SystemRandom;
use flota_attest::certify::{CertifyEvidence, CertifyExpectation, verify_certify};
use flota_attest::credential::{Credential, make_credential};
use flota_attest::ek_chain::{TrustRoots, verify_ek_certificate};
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::{QuoteEvidence, QuoteExpectation, Verdict, verify_quote};
use flota_attest::rules::{check_ak_public, check_ek_public, check_tls_public};
use flota_attest::selection::{Bank, Selection};
use flota_proto::v1;

/// A host's keys.
pub(crate) struct Keys {
    pub(crate) ek: Public,
    ak: Public,
    tls: Public,
    ak_name: QualifiedName,
    tls_name: QualifiedName,
}

impl Keys {
    /// The keys of a first message, each of them as it must be.
    pub(crate) fn of(begin: &v1::BeginRequest, ek_roots: &str) -> Self {
        let roots = TrustRoots::from_pem(ek_roots.as_bytes()).unwrap();
        let now = u64::try_from(flota_daemon::present() / 1_000_000).unwrap();
        let certified = verify_ek_certificate(&begin.ek_certificate, &begin.ek_chain, &roots, now).unwrap();
        let keys = Self::parse(&begin.ek_public, &begin.ak_public, Some(&begin.tls_public));
        check_ek_public(&keys.ek, &certified.spki_der).unwrap();
        check_ak_public(&keys.ak).unwrap();
        check_tls_public(&keys.tls).unwrap();
        keys
    }

    /// The keys of these structures.
    pub(crate) fn parse(ek: &[u8], ak: &[u8], tls: Option<&[u8]>) -> Self {
        let parse = |bytes: &[u8]| Public::parse_2b(bytes).unwrap();
        let (ek, ak, tls) = (parse(ek), parse(ak), parse(tls.unwrap_or(ak)));
        let ek_name = ek.qualified_name(&QualifiedName::endorsement_root());
        let (ak_name, tls_name) = (ak.qualified_name(&ek_name), tls.qualified_name(&ek_name));
        Self { ek, ak, tls, ak_name, tls_name }
    }

    pub(crate) fn credential(&self, secret: &[u8; 32]) -> Credential {
        make_credential(&self.ek, self.ak.name(), secret, &SystemRandom::new()).unwrap()
    }

    pub(crate) fn certifies(&self, attest: &[u8], signature: &[u8], qualifying_data: [u8; 32]) {
        let expectation = CertifyExpectation {
            ak: &self.ak,
            ak_qualified_name: &self.ak_name,
            qualifying_data,
            tls_public: &self.tls,
            tls_qualified_name: &self.tls_name,
        };
        verify_certify(&CertifyEvidence { attest, signature }, &expectation).unwrap();
    }

    /// Stops the test unless this is a quote of these PCRs, bound to this.
    pub(crate) fn quotes(
        &self,
        (attest, signature): (&[u8], &[u8]),
        pcr_values: &[(u8, [u8; 32])],
        qualifying_data: [u8; 32],
    ) {
        let selection = Selection::new(Bank::Sha256, pcr_values.iter().map(|(index, _)| *index)).unwrap();
        let expectation =
            QuoteExpectation { ak: &self.ak, ak_qualified_name: &self.ak_name, qualifying_data, selection, last: None };
        let verdict = verify_quote(&QuoteEvidence { attest, signature, pcr_values }, &expectation);
        assert!(!matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
    }
}

/// PCR values as the verifier takes them.
pub(crate) fn pcr_values(values: &[v1::PcrValue]) -> Vec<(u8, [u8; 32])> {
    values.iter().map(|value| (value.index.try_into().unwrap(), value.value.as_slice().try_into().unwrap())).collect()
}
