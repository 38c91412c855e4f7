//! What follows from a finding: verdict, trust, lease, escalations, and the ordered actions against an untrusted host.

use flota_model::Timestamp;
use flota_model::audit::AuditEntry;
use flota_model::host::{OemStanding, Trust, VerdictKind};
use flota_store::{Lease, NewEscalation, VerdictRecord};
use serde_json::json;

use super::Outcome;
use super::assess::{Finding, Genuine};
use super::subject::Subject;
use crate::core::Core;
use crate::fault::Fault;

/// What is done about an untrusted host, in this order; each is an entry of the audit log.
const SHUT_OUT: [(&str, &str); 4] = [
    ("host.lease_drop", "no new work"),
    ("host.deny", "refused in the handshake and on every message"),
    ("host.sessions_close", "its streams are closed"),
    ("host.certificate_revoke", "its certificates are worth nothing"),
];

/// Stores a finding and everything that follows from it.
pub(super) async fn follow(
    core: &Core,
    subject: &mut Subject,
    finding: Finding,
    now: Timestamp,
) -> Result<Outcome, Fault> {
    let finding = patience(core, subject, finding, now);
    let next = next_trust(subject.trust, &finding);
    let lease = lease(core, &finding, now);
    let (verdict, reasons) = said(&finding);
    let trust_changes = next.filter(|next| *next != subject.trust);

    let mut details = match &finding {
        Finding::Genuine(genuine) => {
            let mut notes = genuine.notes.clone();
            // What the quote vouched for: evidence of what the host ran.
            notes.insert("running".into(), json!(genuine.confirmed.running));
            notes.insert("generation".into(), json!(genuine.confirmed.generation));
            notes
        }
        _ => serde_json::Map::new(),
    };
    details.insert("reasons".into(), json!(reasons));
    if let Some(trust) = trust_changes {
        details.insert("trust".into(), json!(trust));
        tracing::info!(host.id = %subject.host, trust = %trust, verdict = verdict.as_str(), "trust changed");
    }
    let mut audit = vec![core.audit_host(&subject.host, "host.attest", verdict.as_str(), &json!(details))];
    let mut escalations = escalations(subject, &finding);
    if trust_changes == Some(Trust::Untrusted) {
        audit.extend(shut_out_entries(core, subject, &reasons));
        escalations.push(NewEscalation {
            kind: "untrusted".into(),
            summary: format!(
                "{} is untrusted and shut out; revoke its exchange keys: {}",
                subject.name,
                reasons.join("; ")
            ),
        });
    }
    let (record, log) = record(subject, finding, (verdict, reasons.clone()), trust_changes, lease, escalations, now);
    let measurements = record.measurements.clone();
    core.recorder.record(record, audit).await?;

    // Only what is stored is believed.
    if let Some(measurements) = measurements {
        subject.remember(&measurements)?;
        core.readings.note(&subject.host, now);
    }
    if log.is_some() {
        subject.log = log;
    }
    subject.trust = next.unwrap_or(subject.trust);
    match lease {
        Lease::Keep => {}
        Lease::Until(until) => subject.lease_until = Some(until),
        Lease::Drop => subject.lease_until = None,
    }
    if !subject.trust.admits_connection() {
        core.shut_out(&subject.host, "its evidence is not genuine");
    }
    core.fleet_changed.notify_one();
    Ok(Outcome { verdict, reasons, trust: subject.trust, lease_until: subject.lease_until })
}

/// A retry that goes on for too long is a miss.
fn patience(core: &Core, subject: &Subject, finding: Finding, now: Timestamp) -> Finding {
    let Finding::Retry { reason } = finding else {
        core.patience.answered(&subject.host);
        return finding;
    };
    match core.patience.retried(&subject.host, now) {
        None => Finding::Retry { reason },
        Some(since) => Finding::Broken { reasons: vec![format!("retry_too_long: no verdict since {since}: {reason}")] },
    }
}

/// A broken chain of evidence does not mend itself: it takes an operator's word or a new enrolment. Drift and staleness
/// mend by a pass.
fn next_trust(current: Trust, finding: &Finding) -> Option<Trust> {
    match finding {
        _ if !current.admits_connection() => None,
        Finding::Retry { .. } => None,
        Finding::Broken { .. } => Some(Trust::Untrusted),
        Finding::Genuine(genuine) if genuine.misses.is_empty() => Some(Trust::Trusted),
        Finding::Genuine(_) => Some(Trust::Drifted),
    }
}

/// A pass renews the lease, a failure ends it, a retry lets it run on.
fn lease(core: &Core, finding: &Finding, now: Timestamp) -> Lease {
    match finding {
        Finding::Retry { .. } => Lease::Keep,
        Finding::Genuine(genuine) if genuine.misses.is_empty() => Lease::Until(now.plus(core.settings.lease())),
        Finding::Genuine(_) | Finding::Broken { .. } => Lease::Drop,
    }
}

fn said(finding: &Finding) -> (VerdictKind, Vec<String>) {
    match finding {
        Finding::Retry { reason } => (VerdictKind::Retry, vec![reason.clone()]),
        Finding::Broken { reasons } => (VerdictKind::Fail, reasons.clone()),
        Finding::Genuine(genuine) if genuine.misses.is_empty() => (VerdictKind::Pass, Vec::new()),
        Finding::Genuine(genuine) => (VerdictKind::Fail, genuine.misses.clone()),
    }
}

/// The manual, section 3, step 4: `invalid` and `missing` go to the security team.
fn escalations(subject: &Subject, finding: &Finding) -> Vec<NewEscalation> {
    let Finding::Genuine(genuine) = finding else { return Vec::new() };
    let OemStanding { evidence, licence } = &genuine.oem;
    let wanted = [("oem_evidence", "TPM evidence", evidence), ("oem_licence", "OEM licence", licence)];
    let bad = wanted.into_iter().filter(|(_, _, status)| OemStanding::escalates(status));
    bad.map(|(kind, what, status)| NewEscalation {
        kind: kind.into(),
        summary: format!("the {what} of {} is {status}", subject.name),
    })
    .collect()
}

fn shut_out_entries(core: &Core, subject: &Subject, reasons: &[String]) -> Vec<AuditEntry> {
    let object = format!("host/{}", subject.host);
    let steps = SHUT_OUT.iter().enumerate();
    steps
        .map(|(at, (action, what))| {
            let details = json!({ "step": at + 1, "what": what, "reasons": reasons });
            core.audit(action, object.clone(), "ok", &details)
        })
        .collect()
}

type Log = Option<(flota_model::Digest, flota_attest::event_log::EventLog)>;

fn record(
    subject: &Subject,
    finding: Finding,
    (verdict, reasons): (VerdictKind, Vec<String>),
    trust: Option<Trust>,
    lease: Lease,
    escalations: Vec<NewEscalation>,
    at: Timestamp,
) -> (VerdictRecord, Log) {
    let sentence = reasons.join("; ");
    let mut record = VerdictRecord {
        host: subject.host.clone(),
        at,
        verdict,
        reasons,
        trust: trust.map(|trust| (trust, sentence)),
        confirmed: None,
        measurements: None,
        lease,
        policy: None,
        oem: None,
        boot_log: None,
        escalations,
    };
    let Finding::Genuine(genuine) = finding else { return (record, None) };
    let Genuine { confirmed, measurements, oem, policy, boot_log, .. } = *genuine;
    let (bytes, log) =
        boot_log.map(|(bytes, log)| (Some(bytes.clone()), Some((bytes.digest, log)))).unwrap_or_default();
    record.confirmed = Some(confirmed);
    record.measurements = Some(measurements);
    record.oem = Some(oem);
    record.policy = Some(policy);
    record.boot_log = bytes;
    (record, log)
}
