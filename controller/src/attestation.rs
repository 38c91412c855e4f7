//! Judges the evidence of a host: what does its TPM say, and what follows from it?
//!
//! Fail closed: whatever goes wrong is a verdict or a refusal, never "stays trusted" (CVE-2022-3500, CVE-2023-3674).
//! [`subject`] is what is known of the host, [`assess`] what the evidence shows, [`consequences`] what follows, and
//! [`recorder`] makes it last.

mod assess;
mod consequences;
pub mod patience;
pub mod readings;
pub mod recorder;
pub mod subject;

use std::panic::AssertUnwindSafe;

use flota_model::HostId;
use flota_model::Timestamp;
use flota_model::host::{Trust, VerdictKind};

use crate::core::Core;
use crate::fault::Fault;
use assess::Finding;
use subject::Subject;

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
    /// Its boot log, if it sent one.
    pub boot_log: Vec<u8>,
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
    /// Until when it may be given new work.
    pub lease_until: Option<Timestamp>,
}

/// Judges evidence and stores the verdict with everything that follows.
pub async fn judge(
    core: &Core,
    subject: &mut Subject,
    binding: &Binding<'_>,
    evidence: &Evidence,
) -> Result<Outcome, Fault> {
    let policies = core.policies.current();
    let now = core.now();
    let finding = or_retry(&subject.host, || {
        let circumstances = assess::Circumstances {
            selection: core.selection,
            policies: &policies,
            policy_required: core.settings.policy_required,
            since_last: core.readings.since_last(&subject.host, now),
            now,
        };
        assess::assess(subject, binding, evidence, &circumstances)
    });
    consequences::follow(core, subject, finding, now).await
}

/// A verifier that panics has established nothing: the host is asked again, and its lease goes on running out.
fn or_retry(host: &HostId, assess: impl FnOnce() -> Finding) -> Finding {
    std::panic::catch_unwind(AssertUnwindSafe(assess)).unwrap_or_else(|_| {
        tracing::error!(host.id = %host, "the verifier panicked");
        Finding::Retry { reason: "verifier: it could not come to a verdict".into() }
    })
}

/// A host that could not make a quote is not judged; it is asked again.
pub async fn inconclusive(core: &Core, subject: &mut Subject, why: &str) -> Result<Outcome, Fault> {
    let finding = Finding::Retry { reason: format!("no_quote: {why}") };
    consequences::follow(core, subject, finding, core.now()).await
}

#[cfg(test)]
mod tests {
    use flota_model::Digest;

    use super::*;

    #[test]
    fn case_71_a_verifier_that_panics_lets_nobody_pass() {
        let host = HostId::of_endorsement_key(&Digest::of(b"ek"));
        let finding = or_retry(&host, || panic!("a bug of the verifier"));
        assert!(matches!(finding, Finding::Retry { reason } if reason.starts_with("verifier:")));
    }
}
