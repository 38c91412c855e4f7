//! Why a host does or does not meet what it is held to: first of all, which event of its boot differs.

use flota_attest::baseline::Baseline;
use flota_attest::event_log::{EventLog, first_difference};
use flota_model::host::{Host, Trust, VerdictKind};
use flota_proto::v1;

use crate::attestation::subject::{parse_stored, stored_log};
use crate::core::Core;
use crate::fault::Fault;
use crate::grpc::view;

/// The newest verdict with its reasons, and where boot logs are known, the first event that is not that of the baseline.
pub(super) async fn explain(core: &Core, host: &Host) -> Result<v1::ExplainPolicyResponse, Fault> {
    let newest = core.store.attestations(&host.id, 1).await?.into_iter().next();
    let known = core.store.measurements(&host.id).await?;
    let (mut quoted_log, mut baseline_log) = (None, None);
    let (mut quoted, mut baseline): (Option<Baseline>, Option<Baseline>) = (None, None);
    if let Some(known) = &known {
        quoted = parse_stored(&known.quoted_json)?;
        baseline = parse_stored(&known.baseline_json)?;
        quoted_log = load(core, known.quoted_log).await?;
        baseline_log = load(core, known.baseline_log).await?;
    }
    let met = newest.as_ref().is_some_and(|verdict| verdict.verdict == VerdictKind::Pass);
    let mut findings = newest.map(|verdict| verdict.reasons).unwrap_or_default();
    if !met {
        findings.extend(differences(baseline.as_ref(), quoted.as_ref(), baseline_log.as_ref(), quoted_log.as_ref()));
    }
    Ok(v1::ExplainPolicyResponse {
        host_name: host.name.to_string(),
        trust: host.trust.to_string(),
        policy: host.policy.clone(),
        met,
        findings,
        quoted_at: view::time(host.confirmed.as_ref().map(|confirmed| confirmed.at)),
        has_boot_log: quoted_log.is_some(),
        remedy: remedy(host, met),
    })
}

async fn load(core: &Core, digest: Option<flota_model::Digest>) -> Result<Option<EventLog>, Fault> {
    match digest {
        Some(digest) => stored_log(core, &digest).await,
        None => Ok(None),
    }
}

/// One sentence for each PCR that differs from the host's first quote.
fn differences(
    baseline: Option<&Baseline>,
    quoted: Option<&Baseline>,
    baseline_log: Option<&EventLog>,
    quoted_log: Option<&EventLog>,
) -> Vec<String> {
    let (Some(baseline), Some(quoted)) = (baseline, quoted) else { return Vec::new() };
    let changed = quoted.pcrs().iter().filter(|(pcr, value)| baseline.pcrs().get(pcr) != Some(value));
    changed
        .map(|(pcr, _)| match (baseline_log, quoted_log) {
            (Some(before), Some(now)) => first_difference(before, now, *pcr).map_or_else(
                || format!("PCR {pcr} differs from the host's first quote, and its boot log does not: it was extended after the boot"),
                |difference| format!("since the host's first quote: {difference}"),
            ),
            _ => format!("PCR {pcr} differs from the host's first quote; no boot log says by which event"),
        })
        .collect()
}

fn remedy(host: &Host, met: bool) -> String {
    let name = &host.name;
    match host.trust {
        _ if host.awaits_approval => format!("flota enrolment approve {name}"),
        Trust::Untrusted | Trust::Quarantined => {
            format!("find out why; then flota attest clear {name} --reason TEXT, or decommission it")
        }
        Trust::Drifted if host.policy.is_empty() => {
            format!("if the change was planned: flota policy propose NAME --from {name}, and activate it")
        }
        Trust::Drifted => {
            format!(
                "if the change was planned: flota policy propose {} --from {name}, then approve and stage it",
                host.policy.split('@').next().unwrap_or_default()
            )
        }
        Trust::Stale => format!("flota attest challenge {name}; if it is silent, look at the host"),
        _ if met => String::new(),
        _ => format!("flota attest challenge {name}"),
    }
}
