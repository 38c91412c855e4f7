//! The other side: what a controller keeps of a host, and how it judges what the host's TPM says.

use flota_attest::certify::{CertifyEvidence, CertifyExpectation, CertifyRejection, verify_certify};
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::{ClockState, QuoteEvidence, QuoteExpectation, QuoteFacts, Reason, Verdict, verify_quote};
use flota_attest::rules::{check_ak_public, check_ek_public, check_tls_public};
use flota_attest::selection::{Bank, Selection};
use flota_tpm::{Quote, Tpm};

/// What every quote here is asked for.
pub(crate) const NONCE: [u8; 32] = [0x5A; 32];

/// A host's keys on record.
pub(crate) struct Record {
    pub(crate) ek: Public,
    pub(crate) ak: Public,
    pub(crate) tls: Public,
    pub(crate) ak_name: QualifiedName,
    pub(crate) tls_name: QualifiedName,
}

/// What came with a quote.
pub(crate) type Values = Vec<(u8, [u8; 32])>;

impl Record {
    /// Enrols the keys as a controller does, short of the certificate chain and the proof.
    pub(crate) fn of(tpm: &Tpm) -> Self {
        let identity = tpm.identity();
        let parse = |bytes: &[u8]| Public::parse_2b(bytes).unwrap();
        let (ek, ak, tls) = (parse(&identity.ek_public), parse(&identity.ak_public), parse(&identity.tls_public));
        check_ek_public(&ek, ek.spki_der()).unwrap();
        check_ak_public(&ak).unwrap();
        check_tls_public(&tls).unwrap();
        let ek_name = ek.qualified_name(&QualifiedName::endorsement_root());
        let (ak_name, tls_name) = (ak.qualified_name(&ek_name), tls.qualified_name(&ek_name));
        Self { ek, ak, tls, ak_name, tls_name }
    }

    /// The verdict over evidence for PCRs of the SHA-256 bank, after the quote that passed last.
    pub(crate) fn judge(
        &self,
        (attest, signature): (&[u8], &[u8]),
        pcr_values: &[(u8, [u8; 32])],
        asked: &[u8],
        last: Option<ClockState>,
    ) -> Verdict {
        verify_quote(
            &QuoteEvidence { attest, signature, pcr_values },
            &QuoteExpectation {
                ak: &self.ak,
                ak_qualified_name: &self.ak_name,
                qualifying_data: NONCE,
                selection: Selection::new(Bank::Sha256, asked.iter().copied()).unwrap(),
                last,
            },
        )
    }

    /// The verdict over a quote as the agent makes it.
    pub(crate) fn judge_quote(&self, quote: &Quote, last: Option<ClockState>) -> Verdict {
        let asked: Vec<u8> = quote.pcr_values.iter().map(|(index, _)| *index).collect();
        self.judge((&quote.attest, &quote.signature), &quote.pcr_values, &asked, last)
    }

    /// Panics unless the evidence fails for these reasons alone.
    pub(crate) fn assert_fails(
        &self,
        (attest, signature): (&[u8], &[u8]),
        values: &[(u8, [u8; 32])],
        asked: &[u8],
        reasons: &[Reason],
        what: &str,
    ) {
        let verdict = self.judge((attest, signature), values, asked, None);
        assert_eq!(verdict, Verdict::Fail(reasons.to_vec()), "{what}");
    }

    /// The outcome of a certification of the TLS key.
    pub(crate) fn judge_certification(&self, attest: &[u8], signature: &[u8]) -> Result<(), CertifyRejection> {
        verify_certify(
            &CertifyEvidence { attest, signature },
            &CertifyExpectation {
                ak: &self.ak,
                ak_qualified_name: &self.ak_name,
                qualifying_data: NONCE,
                tls_public: &self.tls,
                tls_qualified_name: &self.tls_name,
            },
        )
    }
}

/// Panics unless it passed.
pub(crate) fn passed(verdict: Verdict) -> QuoteFacts {
    match verdict {
        Verdict::Pass(facts) => facts,
        other => panic!("expected a pass, got {other:?}"),
    }
}
