//! Answers attestation challenges.

use flota_model::Generation;
use flota_model::update::UpdateReport;
use flota_proto::v1;
use flota_seal::binding::QuoteFields;
use flota_seal::json::Json;

use crate::soft_tpm::SoftTpm;

/// What a quote is bound to besides the challenge.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) host_id: String,
    pub(super) certificate_sha256: [u8; 32],
    pub(super) exporter: [u8; 32],
}

/// A quote over the challenge, or a sentence that says why there is none.
pub(super) fn answer(tpm: &SoftTpm, bound: &Bound, challenge: &v1::Challenge, report: &UpdateReport) -> v1::Evidence {
    let claims = claims(report);
    let fields = QuoteFields {
        nonce: &challenge.nonce,
        challenge_id: &challenge.id,
        host_id: &bound.host_id,
        certificate_sha256: &bound.certificate_sha256,
        exporter: &bound.exporter,
        claims: &claims,
    };
    let challenge_id = challenge.id.clone();
    let Some(indices) = pcr_indices(&challenge.pcrs) else {
        let failure = "the PCRs asked for do not exist".to_owned();
        return v1::Evidence { challenge_id, failure, ..v1::Evidence::default() };
    };
    match tpm.quote(fields.qualifying(), &indices) {
        Ok(quote) => v1::Evidence {
            challenge_id,
            attest: quote.signed.attest,
            signature: quote.signed.signature,
            pcr_values: pcr_values(&quote.pcr_values),
            claims,
            ..v1::Evidence::default()
        },
        Err(error) => v1::Evidence { challenge_id, failure: error.to_string(), ..v1::Evidence::default() },
    }
}

/// What the host claims while it quotes; canonical JSON, as `flota-agent` writes it.
fn claims(report: &UpdateReport) -> Vec<u8> {
    Json::object([
        ("generation", Json::from(report.generation.map(Generation::number))),
        ("phase", Json::from(report.phase.as_str())),
        ("running", Json::from(report.running.map(|digest| digest.to_string()))),
    ])
    .canonical()
}

/// PCR indices as the TPM takes them.
pub(super) fn pcr_indices(indices: &[u32]) -> Option<Vec<u8>> {
    indices.iter().map(|index| u8::try_from(*index).ok()).collect()
}

/// PCR values as the wire carries them.
pub(super) fn pcr_values(values: &[(u8, [u8; 32])]) -> Vec<v1::PcrValue> {
    values.iter().map(|(index, value)| v1::PcrValue { index: u32::from(*index), value: value.to_vec() }).collect()
}
