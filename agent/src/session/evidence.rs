//! Answers attestation challenges.

use flota_model::update::UpdateReport;
use flota_proto::v1;
use flota_seal::binding::QuoteFields;
use flota_seal::json::Json;
use flota_tpm::Tpm;

use crate::enrol::{pcr_indices, pcr_values};

/// What a quote is bound to besides the challenge.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) host_id: String,
    pub(super) certificate_sha256: [u8; 32],
    pub(super) exporter: [u8; 32],
}

/// A quote over the challenge, or a sentence that says why there is none. Blocks.
pub(super) fn answer(tpm: &Tpm, bound: &Bound, challenge: &v1::Challenge, report: &UpdateReport) -> v1::Evidence {
    let claims = claims(report);
    let fields = QuoteFields {
        nonce: &challenge.nonce,
        challenge_id: &challenge.id,
        host_id: &bound.host_id,
        certificate_sha256: &bound.certificate_sha256,
        exporter: &bound.exporter,
        claims: &claims,
    };
    let failed =
        |why: String| v1::Evidence { challenge_id: challenge.id.clone(), failure: why, ..v1::Evidence::default() };
    let Some(indices) = pcr_indices(&challenge.pcrs) else { return failed("the PCRs asked for do not exist".into()) };
    match tpm.quote(fields.qualifying(), &indices) {
        Ok(quote) => v1::Evidence {
            challenge_id: challenge.id.clone(),
            attest: quote.attest,
            signature: quote.signature,
            pcr_values: pcr_values(&quote.pcr_values),
            claims,
            failure: String::new(),
        },
        Err(error) => failed(flota_daemon::error_chain::chain(&error)),
    }
}

/// What the host claims while it quotes; canonical JSON.
fn claims(report: &UpdateReport) -> Vec<u8> {
    Json::object([
        ("generation", Json::from(report.generation.map(flota_model::Generation::number))),
        ("phase", Json::from(report.phase.as_str())),
        ("running", Json::from(report.running.map(|digest| digest.to_string()))),
    ])
    .canonical()
}
