//! What an enrolment must show: keys that may be, and the proof that one TPM has them all.

use flota_attest::baseline::Baseline;
use flota_attest::certify::{CertifyExpectation, verify_certify};
use flota_attest::ek_chain::verify_ek_certificate;
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::{QuoteExpectation, Verdict, verify_quote};
use flota_attest::rules::{check_ak_public, check_ek_public, check_tls_public};
use flota_model::Timestamp;
use flota_seal::binding::{self, BeginFields};
use flota_store::HostMeasurements;
use serde_json::json;

use super::sessions::Pending;
use super::{Proof, nothing_new};
use crate::ca;
use crate::core::Core;
use crate::fault::{Code, Fault};

/// Public keys of an enrolment that passed every check that needs no proof.
pub(crate) struct CheckedKeys {
    pub(crate) ek: Public,
    pub(crate) ak: Public,
    pub(crate) tls: Public,
    pub(crate) manufacturer: String,
}

pub(super) fn check_keys(
    core: &Core,
    fields: &BeginFields<'_>,
    ek_chain: &[Vec<u8>],
    now: Timestamp,
) -> Result<CheckedKeys, Fault> {
    let now_unix = u64::try_from(now.as_seconds()).unwrap_or(0);
    let certificate = verify_ek_certificate(fields.ek_certificate, ek_chain, &core.ek_roots, now_unix)
        .map_err(|error| refused(error.code(), &error).fix("add the TPM vendor's root to the controller's ek_roots"))?;
    core.settings.ek_policy.check(&certificate).map_err(|problem| refused(problem.code(), &problem))?;
    let parse = |bytes| Public::parse_2b(bytes).map_err(|error| refused("tpm_structure", &error));
    let (ek, ak, tls) = (parse(fields.ek_public)?, parse(fields.ak_public)?, parse(fields.tls_public)?);
    check_ek_public(&ek, &certificate.spki_der).map_err(|error| refused(error.code(), &error))?;
    check_ak_public(&ak).map_err(|error| refused(error.code(), &error))?;
    check_tls_public(&tls).map_err(|error| refused(error.code(), &error))?;
    if ak.name().as_bytes() == tls.name().as_bytes() {
        return Err(Fault::new(Code::EvidenceRefused, "same_key: attestation key and TLS key are one key"));
    }
    let requested = ca::request_public_key(fields.csr).map_err(|error| refused("csr", &error))?;
    if requested != tls.spki_der() {
        return Err(Fault::new(Code::EvidenceRefused, "csr_key: the certificate request is for another key"));
    }
    Ok(CheckedKeys { ek, ak, tls, manufacturer: certificate.manufacturer })
}

pub(super) fn verify(
    core: &Core,
    pending: &Pending,
    proof: &Proof<'_>,
    exporter: &[u8; 32],
) -> Result<HostMeasurements, Fault> {
    let expected = binding::enrol_proof(&*pending.secret, &pending.transcript);
    if !binding::tags_equal(&expected, proof.proof) {
        return Err(Fault::new(Code::EvidenceRefused, "proof: the credential was not activated by this TPM"));
    }
    let CheckedKeys { ek, ak, tls, .. } = &pending.keys;
    let ek_name = ek.qualified_name(&QualifiedName::endorsement_root());
    let ak_name = ak.qualified_name(&ek_name);
    let certification = CertifyExpectation {
        ak,
        ak_qualified_name: &ak_name,
        qualifying_data: binding::certify_qualifying(&pending.transcript, exporter),
        tls_public: tls,
        tls_qualified_name: &tls.qualified_name(&ek_name),
    };
    verify_certify(&proof.certify, &certification).map_err(|error| refused(error.code(), &error))?;
    let quote = QuoteExpectation {
        ak,
        ak_qualified_name: &ak_name,
        qualifying_data: binding::enrol_quote_qualifying(&pending.transcript, exporter),
        selection: core.selection,
        last: None,
    };
    match verify_quote(&proof.quote, &quote) {
        Verdict::Pass(facts) => {
            let baseline = Baseline::new(core.selection.bank(), facts.pcrs.clone())
                .map_err(|error| Fault::new(Code::Bug, "the baseline could not be made").because(error))?;
            Ok(HostMeasurements {
                baseline_json: json!(baseline).to_string(),
                clock_json: json!(facts.clock_state()).to_string(),
                quoted_json: json!(baseline).to_string(),
                baseline_log: None,
                quoted_log: None,
            })
        }
        // Genuine, too soon after power-on to trust the clock: the first quote of the session becomes the baseline.
        Verdict::Retry(_) => Ok(nothing_new()),
        Verdict::Fail(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(|reason| format!("{}: {reason}", reason.code())).collect();
            Err(Fault::new(Code::EvidenceRefused, reasons.join("; ")))
        }
    }
}

fn refused(code: &str, error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::new(Code::EvidenceRefused, format!("{code}: {}", flota_daemon::error_chain::chain(error)))
}
