//! What evidence shows. Everything that the verdict depends on comes in; nothing is read or written here.

use std::time::Duration;

use flota_attest::baseline::{Baseline, PcrDrift};
use flota_attest::event_log::EventLog;
use flota_attest::quote::{ClockState, QuoteEvidence, QuoteExpectation, QuoteFacts, Verdict, verify_quote};
use flota_attest::selection::Selection;
use flota_model::host::{Confirmed, OemStanding};
use flota_model::update::Generation;
use flota_model::{Digest, Timestamp};
use flota_seal::binding::QuoteFields;
use flota_store::{BootLog, HostMeasurements};
use serde::Deserialize;
use serde_json::json;

use super::subject::Subject;
use super::{Binding, Evidence};
use crate::policies::Policies;

/// How much faster than the controller's clock a TPM's may run, in thousandths. The specification allows a TPM 15 %
/// (Part 1, section 36.2); what is faster than that is the clock of another machine or of another boot.
const CLOCK_TOLERANCE_PER_MILLE: u64 = 150;
/// Milliseconds of grace on top: the time that a quote and its way here may take.
const CLOCK_GRACE_MS: u64 = 10_000;

/// What evidence shows.
pub(super) enum Finding {
    /// Genuine; `misses` is empty when everything is as it must be.
    Genuine(Box<Genuine>),
    /// Not genuine.
    Broken { reasons: Vec<String> },
    /// Too soon to tell.
    Retry { reason: String },
}

/// What a genuine quote establishes.
pub(super) struct Genuine {
    /// What is not as it must be, a stable code and a sentence each.
    pub(super) misses: Vec<String>,
    pub(super) confirmed: Confirmed,
    pub(super) measurements: HostMeasurements,
    pub(super) oem: OemStanding,
    /// Name and version of the policy that the host was held to; empty: its own first quote.
    pub(super) policy: String,
    /// New, and so to be stored.
    pub(super) boot_log: Option<(BootLog, EventLog)>,
    /// For the audit log.
    pub(super) notes: serde_json::Map<String, serde_json::Value>,
}

/// Claims as the agent writes them. Bound by the quote's qualifying data, so the TPM vouches for who said them and when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    generation: Option<Generation>,
    running: Option<Digest>,
    #[serde(rename = "phase")]
    _phase: String,
    #[serde(default)]
    oem: OemStanding,
}

/// What the verdict depends on beside the host and what it says.
pub(super) struct Circumstances<'a> {
    /// What quotes cover.
    pub(super) selection: Selection,
    /// In force now.
    pub(super) policies: &'a Policies,
    /// Whether a host without a policy fails.
    pub(super) policy_required: bool,
    /// How much time can have passed since the host's clock was read last; none: nobody knows.
    pub(super) since_last: Option<Duration>,
    pub(super) now: Timestamp,
}

pub(super) fn assess(
    subject: &Subject,
    binding: &Binding<'_>,
    evidence: &Evidence,
    circumstances: &Circumstances<'_>,
) -> Finding {
    let expectation = QuoteExpectation {
        ak: &subject.ak,
        ak_qualified_name: &subject.ak_name,
        qualifying_data: qualifying(binding, &evidence.claims),
        selection: circumstances.selection,
        last: subject.clock,
    };
    let quote =
        QuoteEvidence { attest: &evidence.attest, signature: &evidence.signature, pcr_values: &evidence.pcr_values };
    match verify_quote(&quote, &expectation) {
        Verdict::Fail(reasons) => {
            Finding::Broken { reasons: reasons.iter().map(|reason| format!("{}: {reason}", reason.code())).collect() }
        }
        Verdict::Retry(reason) => Finding::Retry { reason: format!("{}: {reason}", reason.code()) },
        Verdict::Pass(facts) => genuine(subject, evidence, circumstances, &facts),
    }
}

fn qualifying(binding: &Binding<'_>, claims: &[u8]) -> [u8; 32] {
    let Binding { host, challenge_id, nonce, certificate_sha256, exporter } = *binding;
    QuoteFields { nonce, challenge_id, host_id: host.as_str(), certificate_sha256, exporter, claims }.qualifying()
}

fn genuine(subject: &Subject, evidence: &Evidence, circumstances: &Circumstances<'_>, facts: &QuoteFacts) -> Finding {
    let Circumstances { selection, policies, policy_required, since_last, now } = *circumstances;
    let broken = |reason: String| Finding::Broken { reasons: vec![reason] };
    let Ok(claims) = serde_json::from_slice::<Claims>(&evidence.claims) else {
        return broken("claims: the host's claims cannot be read".into());
    };
    let read_before = subject.clock.zip(since_last);
    if let Some(ahead) = read_before.and_then(|(last, passed)| clock_ahead(last, facts.clock_state(), passed)) {
        return broken(format!(
            "clock_rate: the TPM's clock ran {ahead} ms ahead of the time that passed: two TPMs with one key, or one that was restored"
        ));
    }
    let Ok(quoted) = Baseline::new(selection.bank(), facts.pcrs.clone()) else {
        return broken("pcrs: the quote covers none".into());
    };
    let mut misses = oem_misses(&claims.oem);
    let mut notes = notes(facts);
    let sent = sent_log(&evidence.boot_log, &mut misses, &mut notes);
    let log = sent.as_ref().map(|(_, log)| log).or(subject.log.as_ref().map(|(_, log)| log));
    if let Some(log) = log {
        misses.extend(log.check(&facts.pcrs).iter().map(|found| format!("{}: {found}", found.code())));
    }
    let held = policies.judge(&subject.name, &subject.labels, facts, log, now);
    let policy = match held {
        Some(held) => {
            misses.extend(held.misses);
            held.name
        }
        None if policy_required => {
            misses.push("no_policy: no active policy applies to this host (flota policy list)".into());
            String::new()
        }
        None => {
            let drifts = subject.baseline.as_ref().map(|baseline| baseline.compare(facts)).unwrap_or_default();
            misses.extend(drifts.iter().map(drift_reason));
            String::new()
        }
    };
    // A policy that needs the log says again what is wrong with it.
    let mut seen = std::collections::BTreeSet::new();
    misses.retain(|miss| seen.insert(miss.clone()));
    let quoted_log = log_digest(sent.as_ref(), subject);
    Finding::Genuine(Box::new(Genuine {
        misses,
        confirmed: Confirmed { running: claims.running, generation: claims.generation, at: now },
        measurements: HostMeasurements {
            baseline_json: json!(subject.baseline.as_ref().unwrap_or(&quoted)).to_string(),
            clock_json: json!(facts.clock_state()).to_string(),
            quoted_json: json!(quoted).to_string(),
            baseline_log: if subject.baseline.is_some() { subject.baseline_log.or(quoted_log) } else { quoted_log },
            quoted_log,
        },
        oem: in_our_words(claims.oem),
        policy,
        boot_log: sent,
        notes,
    }))
}

fn log_digest(sent: Option<&(BootLog, EventLog)>, subject: &Subject) -> Option<Digest> {
    sent.map(|(log, _)| log.digest).or(subject.log.as_ref().map(|(digest, _)| *digest))
}

fn sent_log(
    bytes: &[u8],
    misses: &mut Vec<String>,
    notes: &mut serde_json::Map<String, serde_json::Value>,
) -> Option<(BootLog, EventLog)> {
    if bytes.is_empty() {
        return None;
    }
    match EventLog::parse(bytes) {
        Ok(log) => Some((BootLog { digest: Digest::of(bytes), bytes: bytes.to_vec() }, log)),
        Err(error) => {
            // Some firmware writes bad logs, and so does who has something to hide: not to be told apart, so it is a miss.
            notes.insert("boot_log".into(), json!(error.to_string()));
            misses.push(format!("{}: {error}", error.code()));
            None
        }
    }
}

fn oem_misses(oem: &OemStanding) -> Vec<String> {
    let miss = |what: &str, status: &str| {
        let known = OemStanding::STATUSES.contains(&status);
        match status {
            "" | "ok" => None,
            _ if !known => Some(format!("oem_{what}: the host reports a status that does not exist")),
            _ => Some(format!("oem_{what}: the host's {what} is {status} (manual, section 3)")),
        }
    };
    [miss("evidence", &oem.evidence), miss("licence", &oem.licence)].into_iter().flatten().collect()
}

/// A status that does not exist is no good one, and is kept as what it is worth.
fn in_our_words(oem: OemStanding) -> OemStanding {
    let known = |status: String| {
        if status.is_empty() || OemStanding::STATUSES.contains(&status.as_str()) {
            status
        } else {
            "invalid".to_owned()
        }
    };
    OemStanding { evidence: known(oem.evidence), licence: known(oem.licence) }
}

fn notes(facts: &QuoteFacts) -> serde_json::Map<String, serde_json::Value> {
    let mut notes = serde_json::Map::new();
    if facts.rebooted {
        notes.insert("rebooted".into(), json!(true));
    }
    if facts.unseen_reboots > 0 {
        notes.insert("unseen_reboots".into(), json!(facts.unseen_reboots));
    }
    if facts.firmware_changed {
        notes.insert("firmware_changed".into(), json!(facts.firmware));
    }
    notes
}

/// By how many milliseconds a TPM's clock is ahead of what can have `passed` since it was read `last`, in the same boot.
/// None: it is not. A clock that is behind was suspended, which is no crime.
fn clock_ahead(last: ClockState, next: ClockState, passed: Duration) -> Option<u64> {
    if next.reset_count != last.reset_count {
        return None;
    }
    let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    let allowed = passed.saturating_add(passed / 1000 * CLOCK_TOLERANCE_PER_MILLE).saturating_add(CLOCK_GRACE_MS);
    next.clock.saturating_sub(last.clock).checked_sub(allowed).filter(|ahead| *ahead > 0)
}

fn drift_reason(drift: &PcrDrift) -> String {
    // A beginning tells values apart; the whole ones are on the host's page.
    let show = |value: Option<[u8; 32]>| match value {
        None => "not there".to_owned(),
        Some(value) => Digest::from_bytes(value).short(),
    };
    format!("pcr_drift: PCR {} is {}…, the baseline has {}…", drift.index, show(drift.actual), show(drift.expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(elapsed_ms: u64, passed: Duration) -> Option<u64> {
        let last = ClockState { clock: 5_000_000, reset_count: 3, restart_count: 0, firmware: 1 };
        clock_ahead(last, ClockState { clock: last.clock + elapsed_ms, ..last }, passed)
    }

    #[test]
    fn a_clock_may_be_as_fast_as_the_specification_allows_and_no_faster() {
        let five_minutes = Duration::from_mins(5);
        assert_eq!(ahead(300_000, five_minutes), None);
        assert_eq!(ahead(345_000 + 10_000, five_minutes), None, "15 % and the grace");
        assert_eq!(ahead(345_000 + 10_001, five_minutes), Some(1));
        assert_eq!(ahead(60_000, five_minutes), None, "it was suspended");
        let hour = 3_600_000;
        assert_eq!(ahead(hour, five_minutes), Some(hour - 355_000));
        let rebooted = ClockState { clock: 0, reset_count: 4, restart_count: 0, firmware: 1 };
        let last = ClockState { reset_count: 3, ..rebooted };
        assert_eq!(clock_ahead(last, ClockState { clock: hour, ..rebooted }, five_minutes), None, "another boot");
    }
}
