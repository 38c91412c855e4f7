//! Answers attestation challenges.

use std::sync::Arc;

use flota_daemon::error_chain::chain;
use flota_model::host::OemStanding;
use flota_model::update::UpdateReport;
use flota_proto::v1;
use flota_seal::binding::QuoteFields;
use flota_seal::json::Json;
use flota_tpm::Tpm;
use tokio::sync::watch;

use super::boot_log::BootLog;
use super::oem::OemCheck;
use crate::enrol::{pcr_indices, pcr_values};
use crate::host_key::HostKey;

/// What a quote is bound to besides the challenge.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) host_id: String,
    pub(super) certificate_sha256: [u8; 32],
    pub(super) exporter: [u8; 32],
}

/// All that answers are made from.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    pub(super) key: HostKey,
    pub(super) boot_log: Option<Arc<BootLog>>,
    pub(super) oem: OemCheck,
    pub(super) reports: watch::Receiver<UpdateReport>,
}

impl Witness {
    /// A quote over the challenge, or a sentence that says why there is none.
    pub(super) async fn answer(self, bound: Bound, challenge: v1::Challenge) -> v1::Evidence {
        let failed =
            |why: String| v1::Evidence { challenge_id: challenge.id.clone(), failure: why, ..v1::Evidence::default() };
        let HostKey::Tpm(tpm) = self.key else { return failed("this host has no TPM".to_owned()) };
        let boot_log = self.boot_log.map(|log| log.unless_known(&challenge.known_boot_log)).unwrap_or_default();
        let oem = self.oem.standing().await;
        let claims = claims(&self.reports.borrow(), &oem);
        let asked = challenge.clone();
        // A TPM takes its time.
        let quoted = tokio::task::spawn_blocking(move || quote(&tpm, &bound, &asked, claims));
        match quoted.await {
            Ok(Ok(evidence)) => v1::Evidence { boot_log, ..evidence },
            Ok(Err(why)) => failed(why),
            Err(error) => failed(chain(&error)),
        }
    }
}

fn quote(tpm: &Tpm, bound: &Bound, challenge: &v1::Challenge, claims: Vec<u8>) -> Result<v1::Evidence, String> {
    let fields = QuoteFields {
        nonce: &challenge.nonce,
        challenge_id: &challenge.id,
        host_id: &bound.host_id,
        certificate_sha256: &bound.certificate_sha256,
        exporter: &bound.exporter,
        claims: &claims,
    };
    let indices = pcr_indices(&challenge.pcrs).ok_or("the PCRs asked for do not exist")?;
    let quote = tpm.quote(fields.qualifying(), &indices).map_err(|error| chain(&error))?;
    Ok(v1::Evidence {
        challenge_id: challenge.id.clone(),
        attest: quote.attest,
        signature: quote.signature,
        pcr_values: pcr_values(&quote.pcr_values),
        claims,
        ..v1::Evidence::default()
    })
}

/// What the host claims while it quotes; canonical JSON.
fn claims(report: &UpdateReport, oem: &OemStanding) -> Vec<u8> {
    let oem =
        Json::object([("evidence", Json::from(oem.evidence.as_str())), ("licence", Json::from(oem.licence.as_str()))]);
    Json::object([
        ("generation", Json::from(report.generation.map(flota_model::Generation::number))),
        ("oem", oem),
        ("phase", Json::from(report.phase.as_str())),
        ("running", Json::from(report.running.map(|digest| digest.to_string()))),
    ])
    .canonical()
}

#[cfg(test)]
mod tests {
    use flota_model::update::UpdatePhase;
    use flota_model::{Digest, Generation};

    use super::*;

    #[test]
    fn claims_are_canonical_and_have_both_words_always() {
        let report = UpdateReport {
            generation: None,
            sequence: 1,
            phase: UpdatePhase::Committed,
            running: None,
            version: String::new(),
            detail: String::new(),
        };
        let none = claims(&report, &OemStanding::default());
        let text = r#"{"generation":null,"oem":{"evidence":"","licence":""},"phase":"committed","running":null}"#;
        assert_eq!(String::from_utf8(none).unwrap(), text);
        let running = Digest::of(b"package");
        let report = UpdateReport { generation: Generation::new(12), running: Some(running), ..report };
        let oem = OemStanding { evidence: "ok".to_owned(), licence: "expired".to_owned() };
        let text = format!(
            r#"{{"generation":12,"oem":{{"evidence":"ok","licence":"expired"}},"phase":"committed","running":"{running}"}}"#
        );
        assert_eq!(String::from_utf8(claims(&report, &oem)).unwrap(), text);
    }
}
