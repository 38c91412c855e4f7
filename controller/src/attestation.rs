//! Judges the evidence of a host: what does its TPM say, and what follows from it?
//!
//! Fail closed: whatever goes wrong is a verdict or a refusal, never "stays trusted" (CVE-2022-3500, CVE-2023-3674).

use flota_attest::baseline::{Baseline, PcrDrift};
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::{ClockState, QuoteEvidence, QuoteExpectation, QuoteFacts, Verdict, verify_quote};
use flota_model::host::{Confirmed, Trust, VerdictKind};
use flota_model::update::Generation;
use flota_model::{HostId, Timestamp};
use flota_seal::binding::QuoteFields;
use flota_store::{HostKeys, HostMeasurements, VerdictRecord};
use serde::Deserialize;
use serde_json::json;

use crate::core::Core;
use crate::fault::{Code, Fault};

/// What the host sent in answer to a challenge.
#[derive(Debug)]
pub struct Evidence {
    /// TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// Values of the quoted PCRs.
    pub pcr_values: Vec<(u8, [u8; 32])>,
    /// What the host claims, JSON.
    pub claims: Vec<u8>,
}

/// What the evidence had to be bound to. None of it comes from the host.
#[derive(Debug)]
pub struct Binding<'a> {
    /// Which host, by its certificate.
    pub host: &'a HostId,
    /// Id of the challenge.
    pub challenge_id: &'a str,
    /// Its nonce.
    pub nonce: &'a [u8; 32],
    /// SHA-256 of the client certificate of this connection.
    pub certificate_sha256: &'a [u8; 32],
    /// Exporter of this connection.
    pub exporter: &'a [u8; 32],
}

/// The verdict with its consequences.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Pass, fail or retry.
    pub verdict: VerdictKind,
    /// Why; empty on a pass.
    pub reasons: Vec<String>,
    /// What the host's trust is now.
    pub trust: Trust,
}

/// Claims as the agent writes them. Bound by the quote's qualifying data, so the TPM vouches for who said them and when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    generation: Option<Generation>,
    running: Option<flota_model::Digest>,
    #[serde(rename = "phase")]
    _phase: String,
}

/// Judges evidence and stores the verdict with everything that follows.
pub async fn judge(core: &Core, binding: &Binding<'_>, evidence: &Evidence) -> Result<Outcome, Fault> {
    let host = binding.host;
    let unknown = || Fault::new(Code::UnknownCertificate, "the host is not in the fleet");
    let current = core.store.host(host).await?.ok_or_else(unknown)?;
    let (keys, _) = core.store.host_keys(host).await?.ok_or_else(unknown)?;
    let measurements = core.store.measurements(host).await?.ok_or_else(unknown)?;
    let finding = assess(core, binding, evidence, &keys, &measurements, core.now())?;
    let trust = next_trust(current.trust, &finding);
    store(core, host, finding, trust.filter(|next| *next != current.trust)).await.map(|(verdict, reasons)| Outcome {
        verdict,
        reasons,
        trust: trust.unwrap_or(current.trust),
    })
}

/// A host that could not make a quote is not judged; it is asked again.
pub async fn inconclusive(core: &Core, host: &HostId, why: &str) -> Result<Outcome, Fault> {
    let unknown = || Fault::new(Code::UnknownCertificate, "the host is not in the fleet");
    let trust = core.store.host(host).await?.ok_or_else(unknown)?.trust;
    let finding = Finding::Retry { reason: format!("no_quote: {why}") };
    let (verdict, reasons) = store(core, host, finding, None).await?;
    Ok(Outcome { verdict, reasons, trust })
}

/// What the evidence shows.
enum Finding {
    /// Genuine; `drifts` is empty when it is as expected.
    Genuine { drifts: Vec<PcrDrift>, confirmed: Confirmed, measurements: HostMeasurements, rebooted: bool },
    /// Not genuine.
    Broken { reasons: Vec<String> },
    /// Too soon to tell.
    Retry { reason: String },
}

fn assess(
    core: &Core,
    binding: &Binding<'_>,
    evidence: &Evidence,
    keys: &HostKeys,
    known: &HostMeasurements,
    now: Timestamp,
) -> Result<Finding, Fault> {
    let stored = |error| Fault::new(Code::Bug, "the host's stored keys cannot be read").because(error);
    let ek = Public::parse_2b(&keys.ek_public).map_err(stored)?;
    let ak = Public::parse_2b(&keys.ak_public).map_err(stored)?;
    let ak_name = ak.qualified_name(&ek.qualified_name(&QualifiedName::endorsement_root()));
    let last: Option<ClockState> = parse_stored(&known.clock_json)?;
    let expectation = QuoteExpectation {
        ak: &ak,
        ak_qualified_name: &ak_name,
        qualifying_data: qualifying(binding, &evidence.claims),
        selection: core.selection,
        last,
    };
    let quote =
        QuoteEvidence { attest: &evidence.attest, signature: &evidence.signature, pcr_values: &evidence.pcr_values };
    match verify_quote(&quote, &expectation) {
        Verdict::Fail(reasons) => Ok(Finding::Broken {
            reasons: reasons.iter().map(|reason| format!("{}: {reason}", reason.code())).collect(),
        }),
        Verdict::Retry(reason) => Ok(Finding::Retry { reason: format!("{}: {reason}", reason.code()) }),
        Verdict::Pass(facts) => genuine(core, evidence, known, &facts, now),
    }
}

fn genuine(
    core: &Core,
    evidence: &Evidence,
    known: &HostMeasurements,
    facts: &QuoteFacts,
    now: Timestamp,
) -> Result<Finding, Fault> {
    let Ok(claims) = serde_json::from_slice::<Claims>(&evidence.claims) else {
        return Ok(Finding::Broken { reasons: vec!["claims: the host's claims cannot be read".into()] });
    };
    let quoted = Baseline::new(core.selection.bank(), facts.pcrs.clone())
        .map_err(|error| Fault::new(Code::Bug, "the quoted PCRs make no baseline").because(error))?;
    let baseline: Option<Baseline> = parse_stored(&known.baseline_json)?;
    let drifts = baseline.as_ref().map(|baseline| baseline.compare(facts)).unwrap_or_default();
    Ok(Finding::Genuine {
        drifts,
        confirmed: Confirmed { running: claims.running, generation: claims.generation, at: now },
        measurements: HostMeasurements {
            baseline_json: json!(baseline.as_ref().unwrap_or(&quoted)).to_string(),
            clock_json: json!(facts.clock_state()).to_string(),
            quoted_json: json!(quoted).to_string(),
        },
        rebooted: facts.rebooted,
    })
}

fn qualifying(binding: &Binding<'_>, claims: &[u8]) -> [u8; 32] {
    let Binding { host, challenge_id, nonce, certificate_sha256, exporter } = *binding;
    QuoteFields { nonce, challenge_id, host_id: host.as_str(), certificate_sha256, exporter, claims }.qualifying()
}

/// A broken chain of evidence does not mend itself: it takes a new enrolment. Drift and staleness do.
fn next_trust(current: Trust, finding: &Finding) -> Option<Trust> {
    match finding {
        _ if !current.admits_connection() => None,
        Finding::Retry { .. } => None,
        Finding::Broken { .. } => Some(Trust::Untrusted),
        Finding::Genuine { .. } if current == Trust::Untrusted => None,
        Finding::Genuine { drifts, .. } if drifts.is_empty() => Some(Trust::Trusted),
        Finding::Genuine { .. } => Some(Trust::Drifted),
    }
}

async fn store(
    core: &Core,
    host: &HostId,
    finding: Finding,
    trust: Option<Trust>,
) -> Result<(VerdictKind, Vec<String>), Fault> {
    let mut details = json!({});
    let (verdict, reasons, confirmed, measurements) = match finding {
        Finding::Retry { reason } => (VerdictKind::Retry, vec![reason], None, None),
        Finding::Broken { reasons } => (VerdictKind::Fail, reasons, None, None),
        Finding::Genuine { drifts, confirmed, measurements, rebooted } => {
            if rebooted {
                details["rebooted"] = json!(true);
            }
            let verdict = if drifts.is_empty() { VerdictKind::Pass } else { VerdictKind::Fail };
            (verdict, drifts.iter().map(drift_reason).collect(), Some(confirmed), Some(measurements))
        }
    };
    details["reasons"] = json!(reasons);
    if let Some(trust) = trust {
        details["trust"] = json!(trust);
        tracing::info!(host.id = %host, trust = %trust, verdict = verdict.as_str(), "trust changed");
    }
    let record = VerdictRecord {
        host: host.clone(),
        at: core.now(),
        verdict,
        reasons: reasons.clone(),
        trust: trust.map(|trust| (trust, reasons.join("; "))),
        confirmed,
        measurements,
    };
    let audit = core.audit_host(host, "host.attest", verdict.as_str(), &details);
    core.store.record_verdict(&record, &audit).await?;
    core.fleet_changed.notify_one();
    Ok((verdict, reasons))
}

fn drift_reason(drift: &PcrDrift) -> String {
    // A beginning tells values apart; the whole ones are on the host's page.
    let show = |value: Option<[u8; 32]>| match value {
        None => "not there".to_owned(),
        Some(value) => flota_model::Digest::from_bytes(value).short(),
    };
    format!("pcr_drift: PCR {} is {}…, the baseline has {}…", drift.index, show(drift.actual), show(drift.expected))
}

/// A document that this controller wrote; empty means there is none yet.
fn parse_stored<T: serde::de::DeserializeOwned>(json: &str) -> Result<Option<T>, Fault> {
    if json.is_empty() {
        return Ok(None);
    }
    let parsed = serde_json::from_str(json);
    parsed.map(Some).map_err(|error| Fault::new(Code::Bug, "stored measurements cannot be read").because(error))
}
